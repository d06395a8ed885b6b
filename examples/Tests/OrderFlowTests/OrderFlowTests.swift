// A program's own tests: its services on a real bus in the test process, which can be killed and started again.

import BusClient
import BusTestKit
import Testing

@testable import OrderFlow

@Suite(.timeLimit(.minutes(1))) struct OrderFlowTests {
    /// Runs `body` as a customer of a shop with ten things in stock.
    func withShop(_ body: (BusConnection, TestBus) async throws -> Void) async throws {
        let bus = try TestBus()
        let (stock, orders) = (try await bus.connect("stock"), try await bus.connect("orders"))
        try await OrderFlow.keepStock(stock, Shelf(10))
        try await OrderFlow.takeOrders(orders)
        let customer = try await bus.connect("customer")
        try await body(customer, bus)
        for connection in [customer, orders, stock] { await connection.close() }
    }

    @Test func `an order is answered, and told to whom it may concern`() async throws {
        try await withShop { customer, _ in
            let placed = try await customer.subscribe("orders.placed")
            #expect(try await customer.request("3", to: "orders.place").text == "order 1: 3")
            var arrivals = placed.makeAsyncIterator()
            guard case .event(let event) = try await arrivals.next() else { throw Refusal(description: "no event") }
            #expect(event.text == "3 ordered, 7 left")
        }
    }

    @Test(arguments: ["11", "0", "several"]) func `what can't be had is refused with the reason`(count: String)
        async throws
    {
        try await withShop { customer, _ in
            await #expect {
                try await customer.request(count, to: "orders.place")
            } throws: { error in
                if case .replyFailed(let why) = error as? BusError { !why.isEmpty } else { false }
            }
        }
    }

    @Test func `an order is taken after the bus was killed and came back`() async throws {
        try await withShop { customer, bus in
            bus.kill()
            try bus.start()
            // All three come back by themselves; who asks before the others are there asks again.
            var patient = RequestOptions()
            patient.retry = RetryPolicy(attempts: 50, backoffMin: .milliseconds(10), backoffMax: .milliseconds(100))
            #expect(try await customer.request("4", to: "orders.place", patient).text == "order 1: 4")
        }
    }
}
