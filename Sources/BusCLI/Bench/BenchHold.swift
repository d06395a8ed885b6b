// bus bench hold: connections that subscribe and then do nothing, whether they read or not: what a daemon has to keep
// for them, and what they do to others.

import ArgumentParser
import BusClient
import BusTransport
import Glibc

struct BenchHold: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hold", abstract: "Hold connections and subscriptions.")

    @Option(help: "Subscribe to this topic; without it each subscription has a filter of its own, t.n<i>.x.")
    var topic: String?
    @Option var conns: Int
    @Option(help: "Subscriptions of each connection.") var filters = 1
    @Option(help: "1: every second filter of its own is a wildcard.") var wild = 0
    @Flag(help: "Once subscribed, never read again.") var neverReads = false
    @OptionGroup var bus: BusOptions

    /// Subscriptions a connection asks for before it waits for answers: enough that nobody waits for a round trip.
    private static let pipelined = 256

    func run() async throws {
        Bench.raiseDescriptorLimit()
        let reactor = try Reactor.started("bench hold")
        var held: [BusConnection] = []
        for number in 0..<conns {
            let connection = try await BusConnection.connect(bus.connectOptions("bench hold", reactor: reactor))
            try await subscribe(connection, number)
            held.append(connection)
        }
        Bench.ready()
        // Everything lives on this one thread; asleep, it reads nothing.
        if neverReads { await held.first?.run { _ in while true { pause() } } }
        await Bench.waitForEver()
        for connection in held { await connection.close() }
    }

    private func subscribe(_ connection: BusConnection, _ number: Int) async throws {
        var next = 0
        while next < filters {
            let end = min(next + Self.pipelined, filters)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for index in next..<end {
                    let filter = filter(index * conns + number, isWild: wild == 1 && index % 2 == 1)
                    group.addTask { _ = try await connection.subscribe(filter) { _ in } }
                }
                try await group.waitForAll()
            }
            next = end
        }
    }

    private func filter(_ index: Int, isWild: Bool) -> String {
        if let topic { return Bench.topic(topic) }
        return isWild ? "t.n\(index).*" : "t.n\(index).x"
    }
}

extension Bench {
    /// As many descriptors as this process may have.
    static func raiseDescriptorLimit() {
        var limit = rlimit()
        let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
        guard getrlimit(resource, &limit) == 0 else { return }
        limit.rlim_cur = limit.rlim_max
        setrlimit(resource, &limit)
    }
}
