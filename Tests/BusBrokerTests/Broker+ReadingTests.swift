import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Reading what is stored")
struct BrokerReadingTests {
    private func stored(_ count: Int, store: MemoryStore? = nil) -> (bench: Bench, publisher: Peer, seal: UInt64) {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        for _ in 0..<count {
            publisher.publish(seal)
            bench.commit()
            bench.pass(milliseconds: 10_000)
        }
        return (bench, publisher, seal)
    }

    private func read(_ peer: Peer, _ filter: String, _ start: Start, credit: UInt64 = 1000) -> [Effect] {
        peer.send(
            .subscribe(
                Subscribe(
                    subscription: 1, filter: Array(filter.utf8), creditEvents: credit, creditBytes: 1 << 30,
                    start: start)))
    }

    @Test("stored events, a marker, then live ones, with no gap and no duplicate")
    func storedThenLive() {
        let (bench, publisher, seal) = stored(3)
        let reader = bench.open(2)
        let got = read(reader, "d.a", .all)
        #expect(got.deliveries.sequences == [1, 2, 3])
        #expect(got.deliveries.allSatisfy { $0.isStored })
        #expect(got.markers.map(\.count) == [3])
        publisher.publish(seal)
        let live = bench.commit().deliveries
        #expect(live.sequences == [4])
        #expect(live.allSatisfy { !$0.isStored })
    }

    @Test(
        "it begins where it says, and reads nothing before it is known where",
        arguments: [
            (Start.last, [UInt64(3)]), (.sequence(2), [2, 3]), (.since(1_700_000_015_000_000), [3]),
            (.sequence(900), []),
        ])
    func starts(start: Start, expected: [UInt64]) {
        let (bench, _, _) = stored(3)
        let got = read(bench.open(2), "d.a", start)
        #expect(got.deliveries.sequences == expected)
        #expect(got.markers.count == 1)
        #expect(got.reads.allSatisfy { $0.from > 1 })
    }

    @Test("a reader that takes little has little in memory, and gets everything", arguments: [UInt64(0), 5])
    func slow(credit: UInt64) {
        let bench = Bench.durable()
        let (publisher, reader) = (bench.open(1), bench.open(2))
        let seal = publisher.seal("d.a")
        for _ in 0..<60 {
            publisher.publish(seal, payload: 100_000)
            bench.commit()
        }
        var got = read(reader, "d.a", .all, credit: credit).deliveries
        #expect(bench.account()?.windowLength ?? .max < 5 << 20)
        for _ in 0..<10 { publisher.publish(seal, payload: 100_000) }
        bench.commit()
        got += reader.credit(1, 1000).deliveries
        for _ in 0..<200 { got += reader.drained().deliveries }
        #expect(got.sequences == Array(1...70))
        #expect(bench.account()?.windowLength == 0)
    }

    @Test("who is gone before its page came leaves nothing behind")
    func gone() {
        let bench = Bench.durable()
        let (publisher, reader) = (bench.open(1), bench.open(2, uid: 1001))
        publisher.publish(publisher.seal("d.a"))
        bench.commit()
        bench.store = nil
        let read = read(reader, "d.a", .all).reads.first
        #expect(bench.account(1001)?.windowLength == CatchUp.readLength)
        reader.leave()
        bench.round(
            .storeRead(StoredPage(number: read?.number ?? 0, batches: [], seals: [:], reached: 9, isLast: true)))
        #expect(bench.account(1001) == nil)
        // Nobody asked for this one.
        bench.round(.storeRead(StoredPage(number: 900, batches: [], seals: [:], reached: 9, isLast: true)))
        bench.round(.storeFound(number: 900, StoredCursor(next: 1)))
    }

    @Test("what is damaged, or has lost its seal, is a gap and never silently missing")
    func damaged() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.administer(.createSubscription, "work", filter: "d.a", start: .all)
        let seal = peer.seal("d.a")
        peer.publish(seal)
        bench.commit()
        let store = bench.store
        bench.store = nil
        let read = peer.attend("work").reads[0]
        var page = store?.page(read) ?? StoredPage(number: 0, batches: [], seals: [:], reached: 0, isLast: true)
        page.seals = [:]
        page.damaged = [(topic: bench.topic("d.a")?.storeNumber ?? 0, position: 77)]
        let got = bench.round(.storeRead(page))
        #expect(got.gaps.map(\.reason) == [.damaged, .damaged])
        #expect(got.gaps.allSatisfy { $0.count == nil })
        #expect(got.deliveries.isEmpty)
    }

    @Test("damage of which it can't be told on which topic it was, is told to everybody who reads there")
    func damagedSomewhere() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.publish(peer.seal("d.a"))
        bench.commit()
        bench.store = nil
        let asked = read(peer, "d.a", .all).reads[0]
        let got = bench.round(
            .storeRead(
                StoredPage(
                    number: asked.number, batches: [], seals: [:], reached: asked.before, isLast: true,
                    damaged: [(topic: 0, position: 1), (topic: 77, position: 2)])))
        #expect(got.gaps.map(\.topic) == [[]])
        #expect(got.gaps.map(\.reason) == [.damaged])
    }

    @Test("of a topic there isn't nothing is read, and a live one follows")
    func nothing() {
        let bench = Bench.durable()
        let got = read(bench.open(1), "d.never", .all)
        #expect(got.reads.map(\.topics) == [[]])
        #expect(got.markers.count == 1)
    }

    @Test("a group can't begin with what is stored, nor anybody with a sequence of several topics")
    func refused() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        #expect(read(peer, "d.*", .sequence(1)).errors.map(\.reason) == [.badFilter])
        let grouped = Subscribe(
            subscription: 1, filter: Array("d.a".utf8), creditEvents: 1, creditBytes: 1, group: Array("g".utf8),
            start: .all)
        #expect(peer.send(.subscribe(grouped)).errors.map(\.reason) == [.notSupported])
        let bare = Bench()
        #expect(read(bare.open(1), "a", .all).errors.map(\.reason) == [.storeUnavailable])
    }
}
