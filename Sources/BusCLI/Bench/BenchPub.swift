// bus bench pub: publishes so many events, at a rate or as fast as the bus takes them.

import ArgumentParser
import BusClient
import BusTransport

struct BenchPub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "pub", abstract: "Publish events as a benchmark does.")

    @Option var topic: String
    @Option var size = 128
    @Option var count: UInt64
    @Option(help: "Events a second; 0: as fast as possible.") var rate: UInt64 = 0
    @Option var id: UInt64 = 0
    @Option(help: "Events without receipt at most.") var window = 65_536
    @Option(help: "Events of each batch; 0: as the bus batches by itself.") var batch: UInt64 = 0
    @OptionGroup var bus: BusOptions

    func run() async throws {
        let reactor = try Reactor.started("bench pub")
        let connection = try await BusConnection.connect(bus.connectOptions("bench pub", reactor: reactor))
        let publisher = try await connection.publisher(for: Bench.topic(topic), window: window)
        let start = nanoseconds()
        if rate == 0 {
            try await connection.run { _ in try await flood(publisher) }
        } else {
            let pacer = Pacer(self, publisher, reactor)
            try await connection.run { _ in try await pacer.run(from: start) }
        }
        await connection.close()
        Standard.output("{\"sent\":\(count),\"start_ns\":\(start)}\n")
    }

    private func flood(_ publisher: WindowedPublisher) async throws {
        var payload = BenchPayload(size: size, publisher: id)
        for sequence in 0..<count {
            payload.put(sequence, at: 8)
            if !publisher.hasRoom { try await publisher.waitForRoom() }
            try payload.bytes.withUnsafeBytes { try publisher.publish($0) }
            if batch > 0, (sequence + 1) % batch == 0 { await publisher.flush() }
        }
        _ = try await publisher.finish()
    }
}

/// Publishes on a fixed schedule from a timer. Confined to the reactor.
private final class Pacer: @unchecked Sendable {
    private let command: BenchPub
    private let publisher: WindowedPublisher
    private let reactor: Reactor
    private var payload: BenchPayload
    private var next: UInt64 = 0
    private var start: UInt64 = 0
    private var timer: DeadlineTimer?
    private var finished: CheckedContinuation<Void, Never>?

    init(_ command: BenchPub, _ publisher: WindowedPublisher, _ reactor: Reactor) {
        self.command = command
        self.publisher = publisher
        self.reactor = reactor
        payload = BenchPayload(size: command.size, publisher: command.id)
    }

    func run(from start: UInt64) async throws {
        self.start = start
        timer = DeadlineTimer(on: reactor) { [weak self] in self?.fire() }
        await withCheckedContinuation { continuation in
            finished = continuation
            fire()
        }
        _ = try await publisher.finish()
    }

    /// Publishes all that is due.
    private func fire() {
        while next < command.count {
            let due = start + UInt64(Double(next) * 1e9 / Double(command.rate))
            let now = nanoseconds()
            guard due <= now else {
                timer?.arm(at: MonotonicInstant(nanoseconds: Int64(due)))
                return
            }
            payload.put(next, at: 8)
            payload.put(now, at: 16)
            try? payload.bytes.withUnsafeBytes { try publisher.publish($0) }
            next += 1
        }
        finished?.resume()
        finished = nil
    }
}
