// Two services that take orders: a query, a command and an event.
//
//   OrderFlow stock 10     answers stock.count, a query, and stock.take, a command
//   OrderFlow orders       answers orders.place by asking both, and publishes orders.placed, an event
//
// Place one with   bus req orders.place 3   and watch with   bus sub orders.placed --json

import BusClient

@main
struct OrderFlow {
    static func main() async throws {
        let service = CommandLine.arguments.dropFirst().first ?? "orders"
        let count = CommandLine.arguments.dropFirst(2).first.flatMap { Int($0) } ?? 10
        try await BusConnection.with(ConnectOptions(name: service)) { bus in
            if service == "stock" { try await keepStock(bus, Shelf(count)) } else { try await takeOrders(bus) }
            // What was begun above goes on until somebody ends this process.
            try await Task.sleep(for: .seconds(1_000_000_000))
        }
    }

    static func keepStock(_ bus: BusConnection, _ shelf: Shelf) async throws {
        _ = try await bus.reply(to: "stock.count") { _ in OutgoingEvent("\(await shelf.count)") }
        _ = try await bus.reply(to: "stock.take") { OutgoingEvent("\(try await shelf.take($0.event.text)) left") }
    }

    static func takeOrders(_ bus: BusConnection) async throws {
        // Asked again after a fault, a command keeps its id, and the library at the other end doesn't do it twice.
        var options = RequestOptions()
        options.retry = RetryPolicy(attempts: 5)
        _ = try await bus.reply(to: "orders.place") { [careful = options] request in
            let there = try await bus.request("", to: "stock.count", careful).text
            // What is thrown here is what the requester gets: BusError.replyFailed, or status 1 from `bus req`.
            guard let count = Int(request.event.text), count > 0 else { throw Refusal(description: "how many?") }
            guard count <= Int(there) ?? 0 else { throw Refusal(description: "there are only \(there)") }
            let left = try await bus.request("\(count)", to: "stock.take", careful).text
            var placed = OutgoingEvent("\(count) ordered, \(left)")
            // One conversation: who sees the event can tell which request it came of.
            (placed.correlation, placed.causation) = (request.event.correlation, request.event.id)
            let receipt = try await bus.publish(placed, to: "orders.placed")
            return OutgoingEvent("order \(receipt.firstSequence): \(count)")
        }
    }
}

/// What is there. An actor, since several requests are answered at a time.
actor Shelf {
    private(set) var count: Int
    init(_ count: Int) { self.count = count }

    func take(_ wanted: String) throws -> Int {
        guard let wanted = Int(wanted), wanted <= count else { throw Refusal(description: "no longer there") }
        count -= wanted
        return count
    }
}

/// Why not, in the words that the requester gets.
struct Refusal: Error, CustomStringConvertible { let description: String }
