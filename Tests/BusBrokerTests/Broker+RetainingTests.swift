// Last values: what is kept, who pays for it, and in what order it is told. The story is in Transcripts/last-value.txt.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerRetainingTests {
    private let bench = Bench {
        $0.quotas.retainedLength = 1000
        if let all = try? TopicFilter("kept.>"), let none = try? TopicFilter("kept.not") {
            $0.topics = [TopicDeclaration(all, retains: true), TopicDeclaration(none, retains: false)]
        }
    }

    private func stored(_ filter: String, _ number: UInt32 = 99) -> [UInt64] {
        let reader = bench.open(99)
        let effects = reader.subscribe(number, filter, mode: .last)
        #expect(effects.markers.map(\.count) == [UInt64(effects.deliveries.count)])
        #expect(effects.deliveries.allSatisfy { $0.isStored && $0.attempt == 1 })
        reader.leave()
        return effects.deliveries.sequences
    }

    @Test func whoLeavesAValuePaysForItAndIsGivenBackWhenAnotherTakesItsPlace() {
        let (first, second) = (bench.open(1), bench.open(2, uid: 1001))
        let (mine, theirs) = (first.seal("a"), second.seal("a"))
        first.retain(mine, payload: 300)
        let length = bench.account()?.retainedLength ?? 0
        #expect(length > 300 && length == bench.topic("a")?.retained?.length)
        second.retain(theirs, payload: 200)
        #expect(bench.account()?.retainedLength == 0)
        #expect(bench.account(1001)?.retainedLength == bench.topic("a")?.retained?.length)
    }

    @Test func itOutlivesItsPublisherAndStaysChargedUntilSomebodyClearsIt() {
        let publisher = bench.open(1)
        publisher.retain(publisher.seal("a"))
        publisher.leave()
        #expect(stored("a") == [1])
        #expect(bench.account()?.retainedLength ?? 0 > 0, "nobody of the uid is here, and it still pays")
        let other = bench.open(2, uid: 1001)
        other.retain(other.seal("a"), clears: true)
        #expect(bench.account() == nil || bench.account()?.retainedLength == 0)
        #expect(stored("a").isEmpty)
    }

    @Test func whatIsReplacedMakesRoomForWhatReplacesIt() {
        let publisher = bench.open(1)
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        publisher.retain(a, payload: 700)
        #expect(publisher.retain(a, payload: 800).errors.isEmpty)
        let refused = publisher.retain(b, payload: 400)
        #expect(refused.errors.map(\.reason) == [.quotaExceeded])
        #expect(bench.topic("b")?.lastSequence == 0, "nobody gets what is refused")
        #expect(publisher.publish(b, payload: 400).errors.isEmpty, "what isn't kept costs nothing")
        #expect(publisher.retain(b, clears: true).errors.isEmpty, "nor does what clears")
    }

    @Test func onlyTheMostSpecificDeclarationOfATopicHolds() {
        let publisher = bench.open(1)
        let (kept, not) = (publisher.seal("kept.a"), publisher.seal("kept.not"))
        publisher.publish(kept)
        publisher.publish(not)
        #expect(stored("kept.>") == [1])
        #expect(bench.topic("kept.not")?.retained == nil)
    }

    @Test func anEventThatIsNotToBeKeptLeavesWhatIs() {
        let publisher = bench.open(1)
        let seal = publisher.seal("a")
        publisher.retain(seal)
        publisher.publish(seal)
        publisher.send(publisher.batch(seal).with { $0.isTombstone = true })
        #expect(stored("a") == [1])
    }

    @Test func onlyTheLastEventOfABatchIsKept() {
        let publisher = bench.open(1)
        publisher.retain(publisher.seal("a"), events: 5)
        #expect(stored("a") == [5])
    }

    @Test func theyComeInTheOrderInWhichTheyWereAcceptedWhateverTheFilter() {
        let publisher = bench.open(1)
        let seals = ["c", "a", "b"].map { publisher.seal($0) }
        for (seal, count) in zip(seals, [1, 2, 3]) { for _ in 0..<count { publisher.retain(seal) } }
        publisher.retain(seals[0])
        #expect(stored("*") == [2, 3, 2], "a, b, and c, which was published once more")
        #expect(stored("b") == [3])
        #expect(stored("b.>").isEmpty)
    }

    @Test func requestsAndAnswersAreNeverKept() {
        let (asker, asked) = (bench.open(1), bench.open(2))
        asked.subscribe(1, "kept.ask", mode: .responds)
        let seal = asker.seal("kept.ask")
        #expect(asker.send(asker.request(seal, id(1))).errors.isEmpty)
        #expect(bench.broker.retaining.isEmpty, "though its topic keeps all others")
        let kept = asker.request(seal, id(2)).with { $0.retains = true }
        #expect(asker.send(kept).errors.map(\.reason) == [.malformedBatch])
        let answer = asked.answer(asked.seal("$reply.1"), id(1)).with { $0.retains = true }
        #expect(asked.send(answer).errors.map(\.reason) == [.malformedBatch])
    }

    @Test func whatWaitsToBeToldIsChargedUntilItIs() {
        let (publisher, reader) = (bench.open(1), bench.open(2, uid: 1001))
        for name in ["a", "b"] { publisher.retain(publisher.seal(name)) }
        reader.subscribe(1, "*", credit: 0, mode: .last)
        let length = bench.account(1001)?.queued.used ?? 0
        #expect(length == bench.account()?.retainedLength)
        reader.credit(1, 1)
        #expect(bench.account(1001)?.queued.used == length / 2)
        reader.unsubscribe(1)
        #expect(bench.account(1001)?.queued.used == 0)
    }

    @Test func whatFindsNoRoomThereRefusesTheSubscription() {
        let bench = Bench { $0.quotas.queuedLength = 100 }
        let (publisher, reader) = (bench.open(1), bench.open(2, uid: 1001))
        for name in ["a", "b"] { publisher.retain(publisher.seal(name)) }
        let effects = reader.subscribe(1, "*", mode: .last)
        #expect(effects.errors.map(\.reason) == [.quotaExceeded])
        #expect(effects.errors.first?.message.hasPrefix("quota queued_bytes of uid 1001 is used up: 0 of 100") == true)
        #expect(reader.session?.consumers.isEmpty == true)
        #expect(reader.subscribe(1, "a", mode: .last).deliveries.count == 1, "one of them does")
    }

    @Test func betweenWhatIsKeptAndWhatIsLiveNothingIsMissingAndNothingComesTwice() {
        let (publisher, reader) = (bench.open(1), bench.open(2))
        let seal = publisher.seal("a")
        publisher.retain(seal)
        var seen = reader.subscribe(1, "a", credit: 0, mode: .last).deliveries.sequences
        for credit in 1...6 as ClosedRange<UInt64> {
            publisher.retain(seal)
            seen += reader.credit(1, credit).deliveries.sequences
        }
        #expect(seen == [1, 2, 3, 4, 5, 6])
    }
}
