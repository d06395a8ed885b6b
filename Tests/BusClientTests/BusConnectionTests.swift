import BusClient
import BusTesting
import Testing

@Suite struct BusConnectionTests {
    @Test func `an event published is received with what its publisher said and what the daemon knows`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect("billing")
        let subscription = try await client.subscribe("billing.>")
        var event = OutgoingEvent("42 EUR", headers: [EventHeader("currency", "EUR")])
        event.causation = BusUUID(high: 1, low: 2)
        let receipt = try await client.publish(event, to: "billing.invoice.created")
        #expect(receipt.firstSequence == 1)
        #expect(receipt.lastSequence == 1)
        #expect(receipt.liveMatches == 1)
        #expect(!receipt.isDurable && !receipt.isDuplicate)
        var arrivals = subscription.makeAsyncIterator()
        guard case .event(let arrived) = try await arrivals.next() else {
            Issue.record("no event came")
            return
        }
        #expect(arrived.text == "42 EUR")
        #expect(arrived.id == receipt.id)
        #expect(arrived.correlation == receipt.id)
        #expect(arrived.causation == BusUUID(high: 1, low: 2))
        #expect(arrived.topic.description == "billing.invoice.created")
        #expect(arrived.sequence == 1)
        #expect(arrived.headers == [EventHeader("currency", "EUR")])
        #expect(arrived.publisher.name == "billing")
        await client.close()
    }
}
