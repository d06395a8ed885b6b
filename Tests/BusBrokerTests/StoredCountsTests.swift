import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("What is known of a topic's place in the store")
struct StoredCountsTests {
    @Test("it counts what is committed, and begins anew when all was removed")
    func counts() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        publisher.publish(seal, events: 3)
        #expect(bench.topic("d.a")?.stored.eventCount == 0)
        bench.commit()
        let stored = bench.topic("d.a")?.stored
        #expect(stored?.eventCount == 3)
        #expect(stored?.byteCount == UInt64(bench.store?.disk.batches.first?.bytes.count ?? 0))
        #expect(stored?.firstSequence == 1)
        publisher.administer(.purgeTopic, "d.a")
        bench.commit()
        #expect(stored?.eventCount == 0 && stored?.byteCount == 0)
        publisher.publish(seal)
        bench.commit()
        #expect(stored?.firstSequence == 4)
        #expect(stored?.eventCount == 1)
    }
}
