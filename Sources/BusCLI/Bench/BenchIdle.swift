// bus bench idle: many connections with one subscription each, and nothing to do.

import ArgumentParser
import BusClient
import BusTransport

struct BenchIdle: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "idle", abstract: "Hold idle connections.")

    @Option var topic: String
    @Option var conns: Int
    @OptionGroup var bus: BusOptions

    func run() async throws {
        Bench.raiseDescriptorLimit()
        let reactor = try Reactor.started("bench idle")
        var held: [BusConnection] = []
        for _ in 0..<conns {
            let connection = try await BusConnection.connect(bus.connectOptions("bench idle", reactor: reactor))
            _ = try await connection.subscribe(Bench.topic(topic)) { _ in }
            held.append(connection)
        }
        Bench.ready()
        await Bench.waitForEver()
        for connection in held { await connection.close() }
    }
}
