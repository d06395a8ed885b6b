// bus bench topics-pub, topics-sub: many topics t.n<i>.x, each subscribed by exactly one of the connections; events
// go to random topics.

import ArgumentParser
import BusClient
import BusTransport

struct BenchTopicsPub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "topics-pub", abstract: "Publish to random topics.")

    @Option var topics: Int
    @Option var size = 128
    @Option var count: UInt64
    @Option var id: UInt64 = 0
    @OptionGroup var bus: BusOptions

    func run() async throws {
        let connection = try await BusConnection.connect(bus.connectOptions("bench topics"))
        var publishers: [WindowedPublisher] = []
        for index in 0..<topics {
            publishers.append(try await connection.publisher(for: "t.n\(index).x", window: 4096))
        }
        let all = publishers
        let start = nanoseconds()
        try await connection.run { _ in try await flood(all) }
        await connection.close()
        Standard.output("{\"sent\":\(count),\"start_ns\":\(start)}\n")
    }

    private func flood(_ publishers: [WindowedPublisher]) async throws {
        var payload = BenchPayload(size: size, publisher: id)
        var random = SystemRandomNumberGenerator()
        var sinceRound = 0
        for sequence in 0..<count {
            payload.put(sequence, at: 8)
            let publisher = publishers[Int.random(in: 0..<publishers.count, using: &random)]
            sinceRound += 1
            // Random topics rarely fill a batch: let a round end now and then.
            if !publisher.hasRoom || sinceRound >= 256 {
                try await publisher.waitForRoom()
                sinceRound = 0
            }
            try payload.bytes.withUnsafeBytes { try publisher.publish($0) }
        }
        for publisher in publishers { _ = try await publisher.finish() }
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
        let receiver = BenchReceiver(expected: .max, size: nil, samples: nil, quiet: .seconds(2), on: reactor)
        var isWild = false
        for index in stride(from: id, to: topics, by: conns) {
            let filter = wild == 1 && isWild ? "t.n\(index).*" : "t.n\(index).x"
            isWild.toggle()
            _ = try await connection.subscribe(filter, Bench.lossless) { receiver.take($0) }
        }
        Bench.ready()
        await connection.run { _ in await receiver.waitUntilDone() }
        await connection.close()
        receiver.report()
    }
}
