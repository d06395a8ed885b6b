// bus bench ping, pong: one event at a time to another process and back on a second topic. Each process has one
// connection for sending and one for receiving.

import ArgumentParser
import BusClient
import BusTransport
import Glibc

struct BenchPing: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "ping", abstract: "Measure round trips.")

    @Option var topic: String
    @Option var reply: String
    @Option var size = 128
    @Option var count: UInt64
    @Option var samples: String?
    @OptionGroup var bus: BusOptions

    func run() async throws {
        let ends = try await Ends(bus, publishing: topic)
        let ping = Ping(count: count, size: size, samples: samples, ends.publisher)
        _ = try await ends.receiving.subscribe(Bench.topic(reply), Bench.lossless) { ping.take($0) }
        await ends.sending.run { _ in await ping.run() }
        await ends.close()
        ping.report()
    }
}

struct BenchPong: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "pong", abstract: "Answer what ping sends.")

    @Option var topic: String
    @Option var reply: String
    @Option var size = 128
    @OptionGroup var bus: BusOptions

    func run() async throws {
        let ends = try await Ends(bus, publishing: reply)
        let publisher = ends.publisher
        _ = try await ends.receiving.subscribe(Bench.topic(topic), Bench.lossless) { arrival in
            guard case .batch(let batch) = arrival else { return }
            for event in batch { try? event.payload.withUnsafeBytes { try publisher.publish($0) } }
        }
        Bench.ready()
        await Bench.waitForEver()
    }
}

/// Two connections on one reactor.
private struct Ends {
    let sending: BusConnection
    let receiving: BusConnection
    let publisher: WindowedPublisher

    init(_ bus: BusOptions, publishing topic: String) async throws {
        let reactor = try Reactor.started("bench")
        sending = try await BusConnection.connect(bus.connectOptions("bench", reactor: reactor))
        receiving = try await BusConnection.connect(bus.connectOptions("bench", reactor: reactor))
        publisher = try await sending.publisher(for: Bench.topic(topic), window: 1024)
    }

    func close() async {
        await sending.close()
        await receiving.close()
    }
}

/// One round trip after the other. Confined to the reactor.
private final class Ping: @unchecked Sendable {
    private let count: UInt64
    private let publisher: WindowedPublisher
    private var payload: BenchPayload
    private var samples: BenchSamples
    private var sequence: UInt64 = 0
    private var sent: UInt64 = 0
    private var start: UInt64 = 0
    private var end: UInt64 = 0
    private var finished: CheckedContinuation<Void, Never>?

    init(count: UInt64, size: Int, samples: String?, _ publisher: WindowedPublisher) {
        self.count = count
        self.publisher = publisher
        payload = BenchPayload(size: size, publisher: 0)
        self.samples = BenchSamples(path: samples, capacity: Int(clamping: count))
    }

    func run() async {
        start = nanoseconds()
        await withCheckedContinuation { continuation in
            finished = continuation
            send()
        }
    }

    private func send() {
        sequence += 1
        payload.put(sequence, at: 8)
        sent = nanoseconds()
        try? payload.bytes.withUnsafeBytes { try publisher.publish($0) }
    }

    func take(_ arrival: BatchArrival) {
        guard case .batch(let batch) = arrival else { return }
        for event in batch {
            guard event.payload.withUnsafeBytes({ BenchPayload.number(at: 8, of: $0) }) == sequence else { continue }
            end = nanoseconds()
            samples.add(end - sent)
            if sequence < count {
                send()
            } else {
                finished?.resume()
                finished = nil
            }
        }
    }

    func report() {
        samples.write()
        Standard.output("{\"received\":\(sequence),\"start_ns\":\(start),\"end_ns\":\(end)}\n")
    }
}

extension Bench {
    /// Until the driver ends this process.
    static func waitForEver() async {
        await withUnsafeContinuation { (_: UnsafeContinuation<Void, Never>) in }
    }
}
