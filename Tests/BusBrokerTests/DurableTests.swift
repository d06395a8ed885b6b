import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Where a durable subscription stands")
struct DurableTests {
    private func bench(_ events: UInt32, credit: UInt64) -> (Bench, Peer) {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.attend("work", "d.a", credit: credit)
        let seal = peer.seal("d.a")
        bench.commit()
        for _ in 0..<events { peer.publish(seal) }
        bench.commit()
        return (bench, peer)
    }

    @Test("what is queued for the first time lies behind it, what is held before it")
    func cursor() {
        let (bench, peer) = bench(6, credit: 4)
        #expect(bench.cursor("work") == StoredCursor(next: 5, pending: [PendingRange(first: 1, count: 4, attempts: 1)]))
        peer.settle(.acknowledge, 2)
        #expect(bench.cursor("work")?.pending.map(\.first) == [1, 3])
        peer.settle(.retry, 1)
        #expect(
            bench.cursor("work")?.pending
                == [PendingRange(first: 1, count: 1, attempts: 1), PendingRange(first: 3, count: 2, attempts: 1)])
    }

    @Test("neighbours with the same attempts are one range")
    func joined() {
        let ranges = [
            PendingRange(first: 4, count: 2, attempts: 1), PendingRange(first: 1, count: 3, attempts: 1),
            PendingRange(first: 6, count: 1, attempts: 2), PendingRange(first: 9, count: 1, attempts: 1),
        ]
        #expect(
            PendingRange.joined(ranges, before: 9)
                == [PendingRange(first: 1, count: 5, attempts: 1), PendingRange(first: 6, count: 1, attempts: 2)])
    }

    @Test("its place is saved a few times a second, and once however much changed")
    func saved() {
        let (bench, peer) = bench(6, credit: 6)
        bench.pass(milliseconds: 200)
        for delivery in UInt64(1)...5 { peer.settle(.acknowledge, delivery) }
        let saved = bench.pass(milliseconds: 101).writes
        #expect(saved.count { if case .cursor = $0 { true } else { false } } == 1)
        #expect(saved.contains { if case .ledger(let line) = $0 { line.count == 5 } else { false } })
        #expect(bench.pass(milliseconds: 101).writes.isEmpty)
    }

    @Test("a selection's bits can be counted without its batch", arguments: [1, 7, 8, 9, 64])
    func bits(count: Int) {
        #expect(Selection.all.bits(of: count).reduce(0) { $0 + $1.nonzeroBitCount } == count)
    }
}
