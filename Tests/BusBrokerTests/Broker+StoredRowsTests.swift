import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Rows about what is stored")
struct BrokerStoredRowsTests {
    private func value(_ row: [InspectedValue]?, _ column: String) -> InspectedValue? {
        row?.first { $0.name == column }
    }

    @Test("a durable subscription's row counts what it has and what it holds")
    func durable() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.attend("work", "d.a", credit: 8)
        let seal = peer.seal("d.a")
        bench.commit()
        for _ in 0..<4 { peer.publish(seal, events: 4) }
        bench.commit()
        peer.acknowledge(1, 1)
        peer.settle(.retry, 2, events: [0])
        peer.settle(.reject, 2, events: [1])
        let row = bench.broker.durableRows.first
        #expect(value(row, "subscription") == InspectedValue("subscription", "work"))
        #expect(value(row, "mode") == InspectedValue("mode", "alone"))
        #expect(value(row, "outstanding") == InspectedValue("outstanding", 2))
        #expect(value(row, "delayed") == InspectedValue("delayed", 1))
        #expect(value(row, "acknowledged") == InspectedValue("acknowledged", 4))
        #expect(value(row, "dead") == InspectedValue("dead", 1))
        #expect(value(row, "pending") == InspectedValue("pending", 11))
        #expect(value(row, "attempts") == InspectedValue("attempts", 10))
    }

    @Test("declarations are listed with where they come from")
    func declarations() {
        let bench = Bench.durable()
        bench.open(1).administer(.createTopic, filter: "x", settings: [Setting(.retentionCount, 5)])
        bench.commit()
        let rows = bench.broker.declarationRows
        #expect(rows.map { value($0, "source") } == ["configuration", "command"].map { InspectedValue("source", $0) })
        #expect(value(rows.last, "max-events") == InspectedValue("max-events", 5))
    }

    @Test("where an event is: to be read, queued, sent, delayed, settled")
    func whereabouts() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.attend("work", "d.a", credit: 2)
        let seal = peer.seal("d.a")
        bench.commit()
        for _ in 0..<4 { peer.publish(seal) }
        bench.commit()
        let topic = bench.topic("d.a")?.storeNumber ?? 0
        func state(_ position: UInt64) -> Whereabouts.State? {
            bench.broker.whereabouts(of: position, topic: topic).first?.state
        }
        #expect((UInt64(1)...4).map(state) == [.sent, .sent, .queued, .queued])
        peer.acknowledge(1, 1)
        peer.settle(.retry, 2)
        #expect((UInt64(1)...2).map(state) == [.settled, .delayed])
        peer.unsubscribe(1)
        #expect((UInt64(1)...5).map(state) == [.settled, .matched, .matched, .matched, .matched])
        #expect(bench.broker.whereabouts(of: 1, topic: 999).isEmpty)
    }

    @Test("a bus without a store says so")
    func none() {
        let bench = Bench()
        #expect(bench.broker.storedStatus == [InspectedValue("durable", 0)])
        #expect(bench.broker.durableRows.isEmpty)
    }
}
