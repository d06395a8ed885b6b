// Two services that take orders: a query, a command and an event.
//
//   OrderFlow stock [ITEM=COUNT ...]   answers stock.count (a query) and stock.take (a command)
//   OrderFlow orders                   answers orders.place with both, and publishes orders.placed (an event)
//
// Place one with   bus req orders.place '3 bolts'   and watch with   bus sub 'orders.placed'

import BusClient
import Foundation

@main
struct OrderFlow {
    static func main() async throws {
        let arguments = CommandLine.arguments.dropFirst()
        let bus = try await BusConnection.connect(ConnectOptions(name: arguments.first ?? "orders"))
        if arguments.first == "stock" { try await stock(bus, arguments.dropFirst()) } else { try await orders(bus) }
        print("ready")
        fflush(stdout)
        try await Task.sleep(for: .seconds(1 << 30))
    }

    /// Knows how many there are. An actor: requests are answered several at a time.
    actor Shelf {
        private var counts: [String: Int]
        init(_ counts: [String: Int]) { self.counts = counts }

        func count(_ item: String) -> Int { counts[item, default: 0] }

        func take(_ count: Int, _ item: String) throws -> Int {
            // What is thrown here is what the requester's `request` throws: BusError.replyFailed with this text.
            guard counts[item, default: 0] >= count else { throw Refusal("only \(counts[item, default: 0]) \(item)") }
            counts[item]! -= count
            return counts[item]!
        }
    }

    static func stock(_ bus: BusConnection, _ items: ArraySlice<String>) async throws {
        let pairs = items.map { $0.split(separator: "=") }.map { (String($0[0]), Int($0[1]) ?? 0) }
        let shelf = Shelf(Dictionary(pairs) { $1 })
        _ = try await bus.reply(to: "stock.count") { OutgoingEvent("\(await shelf.count($0.event.text))") }
        // A command that is asked again after a fault has the same id: the library answers it, and takes nothing twice.
        _ = try await bus.reply(to: "stock.take") { request in
            let (count, item) = try parse(request.event.text)
            return OutgoingEvent("\(try await shelf.take(count, item)) left")
        }
    }

    static func orders(_ bus: BusConnection) async throws {
        var careful = RequestOptions()
        careful.retry = RetryPolicy(attempts: 5)
        let options = careful
        _ = try await bus.reply(to: "orders.place") { request in
            let (count, item) = try parse(request.event.text)
            let there = try await bus.request(item, to: "stock.count").text
            guard Int(there) ?? 0 >= count else { throw Refusal("\(count) \(item) wanted, \(there) there") }
            let left = try await bus.request("\(count) \(item)", to: "stock.take", options).text
            var placed = OutgoingEvent("\(count) \(item), \(left)")
            (placed.correlation, placed.causation) = (request.event.correlation, request.event.id)
            let receipt = try await bus.publish(placed, to: "orders.placed")
            return OutgoingEvent("order \(receipt.firstSequence): \(count) \(item)")
        }
    }

    static func parse(_ text: String) throws -> (Int, String) {
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 2, let count = Int(words[0]) else { throw Refusal("“\(text)” is not COUNT ITEM") }
        return (count, words[1])
    }
}

struct Refusal: Error, CustomStringConvertible {
    let description: String
    init(_ description: String) { self.description = description }
}
