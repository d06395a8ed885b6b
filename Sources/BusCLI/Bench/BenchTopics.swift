// bus bench topics-pub, topics-sub: many topics t.n<i>.x, each subscribed by exactly one of the connections; events
// go to random topics. Sequences count by topic: order is promised there.

import ArgumentParser
import BusClient
import BusTransport

struct BenchTopicsPub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "topics-pub", abstract: "Publish to random topics.")

    @Option var topics: Int
    @Option var size = 128
    @Option var count: UInt64
    @Option var id: UInt64 = 0
    @Option(help: "Events given away before a round ends, so that sending and publishing overlap.")
    var eventsPerRound: UInt64 = 4096
    @OptionGroup var bus: BusOptions

    func run() async throws {
        let reactor = try Reactor.started("topics pub")
        let connection = try await BusConnection.connect(bus.connectOptions("bench topics", reactor: reactor))
        let start = try await connection.run { connection in
            let publishers = try await self.publishers(connection)
            let rounds = BenchRounds(reactor)
            let start = nanoseconds()
            try await self.flood(publishers, rounds)
            return start
        }
        await connection.close()
        Standard.output("{\"sent\":\(count),\"start_ns\":\(start)}\n")
    }

    /// Each has its seal when this returns: opening them is part of getting ready, as subscribing is.
    private func publishers(_ connection: isolated BusConnection) async throws -> [WindowedPublisher] {
        var publishers: [WindowedPublisher] = []
        publishers.reserveCapacity(topics)
        for index in 0..<topics {
            publishers.append(try connection.publisher(for: "t.n\(index).x", window: 4096))
            // Answers come in order: behind this one's all seals are open. Now and then, or they would be too many
            // unread at once.
            if index % 256 == 255 || index == topics - 1 { _ = try await connection.status() }
        }
        return publishers
    }

    private func flood(_ publishers: [WindowedPublisher], _ rounds: BenchRounds) async throws {
        var payload = BenchPayload(size: size, publisher: id)
        var sequences = [UInt64](repeating: 0, count: topics)
        var random = XorShift(state: 88_172_645_463_325_252 &+ id)
        for number in 0..<count {
            if number % eventsPerRound == 0 { await rounds.next() }
            let topic = Int(random.next() % UInt64(topics))
            payload.put(sequences[topic], at: 8)
            sequences[topic] += 1
            if !publishers[topic].hasRoom { try await publishers[topic].waitForRoom() }
            try payload.bytes.withUnsafeBytes { try publishers[topic].publish($0) }
        }
        for publisher in publishers { _ = try await publisher.finish() }
    }
}

/// Random enough to choose topics, and far cheaper than the system's generator, which is a system call each time.
private struct XorShift {
    var state: UInt64

    mutating func next() -> UInt64 {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return state
    }
}

/// Waits for the end of the reactor's round. Confined to its reactor.
final class BenchRounds: RoundObserver, @unchecked Sendable {
    private let reactor: Reactor
    private var waiting: CheckedContinuation<Void, Never>?

    init(_ reactor: Reactor) {
        self.reactor = reactor
        reactor.addObserver(self)
    }

    func next(isolation: isolated (any Actor)? = #isolation) async {
        await withCheckedContinuation { continuation in
            _ = isolation
            waiting = continuation
            reactor.requestRound()
        }
    }

    func roundWillEnd(_ reactor: Reactor) {
        waiting?.resume()
        waiting = nil
    }
}

struct BenchTopicsSub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "topics-sub", abstract: "Receive from many topics.")

    @Option var topics: Int
    @Option var conns: Int
    @Option var id: Int
    @Option(help: "1: every second subscription is a wildcard.") var wild = 0
    @Option var size = 128
    @OptionGroup var bus: BusOptions

    func run() async throws {
        let reactor = try Reactor.started("bench topics")
        let connection = try await BusConnection.connect(bus.connectOptions("bench topics", reactor: reactor))
        let quiet = BenchQuiet(first: .seconds(120), quiet: .seconds(2), on: reactor)
        let receiver = TopicsReceiver(size: size, quiet)
        var isWild = false
        for index in stride(from: id, to: topics, by: conns) {
            let filter = wild == 1 && isWild ? "t.n\(index).*" : "t.n\(index).x"
            isWild.toggle()
            let topic = receiver.addTopic()
            _ = try await connection.subscribe(filter, Bench.lossless) { receiver.take($0, of: topic) }
        }
        Bench.ready()
        await connection.run { _ in await quiet.wait() }
        await connection.close()
        receiver.report()
    }
}

/// Counts what arrives, and checks that each topic's sequence goes on without a gap. For one publisher. Confined to
/// the reactor.
private final class TopicsReceiver: @unchecked Sendable {
    private let size: Int
    private let quiet: BenchQuiet
    private var next: [UInt64] = []
    private var received: UInt64 = 0
    private var reordered: UInt64 = 0
    private var faults: UInt64 = 0
    private var end: UInt64 = 0

    init(size: Int, _ quiet: BenchQuiet) {
        self.size = size
        self.quiet = quiet
    }

    func addTopic() -> Int {
        next.append(0)
        return next.count - 1
    }

    func take(_ arrival: BatchArrival, of topic: Int) {
        guard case .batch(let batch) = arrival else {
            faults += 1
            return
        }
        for event in batch {
            let sequence = event.payload.withUnsafeBytes { $0.count == size ? BenchPayload.number(at: 8, of: $0) : nil }
            guard let sequence else {
                faults += 1
                continue
            }
            if sequence != next[topic] { reordered += 1 }
            next[topic] = sequence + 1
            received += 1
        }
        end = nanoseconds()
        quiet.note()
    }

    func report() {
        if faults > 0 { Standard.error("bus: \(faults) garbled payloads and gaps\n") }
        Standard.output("{\"received\":\(received),\"reordered\":\(reordered),\"end_ns\":\(end)}\n")
    }
}
