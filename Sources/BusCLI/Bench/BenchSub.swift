// bus bench sub: receives so many events, checks each one's order, and measures how long each was under way.

import ArgumentParser
import BusClient
import BusTransport

struct BenchSub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "sub", abstract: "Receive events as a benchmark does.")

    @Option var topic: String
    @Option var size = 128
    @Option(help: "Events of each publisher.") var count: UInt64
    @Option var pubs: UInt64 = 1
    @Option var rate: UInt64 = 0
    @Option(help: "Write latencies here.") var samples: String?
    @OptionGroup var bus: BusOptions

    func run() async throws {
        let reactor = try Reactor.started("bench sub")
        let connection = try await BusConnection.connect(bus.connectOptions("bench sub", reactor: reactor))
        let quiet = BenchQuiet(first: .seconds(10), quiet: .seconds(10), on: reactor)
        let receiver = BenchReceiver(
            expected: count * pubs, size: size, samples: rate > 0 ? samples : nil, quiet: quiet)
        _ = try await connection.subscribe(Bench.topic(topic), Bench.lossless) { receiver.take($0) }
        Bench.ready()
        await connection.run { _ in await quiet.wait() }
        await connection.close()
        receiver.report()
    }
}

/// Counts and checks what arrives. Confined to the reactor.
final class BenchReceiver: @unchecked Sendable {
    private let expected: UInt64
    private let size: Int
    private let quiet: BenchQuiet
    private var samples: BenchSamples
    private let isTimed: Bool
    private var next: [UInt64] = []
    private var received: UInt64 = 0
    private var reordered: UInt64 = 0
    private var garbled: UInt64 = 0
    private var missed: UInt64 = 0
    private var end: UInt64 = 0

    init(expected: UInt64, size: Int, samples: String?, quiet: BenchQuiet) {
        self.expected = expected
        self.size = size
        self.quiet = quiet
        isTimed = samples != nil
        self.samples = BenchSamples(path: samples, capacity: isTimed ? Int(clamping: expected) : 0)
    }

    func take(_ arrival: BatchArrival) {
        guard case .batch(let batch) = arrival else {
            missed += 1
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
        if isTimed, let sent = BenchPayload.number(at: 16, of: payload) { samples.add(nanoseconds() - sent) }
    }

    func report() {
        samples.write()
        if garbled > 0 { Standard.error("bus: \(garbled) garbled payloads\n") }
        if missed > 0 { Standard.error("bus: \(missed) gaps\n") }
        Standard.output("{\"received\":\(received),\"reordered\":\(reordered),\"end_ns\":\(end)}\n")
    }
}
