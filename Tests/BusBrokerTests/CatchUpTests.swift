import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("A place in what is stored")
struct CatchUpTests {
    /// A batch of events at these positions; sequences are the same numbers.
    private func batch(_ position: UInt64, _ count: UInt32 = 1, payload: Int = 0) -> AcceptedBatch {
        let topic = TopicState(
            name: Topic.reply(ofSession: 1), number: 1, account: Account(uid: 1, Quotas()), settings: .live)
        let seal = Seal(
            number: 1, topic: topic, salt: [], publisher: PeerIdentity(uid: 1, gid: 1), name: "",
            account: topic.account,
            limits: .normal)
        let sample = SampleBatch(seal: 1, counter: 0, eventCount: count, payloadLength: payload)
        let batch = AcceptedBatch(seal: seal, bytes: sample.bytes, firstSequence: position, eventCount: count, time: 0)
        batch.position = position
        return batch
    }

    private func page(_ number: UInt64, reached: UInt64, last: Bool) -> StoredPage {
        StoredPage(number: number, batches: [], seals: [:], reached: reached, isLast: last)
    }

    private func positions(_ portions: [Portion]) -> [UInt64] {
        portions.flatMap { portion in portion.ranges(attempts: 0).flatMap { $0.first..<$0.end } }
    }

    @Test func `who leaves while a place is looked for stands where it stood`() {
        let catchUp = CatchUp(next: 10, again: [])
        catchUp.await(7, committed: 50)
        catchUp.leave(at: StoredCursor(next: 12, pending: [PendingRange(first: 3, count: 2, attempts: 1)]))
        #expect(catchUp.seek == 7 && catchUp.next == 12 && catchUp.again.map(\.first) == [3])
    }

    @Test("what is committed while the last page is read follows it, and nothing comes twice")
    func meanwhile() {
        let place = CatchUp(next: 1)
        place.begin(1)
        #expect(!place.admits(Portion(batch(3))))
        #expect(!place.admits(Portion(batch(4))))
        // The page held the first of them already.
        let got = place.take(page(1, reached: 4, last: true), [batch(1, 2), batch(3)])
        #expect(positions(got) == [1, 2, 3, 4])
        #expect(place.isLive)
        #expect(place.admits(Portion(batch(5))))
    }

    @Test("what was to come again and isn't on the page, as far as that reached, is gone")
    func gone() {
        let place = CatchUp(
            next: 40,
            again: [
                PendingRange(first: 2, count: 5, attempts: 0), PendingRange(first: 10, count: 2, attempts: 1),
                PendingRange(first: 20, count: 10, attempts: 1),
            ])
        func gone(_ batches: [AcceptedBatch], _ reached: UInt64) -> [UInt64] {
            place.gone(from: batches, reached: reached).flatMap { $0.first..<$0.end }
        }
        #expect(gone([], 4) == [2, 3])
        #expect(gone([], 2) == [])
        #expect(gone([batch(1, 2), batch(4), batch(5, 9), batch(24, 100)], 40) == [3, 20, 21, 22, 23])
        #expect(gone([batch(1, 30)], 40) == [])
    }

    @Test("too much meanwhile is read in another page")
    func tooMuch() {
        let place = CatchUp(next: 1)
        place.begin(1)
        for position in UInt64(2)...12 { _ = place.admits(Portion(batch(position, payload: 200_000))) }
        #expect(positions(place.take(page(1, reached: 2, last: true), [batch(1)])) == [1])
        #expect(!place.isLive)
        #expect(place.position == 2)
    }

    @Test("of what was settled only the open ranges come again, each with its attempts")
    func again() {
        let place = CatchUp(
            next: 8,
            again: [PendingRange(first: 2, count: 2, attempts: 3), PendingRange(first: 6, count: 1, attempts: 1)])
        #expect(place.position == 2)
        place.begin(1)
        let got = place.take(page(1, reached: 10, last: true), [batch(1, 4), batch(5, 4), batch(9)])
        #expect(positions(got) == [2, 3, 6, 8, 9])
        #expect(got.map(\.attempt) == [4, 2, 1, 1])
        #expect(place.isLive)
    }

    @Test("a page that ends within a range leaves the rest of it")
    func halfARange() {
        let place = CatchUp(next: 20, again: [PendingRange(first: 2, count: 10, attempts: 1)])
        place.begin(1)
        _ = place.take(page(1, reached: 6, last: false), [batch(2, 4)])
        #expect(place.again == [PendingRange(first: 6, count: 6, attempts: 1)])
        #expect(place.next == 20)
    }

    @Test("what is to be read anyway isn't read out of turn: nothing before it is passed over")
    func readAgainBehind() {
        let place = CatchUp(next: 5)
        place.readAgain([PendingRange(first: 100, count: 1, attempts: 1)], committed: 200)
        #expect(place.position == 5)
        #expect(place.again.isEmpty)
    }

    @Test("ranges that overlap or overflow, as a file may say, are each position once")
    func united() {
        let ranges = [
            PendingRange(first: 5, count: .max, attempts: 1), PendingRange(first: 1, count: 3, attempts: 2),
            PendingRange(first: 2, count: 4, attempts: 7), PendingRange(first: 9, count: 0, attempts: 1),
        ]
        let united = PendingRange.united(ranges, before: 10)
        #expect(united.flatMap { Array($0.first..<$0.end) } == Array(1..<10))
        #expect(PendingRange.united(ranges, before: 0).isEmpty)
    }

    @Test("attempts as many as a file can say are no more by one")
    func attempts() {
        let place = CatchUp(next: 5, again: [PendingRange(first: 1, count: 1, attempts: .max)])
        place.begin(1)
        #expect(place.take(page(1, reached: 5, last: true), [batch(1)]).map(\.attempt) == [.max])
    }

    @Test("nothing is read while the store looks where to begin")
    func seeking() {
        let place = CatchUp(next: 5)
        place.await(3, committed: 9)
        #expect(place.seek == 3)
        #expect(!place.admits(Portion(batch(7))))
        place.reset(StoredCursor(next: 2))
        #expect(place.seek == nil)
        #expect(place.position == 2)
        // From the end it is saved as what it was, should the answer never come.
        place.begin(1)
        _ = place.take(page(1, reached: 4, last: true), [batch(3)])
        #expect(place.isLive)
        place.await(4, committed: 90)
        #expect(place.next == 90)
    }
}
