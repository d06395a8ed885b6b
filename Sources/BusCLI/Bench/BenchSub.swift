// bus bench sub: receives so many events, checks each one's order, and measures how long each was under way. As a
// member of a group it receives its share of them, whatever that is.

import ArgumentParser
import BusClient
import BusTransport

struct BenchSub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "sub", abstract: "Receive events as a benchmark does.")

    @Option var topic: String
    @Option var size = 128
    @Option(help: "Events of each publisher; with --group the whole group gets them.") var count: UInt64
    @Option var pubs: UInt64 = 1
    @Option(help: "Share the events with the others of this group.") var group: String?
    @Option(help: "Take part in this durable subscription, and acknowledge.") var durable: String?
    @Flag(help: "Begin with everything that is stored.") var all = false
    @Option var rate: UInt64 = 0
    @Option(help: "Write latencies here.") var samples: String?
    @OptionGroup var bus: BusOptions

    func run() async throws {
        let reactor = try Reactor.started("bench sub")
        let connection = try await BusConnection.connect(bus.connectOptions("bench sub", reactor: reactor))
        // Nobody knows its share: a member is done when nothing comes any more, which isn't measured.
        let quiet =
            group == nil
            ? BenchQuiet(first: .seconds(10), quiet: .seconds(10), on: reactor)
            : BenchQuiet(first: .seconds(20), quiet: .seconds(2), on: reactor)
        let receiver = BenchReceiver(
            expected: count * pubs, size: size, samples: rate > 0 ? samples : nil, isShared: group != nil, quiet: quiet)
        _ = try await connection.subscribe(Bench.topic(topic), options) { receiver.take($0) }
        Bench.ready()
        await connection.run { _ in await quiet.wait() }
        await connection.close()
        receiver.report()
    }

    private var options: SubscribeOptions {
        var options = Bench.lossless
        if all { options.start = .all }
        if let durable {
            options = SubscribeOptions()
            options.durable = DurableOptions(name: durable)
            if all { options.durable?.start = .all }
        }
        guard let group else { return options }
        options.group = group
        // What a member has not acknowledged counts as its work: more than this and shares go by guess.
        options.creditEvents = 4096
        options.creditBytes = 4 << 20
        return options
    }
}

/// Counts and checks what arrives. Confined to the reactor.
final class BenchReceiver: @unchecked Sendable {
    private let expected: UInt64
    private let size: Int
    private let quiet: BenchQuiet
    private var samples: BenchSamples
    private let isTimed: Bool
    private let isShared: Bool
    private var next: [UInt64] = []
    private var received: UInt64 = 0
    private var reordered: UInt64 = 0
    private var garbled: UInt64 = 0
    private var missed: UInt64 = 0
    private var end: UInt64 = 0
    /// A sum over all events that is the same only for the same events: a driver adds those of a group's members and
    /// knows whether each event came exactly once.
    private var digest: UInt64 = 0

    init(expected: UInt64, size: Int, samples: String?, isShared: Bool, quiet: BenchQuiet) {
        self.expected = expected
        self.size = size
        self.quiet = quiet
        self.isShared = isShared
        isTimed = samples != nil
        self.samples = BenchSamples(path: samples, capacity: isTimed ? Int(clamping: expected) : 0)
    }

    func take(_ arrival: BatchArrival) {
        guard case .batch(let batch) = arrival else {
            if case .missed = arrival { missed += 1 }
            return
        }
        for event in batch { event.payload.withUnsafeBytes { check($0) } }
        received += UInt64(batch.count)
        end = nanoseconds()
        quiet.note()
        if received >= expected { quiet.finish() }
    }

    @inline(__always)
    private func check(_ payload: UnsafeRawBufferPointer) {
        guard payload.count == size, let publisher = BenchPayload.number(at: 0, of: payload),
            let sequence = BenchPayload.number(at: 8, of: payload), publisher < 4096
        else {
            garbled += 1
            return
        }
        while next.count <= Int(publisher) { next.append(0) }
        if sequence < next[Int(publisher)] { reordered += 1 } else { next[Int(publisher)] = sequence + 1 }
        if isShared { digest &+= BenchReceiver.mixed(publisher << 40 &+ sequence) }
        if isTimed, let sent = BenchPayload.number(at: 16, of: payload) { samples.add(nanoseconds() - sent) }
    }

    /// SplitMix64's finaliser.
    @inline(__always)
    private static func mixed(_ number: UInt64) -> UInt64 {
        var z = number &+ 0x9E37_79B9_7F4A_7C15
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    func report() {
        samples.write()
        if garbled > 0 { Standard.error("bus: \(garbled) garbled payloads\n") }
        if missed > 0 { Standard.error("bus: \(missed) gaps\n") }
        let shared = isShared ? ",\"digest\":\(digest)" : ""
        Standard.output("{\"received\":\(received),\"reordered\":\(reordered)\(shared),\"end_ns\":\(end)}\n")
    }
}
