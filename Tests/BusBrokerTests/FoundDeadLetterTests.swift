import BusWire
import Testing

@testable import BusBroker

@Suite("Dead letters that were found") struct FoundDeadLetterTests {
    @Test(
        "what of them is settled where a subscription stands is read once more, and nothing that it has to get anyway")
    func settled() {
        func range(_ first: UInt64, _ count: UInt64) -> PendingRange {
            PendingRange(first: first, count: count, attempts: 0)
        }
        func settled(_ ranges: [PendingRange], _ next: UInt64, _ pending: [PendingRange] = []) -> [PendingRange] {
            PendingRange.settled(ranges, by: StoredCursor(next: next, pending: pending))
        }
        #expect(settled([range(3, 4)], 100) == [range(3, 4)])
        #expect(settled([range(3, 4)], 5) == [range(3, 2)])
        #expect(settled([range(3, 4)], 3) == [])
        #expect(settled([range(3, 4)], 100, [range(1, 2), range(4, 1), range(9, 1)]) == [range(3, 1), range(5, 2)])
        #expect(settled([range(3, 4), range(8, 2)], 100, [range(1, 8)]) == [range(9, 1)])
        #expect(settled([range(3, 9)], 100, [range(5, 1), range(7, 1)]) == [range(3, 2), range(6, 1), range(8, 4)])
        #expect(settled([range(3, .max)], .max, [range(0, .max)]) == [])
    }

    @Test("an event that its subscription has gone back to comes once, redriven or not")
    func redrivenAndOwed() {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.a")
        let seal = publisher.seal("d.a")
        bench.commit()
        for _ in 0..<3 { publisher.publish(seal) }
        bench.commit()
        worker.settle(.reject, 2)
        worker.acknowledge(1, 3)
        bench.pass(milliseconds: 200)
        bench.commit()
        worker.leave()
        publisher.administer(.seekSubscription, "work", start: .all)
        bench.commit()
        publisher.administer(.redriveDead, "work")
        bench.commit()
        let got = bench.open(3).attend("work") + bench.round()
        #expect(got.deliveries.sequences == [1, 2, 3])
    }
}
