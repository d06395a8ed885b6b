// bus bench hostile: a user who does one thing as fast as it can, up to its limits and against them. It runs until it
// is ended, and says each second how much it has done, so that a driver knows that it was at it.

import ArgumentParser
import BusClient
import BusTransport
import Glibc
import Synchronization

struct BenchHostile: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hostile", abstract: "Do one thing as fast as the bus lets it.")

    enum Kind: String, ExpressibleByArgument, CaseIterable {
        /// Connects to the socket and hangs up.
        case dial
        /// Connects, shakes hands, leaves.
        case connect
        /// Holds as many subscriptions as it may on each connection, and exchanges them.
        case subscribe
        /// Publishes on ever more topics, and comes back when it may have no more.
        case topics
        /// Publishes on one topic without a pause.
        case publish
    }

    @Argument(help: "dial, connect, subscribe, topics or publish.") var kind: Kind
    @Option(help: "How much of it goes on side by side.") var parallel = 4
    @Option(help: "A user beside root and this one whose daemon is trusted.") var trustedUID: UInt32?
    @OptionGroup var bus: BusOptions

    private static let subscriptionsEach = 16_000
    private static let exchangedAtOnce = 64
    private static let topicsEach = 100_000

    func run() async throws {
        Bench.raiseDescriptorLimit()
        let tally = Tally()
        let reactor = try Reactor.started("bench hostile")
        await withTaskGroup(of: Void.self) { group in
            for lane in 0..<parallel {
                group.addTask {
                    // Whatever it is refused, it comes again.
                    while true {
                        try? await once(lane, reactor, tally)
                        await Task.yield()
                    }
                }
            }
            group.addTask { await tally.report() }
        }
    }

    private func once(_ lane: Int, _ reactor: Reactor, _ tally: Tally) async throws {
        switch kind {
        case .dial: dial(tally)
        case .connect:
            await (try connected(reactor)).close()
            tally.add(1)
        case .subscribe: try await subscribe(lane, reactor, tally)
        case .topics: try await publishTopics(lane, reactor, tally)
        case .publish: try await publish(lane, reactor, tally)
        }
    }

    private func connected(_ reactor: Reactor) async throws(BusError) -> BusConnection {
        var options = bus.connectOptions("bench hostile", reactor: reactor)
        options.trustedUID = trustedUID
        options.reconnects = false
        return try await BusConnection.connect(options)
    }

    private func dial(_ tally: Tally) {
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bus.address.path.utf8.prefix(107)) }
        let result = withUnsafeBytes(of: &address) {
            connect(
                descriptor, $0.bindMemory(to: sockaddr.self).baseAddress, socklen_t(MemoryLayout<sockaddr_un>.size))
        }
        if result == 0 { tally.add(1) }
    }

    /// Exchanges them by the dozen, so that no round trip holds it up.
    private func subscribe(_ lane: Int, _ reactor: Reactor, _ tally: Tally) async throws {
        let connection = try await connected(reactor)
        var held: [[HandledSubscription]] = []
        var next = 0
        while true {
            let first = next
            next += Self.exchangedAtOnce
            if next > Self.subscriptionsEach {
                for subscription in held.removeFirst() { await subscription.cancel() }
            }
            let fresh = try await withThrowingTaskGroup(of: HandledSubscription.self) { group in
                for index in first..<next {
                    group.addTask { try await connection.subscribe("hostile.l\(lane).n\(index).*") { _ in } }
                }
                return try await group.reduce(into: []) { $0.append($1) }
            }
            held.append(fresh)
            tally.add(UInt64(Self.exchangedAtOnce))
        }
    }

    private func publishTopics(_ lane: Int, _ reactor: Reactor, _ tally: Tally) async throws {
        let connection = try await connected(reactor)
        try await connection.run { connection in
            for index in 0..<Self.topicsEach {
                let publisher = try connection.publisher(for: "hostile.l\(lane).t\(index)")
                try publisher.publish("x")
                if index % 256 == 255 { _ = try await publisher.finish() }
                tally.add(1)
            }
        }
        await connection.close()
    }

    private func publish(_ lane: Int, _ reactor: Reactor, _ tally: Tally) async throws {
        let connection = try await connected(reactor)
        try await connection.run { connection in
            let publisher = try connection.publisher(for: "hostile.l\(lane)")
            let payload = [UInt8](repeating: 0, count: 128)
            while true {
                if !publisher.hasRoom { try await publisher.waitForRoom() }
                try payload.withUnsafeBytes { try publisher.publish($0) }
                tally.add(1)
            }
        }
    }
}

/// How much was done, told each second.
private final class Tally: Sendable {
    private let done = Atomic<UInt64>(0)

    func add(_ count: UInt64) { done.add(count, ordering: .relaxed) }

    func report() async {
        while true {
            try? await Task.sleep(for: .seconds(1))
            Standard.output("{\"done\":\(done.load(ordering: .relaxed))}\n")
        }
    }
}
