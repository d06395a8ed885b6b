import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("What administrators change")
struct BrokerAdministeringTests {
    private func bench(_ store: MemoryStore) throws -> Bench {
        let orders = try TopicDeclaration(TopicFilter("orders.>"), settings: [])
        let bench = Bench(store: store) { $0.topics = [orders] }
        // The audit's sums are of what sessions hold; a durable subscription stays without one.
        bench.isAudited = false
        return bench
    }

    private func administer(_ operation: BusWire.Operation, key: String = "", filter: String = "") -> Frame {
        .administer(Administer(request: 1, operation, key: key, filter: Array(filter.utf8)))
    }

    @Test("Dead letters are counted over a restart, and delivered again afterwards")
    func deadLettersOverRestart() throws {
        let first = try bench(MemoryStore(incarnation: BusUUID(high: 5, low: 6)))
        let peer = first.open(1)
        peer.send(administer(.createSubscription, key: "billing", filter: "orders.>"))
        let seal = peer.seal("orders.new")
        peer.send(peer.batch(seal, events: 3))
        first.commit()
        peer.send(
            .subscribe(
                Subscribe(
                    subscription: 1, filter: [], creditEvents: 10, creditBytes: 1 << 20,
                    durableName: Array("billing".utf8))))
        peer.send(.settle(Settle(.reject, subscription: 1, delivery: 1, message: "never")))
        first.commit()
        let store = try #require(first.store)
        #expect(store.disk.deadLetters.values.map(\.eventCount) == [3])

        let second = try bench(store)
        let durable = try #require(second.broker.storage?.subscriptions.values.first?.durable)
        #expect(durable.deadCount == 3)
        let letter = try #require(store.disk.deadLetters.values.first)
        let session = second.open(1).id
        // Twice, as two who ask at once bring it about.
        for _ in 1...2 {
            second.round(
                .administered(session, request: 1, .redriven([FoundDeadLetter(letter, batchEventCount: 3)])))
        }
        second.commit()
        #expect(durable.deadCount == 0)
        #expect(second.store?.disk.deadLetters.isEmpty == true)
    }
}
