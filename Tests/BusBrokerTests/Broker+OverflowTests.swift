// What is lost when more comes than is taken, policy by policy, exactly; and what a user's quota costs whom. The stories
// are in Transcripts/credit-and-gap.txt, drop-newest.txt, latest.txt and disconnect.txt.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerOverflowTests {
    /// One that publishes on `a` and `b`, and one, of another user, that reads both.
    private func pair(
        _ policy: OverflowPolicy, queue: UInt32, credit: UInt64 = 0, _ bench: Bench = Bench()
    ) -> (publisher: Peer, a: UInt64, b: UInt64, reader: Peer) {
        let (publisher, reader) = (bench.open(1), bench.open(2, uid: 1001))
        reader.subscribe(1, "*", credit: credit, queue: queue, policy)
        return (publisher, publisher.seal("a"), publisher.seal("b"), reader)
    }

    /// Every event is delivered or told as missed, once, whatever the policy and whatever came in which sizes.
    @Test(arguments: [OverflowPolicy.dropOldest, .dropNewest, .latest])
    func whatIsDeliveredAndWhatIsToldAsMissedIsAllThereWas(policy: OverflowPolicy) {
        let (publisher, a, b, reader) = pair(policy, queue: 5)
        var (credit, told, published) = (0 as UInt64, [Effect](), 0 as UInt64)
        for step in 0..<200 as Range<UInt64> {
            let events = UInt32(step * 7 % 4 + 1)
            told += publisher.publish(step % 3 == 0 ? b : a, events: events)
            published += UInt64(events)
            guard step % 5 == 4 else { continue }
            credit += step % 7
            told += reader.credit(1, credit)
        }
        told += reader.unsubscribe(1)
        let delivered = UInt64(told.deliveries.sequences.count)
        let waiting = published - delivered - told.gaps.reduce(0) { $0 + ($1.count ?? 0) }
        #expect(told.endings.map(\.deliveredCount) == [delivered])
        #expect(told.endings.map(\.missedCount) == [published - delivered - waiting])
        #expect(waiting <= 5, "what was still queued at the end is neither")
        for topic in ["a", "b"] {
            let gaps = told.gaps.filter { $0.topic == Array(topic.utf8) }
            #expect(gaps.allSatisfy { (1...($0.lastSequence - $0.firstSequence + 1)).contains($0.count ?? 0) })
        }
    }

    @Test func theNewestIsLostBehindWhatWaits() {
        let (publisher, a, _, reader) = pair(.dropNewest, queue: 2)
        for _ in 0..<4 { publisher.publish(a) }
        let effects = reader.credit(1, 10)
        #expect(effects.deliveries.sequences == [1, 2])
        #expect(effects.gaps.map(\.firstSequence) == [3] && effects.gaps.map(\.lastSequence) == [4])
        #expect(effects.kinds.last == "gap", "nothing may follow, so it is told now")
    }

    @Test func ofEachTopicTheLatestWaits() {
        let (publisher, a, b, reader) = pair(.latest, queue: 10)
        for seal in [a, b, a, a, b, a] { publisher.publish(seal) }
        let effects = reader.credit(1, 100)
        #expect(effects.deliveries.sequences == [2, 4])
        #expect(effects.gaps.allSatisfy { $0.reason == .superseded })
        #expect(effects.gaps.reduce(0) { $0 + ($1.count ?? 0) } == 4)
    }

    @Test func whoWouldRatherEndEndsWithEverythingGivenBack() {
        let bench = Bench()
        let (publisher, a, _, reader) = pair(.disconnect, queue: 2, bench)
        for _ in 0..<3 { publisher.publish(a) }
        #expect(reader.session?.consumers.isEmpty == true)
        #expect(bench.account(1001)?.queued.used == 0 && bench.account(1001)?.subscriptionCount == 0)
        #expect(publisher.publish(a).receipts.first?.receipts.first?.liveMatches == 0)
        #expect(reader.subscribe(1, "*").kinds.first == "subscribed", "its number is free")
    }

    @Test func aGapTellsApartAsManyTopicsAsItMayAndCountsTheRest() {
        let bench = Bench()
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, ">", credit: 0, queue: 1)
        // Looked through once and not in each round.
        bench.isAudited = false
        for number in 0..<1500 { publisher.publish(publisher.seal("t\(number)")) }
        bench.isAudited = true
        let gaps = reader.credit(1, 10).gaps
        #expect(gaps.count == 1025 && gaps.count { $0.topic.isEmpty } == 1)
        #expect(gaps.reduce(0) { $0 + ($1.count ?? 0) } == 1499)
    }

    // MARK: Bad credit

    /// Credit at the edge of what a number holds costs who sends it an error, and nobody anything.
    @Test(arguments: [Limits.creditMax + 1, UInt64.max, UInt64.max - 1, 1 << 63])
    func creditThatWouldOverflowIsRefusedAndChangesNothing(amount: UInt64) {
        let bench = Bench()
        let (publisher, a, _, reader) = pair(.dropOldest, queue: 10, credit: 1, bench)
        let other = bench.open(3)
        other.subscribe(1, "a")
        publisher.publish(a)
        publisher.publish(a)
        for effects in [reader.credit(1, amount), reader.credit(1, 5, bytes: amount)] {
            #expect(effects.errors.map(\.reason) == [.invalidCredit])
            #expect(effects.to(other).isEmpty && effects.deliveries.isEmpty && effects.closes.isEmpty)
        }
        #expect(reader.subscribe(2, "a", credit: amount).errors.map(\.reason) == [.invalidCredit])
        #expect(reader.credit(1, Limits.creditMax, bytes: Limits.creditMax).deliveries.sequences == [2])
    }

    @Test(arguments: [2, 3, UInt64.max])
    func anAcknowledgementOfWhatWasNeverSentIsRefusedAndReleasesNothing(delivery: UInt64) {
        let bench = Bench()
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a", group: "g")
        publisher.publish(publisher.seal("a"))
        let effects = reader.acknowledge(1, delivery)
        #expect(effects.errors.map(\.reason) == [.acknowledgedUnsent] && effects.errors.first?.request == 1)
        #expect(bench.account()?.outstandingEvents == 1)
        #expect(reader.acknowledge(7, 1).errors.map(\.reason) == [.unknownSubscription])
        #expect(reader.acknowledge(1, 1).isEmpty && bench.account()?.outstandingEvents == 0)
        #expect(reader.acknowledge(1, 0).isEmpty, "an earlier one is no fault")
    }

    // MARK: The user's quota

    @Test func aLongQueueMakesRoomForTheOthersOfItsUser() {
        let bench = Bench { $0.quotas.queuedLength = 2000 }
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a", credit: 0)
        reader.subscribe(2, "b", credit: 0)
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        for _ in 0..<6 { publisher.publish(a, payload: 200) }
        for _ in 0..<3 { publisher.publish(b, payload: 200) }
        #expect(reader.credit(2, 10).deliveries.sequences == [1, 2, 3])
        let effects = reader.credit(1, 10)
        #expect(effects.gaps.map(\.reason) == [.quotaExceeded])
        #expect(effects.gaps.first?.firstSequence == 1 && effects.deliveries.sequences.last == 6)
    }

    @Test func whoHoldsPublishersBackPaysOnlyWhereNobodyElseCan() {
        let bench = Bench { $0.quotas.queuedLength = 1000 }
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a", credit: 0, stall: 60_000)
        reader.subscribe(2, "b", credit: 0)
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        for _ in 0..<2 { publisher.publish(a, payload: 300) }
        publisher.publish(b, payload: 50)
        publisher.publish(a, payload: 100)
        #expect(reader.subscription(1)?.missedCount == 0 && reader.subscription(2)?.missedCount == 1)
        publisher.publish(a, payload: 300)
        #expect(reader.subscription(1)?.missedCount == 1, "there was nobody else")
    }

    @Test func onePublishersUserCannotTakeAllThatAnotherMayQueue() {
        let bench = Bench { $0.quotas.queuedLength = 3000 }
        let (flood, drop, reader) = (bench.open(1), bench.open(2, uid: 1001), bench.open(3, uid: 1002))
        reader.subscribe(1, "*", credit: 0)
        let (a, b) = (flood.seal("a"), drop.seal("b"))
        for _ in 0..<30 { flood.publish(a, payload: 100) }
        let used = bench.account(1002)?.queued.used ?? 0
        #expect(used <= 1500 && used > 1200, "half of what there was")
        #expect(drop.publish(b, payload: 100).errors.isEmpty)
        let effects = reader.credit(1, 1000)
        #expect(effects.deliveries.last.map { $0.sequences } == [1], "the other's event has found room behind them")
        #expect(effects.gaps.allSatisfy { $0.topic == Array("a".utf8) && $0.reason == .quotaExceeded })
    }

    @Test func whoWouldRatherEndThanMissEndsForTheQuotaToo() {
        let bench = Bench { $0.quotas.queuedLength = 500 }
        let (publisher, a, _, reader) = pair(.disconnect, queue: 100, bench)
        let effects = publisher.send(publisher.batch(a, payload: 1000))
        #expect(effects.endings.map(\.reason) == [.quotaExceeded] && effects.endings.map(\.missedCount) == [1])
        #expect(reader.session?.consumers.isEmpty == true)
    }
}
