// Section 9: a durable topic outlives a kill -9, of its consumer and of the daemon.

import BusClient
import Glibc

extension Demo {
    private static let orders = ["order 1", "order 2", "order 3"]

    /// Stores events, kills everybody, and asks what became of them.
    func tellOfDurability() async throws {
        try screen.section(
            "A durable topic outlives a kill -9",
            "A receipt of a durable topic comes when the event is on disk. A consumer gets three orders and hangs "
                + "before it has acknowledged one; then it and the daemon are killed with signal 9.")
        try await run("bus topic create 'orders.>'", ["topic", "create", "orders.>"])
        try await run("bus subscription create billing 'orders.>'", ["subscription", "create", "billing", "orders.>"])
        let hanging = try start("bus sub --durable billing", ["sub", "--durable", "billing"])
        try await wait("a consumer", within: .seconds(5)) { try await self.billing("consumers") == 1 }
        hanging.signal(SIGSTOP)
        let receipts = try await publishOrders()
        try await wait("deliveries", within: .seconds(5)) { try await self.billing("outstanding") == 3 }
        try await killEverybody(hanging)
        try await showRedelivery(receipts)
        try await showTrace(receipts[0])
    }

    /// Runs a command and shows what it says.
    private func run(_ command: String, _ arguments: [String]) async throws {
        screen.command(command)
        let process = try start(command, arguments)
        try await succeed(process, within: .seconds(5))
        for line in process.output.lines { screen.line(line) }
    }

    /// A number of the subscription's.
    private func billing(_ name: String) async throws -> UInt64 {
        let rows = try await connection.inspect(.durableSubscriptions, key: "billing")
        return rows.first.map { InspectedRow(values: $0).number(name) } ?? 0
    }

    /// - Returns: the ids that were receipted.
    private func publishOrders() async throws -> [String] {
        var lines: [String] = []
        for order in Demo.orders {
            let name = "bus pub --durable orders.new '\(order)'"
            let process = try start(name, ["pub", "--durable", "orders.new", order, "--json"])
            try await succeed(process, within: .seconds(5))
            screen.command(name)
            lines += process.output.lines
        }
        let ids = lines.compactMap { JSONValue($0)?["id"]?.text }
        try claim(
            ids.count == 3 && lines.allSatisfy { $0.contains("\"durable\":true") },
            "Three receipts say that their event is on disk.")
        return ids
    }

    private func killEverybody(_ consumer: DemoProcess) async throws {
        consumer.end()
        let start = ContinuousClock.now
        try await bus.killAndRestart()
        let milliseconds = Int((ContinuousClock.now - start) / .milliseconds(1))
        screen.blank()
        screen.command("kill -9", "the consumer, and the daemon")
        screen.line("a new daemon answers after \(milliseconds) ms")
    }

    private func showRedelivery(_ receipts: [String]) async throws {
        let name = "bus sub --durable billing --count 3 --json"
        let consumer = try start(name, ["sub", "--durable", "billing", "--count", "3", "--json"])
        try await succeed(consumer, within: .seconds(10))
        screen.command(name)
        let lines = consumer.output.lines
        let events = lines.compactMap { JSONValue($0) }
        for event in events { screen.line("\(event["id"]?.text ?? "")  \(event["data"]?.text ?? "")") }
        try claim(
            events.map { $0["data"]?.text } == Demo.orders && events.map { $0["id"]?.text } == receipts,
            "The three orders came again, with their ids and in their order.")
        try claim(
            lines.allSatisfy { $0.contains("\"may_be_repeated\":true") },
            "Each says that it may have been handled before: nobody could know.")
    }

    /// What is said of deliveries is written a few times a second.
    private func showTrace(_ id: String) async throws {
        var lines: [String] = []
        try await wait("a trace to tell of the acknowledgement", within: .seconds(5)) {
            let trace = try self.start("bus trace", ["trace", id])
            try await self.succeed(trace, within: .seconds(5))
            lines = trace.output.lines
            return lines.contains { $0.contains("acknowledged") }
        }
        screen.blank()
        screen.command("bus trace \(id)")
        for line in lines { screen.line(line) }
        try claim(
            lines.contains { $0.hasSuffix("→ billing") },
            "The trace tells who published it and what became of it there.")
    }
}
