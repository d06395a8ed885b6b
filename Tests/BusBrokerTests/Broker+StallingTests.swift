// Stalls: who waits, for whom, how long, and what goes on meanwhile.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerStallingTests {
    let bench = Bench()

    /// A publisher with a seal on `a`, and a subscriber of it who stalls at two events for 100 ms.
    private func stalled() -> (publisher: Peer, subscriber: Peer, seal: UInt64) {
        let (publisher, subscriber) = (bench.open(1), bench.open(2, uid: 1001))
        subscriber.subscribe(1, "a", credit: 0, queue: 2, stall: 100)
        let seal = publisher.seal("a")
        publisher.publish(seal)
        publisher.publish(seal)
        return (publisher, subscriber, seal)
    }

    @Test func aPublisherWaitsWhileTheQueueIsFull() {
        let (publisher, _, seal) = stalled()
        #expect(publisher.publish(seal).isEmpty, "no sequence, no receipt")
        #expect(bench.account()?.parkedLength ?? 0 > 0, "its own user pays for it")
        #expect(bench.broker.nextDeadline == bench.now.monotonic + 100_000_000)
        #expect(bench.broker.audit() == [])
    }

    @Test func whatAUserMayParkIsBounded() {
        let bench = Bench { $0.quotas.parkedLength = 200 }
        let (publisher, subscriber) = (bench.open(1), bench.open(2, uid: 1001))
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 100)
        let seal = publisher.seal("a")
        publisher.publish(seal)
        #expect(publisher.publish(seal).isEmpty, "the first one waits")
        let effects = publisher.publish(seal) + publisher.publish(seal)
        #expect(
            effects.frames(to: publisher).contains { frame in
                if case .error(let error) = frame { error.reason == .quotaExceeded && error.isFatal } else { false }
            })
        #expect(bench.broker.audit() == [])
    }

    @Test func othersTopicsGoOnButNothingOvertakesOnOneConnection() {
        let (publisher, _, seal) = stalled()
        let other = bench.open(3)
        let (mine, theirs) = (publisher.seal("b"), other.seal("b"))
        publisher.publish(seal)
        #expect(publisher.publish(mine).isEmpty, "behind a publish that waits, all wait")
        #expect(other.publish(theirs).receipts.first?.progress == 1)
    }

    @Test func creditOfTheSameConnectionIsTakenAndEndsTheStall() {
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 0, queue: 2, stall: 1000)
        let seal = peer.seal("a")
        for _ in 0..<4 { peer.publish(seal) }
        #expect(peer.session?.progress == 2)
        let effects = peer.credit(1, 10)
        #expect(effects.deliveries.map(\.firstSequence) == [1, 2, 3, 4])
        #expect(effects.receipts.first?.progress == 4)
        #expect(effects.receipts.first?.receipts.map(\.firstSequence) == [3, 4])
        #expect(bench.account()?.parkedLength == 0)
    }

    @Test func itEndsWhenHalfOfTheQueueHasGone() {
        let (publisher, subscriber) = (bench.open(1), bench.open(2))
        subscriber.subscribe(1, "a", credit: 0, queue: 4, stall: 1000)
        let seal = publisher.seal("a")
        for _ in 0..<5 { publisher.publish(seal) }
        #expect(subscriber.credit(1, 1).receipts.isEmpty, "three of four are left")
        #expect(subscriber.credit(1, 2).receipts.first?.progress == 5)
    }

    @Test func publishersGoOnInTheOrderInWhichTheyBeganToWait() {
        let (publisher, subscriber, seal) = stalled()
        let second = bench.open(3)
        let theirs = second.seal("a")
        second.publish(theirs)
        publisher.publish(seal)
        second.publish(theirs)
        let effects = subscriber.credit(1, 100)
        let order = effects.receipts.flatMap(\.receipts).sorted { $0.firstSequence < $1.firstSequence }
        #expect(order.map(\.number) == [1, 2, 3], "both of the second, who came first, then the first's third")
        #expect(effects.deliveries.map(\.firstSequence) == [1, 2, 3, 4, 5])
    }

    @Test func afterItsTimeTheOldestMakeRoomAndTheGapSaysWhy() {
        let (publisher, subscriber, seal) = stalled()
        publisher.publish(seal)
        #expect(bench.pass(milliseconds: 99).isEmpty)
        #expect(bench.pass(milliseconds: 1).receipts.first?.progress == 3)
        #expect(bench.broker.nextDeadline == nil)
        #expect(publisher.publish(seal).receipts.first?.progress == 4, "nobody waits any more")
        let effects = subscriber.credit(1, 100)
        #expect(
            effects.gaps == [
                Gap(
                    subscription: 1, reason: .stallTimedOut, count: 2, firstSequence: 1, lastSequence: 2,
                    topic: [0x61])
            ])
        #expect(effects.deliveries.map(\.firstSequence) == [3, 4])
        subscriber.credit(1, 101)
        for _ in 0..<200 { publisher.publish(seal) }
        #expect(publisher.session?.parked.isEmpty == false, "emptied, and full again: it may stall anew")
    }

    @Test func noTimeAtAllIsOverBeforeItBegins() {
        let (publisher, subscriber) = (bench.open(1), bench.open(2))
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 0)
        let seal = publisher.seal("a")
        for number in 1...3 as ClosedRange<UInt64> {
            #expect(publisher.publish(seal).receipts.first?.progress == number)
            #expect(bench.broker.nextDeadline == nil)
        }
    }

    @Test func whoeverLeavesHoldsNobodyBack() {
        let (publisher, subscriber, seal) = stalled()
        publisher.publish(seal)
        #expect(subscriber.leave().receipts.first?.receipts.first?.liveMatches == 0)
    }

    @Test func unsubscribingHoldsNobodyBack() {
        let (publisher, subscriber, seal) = stalled()
        publisher.publish(seal)
        #expect(subscriber.send(.unsubscribe(subscription: 1)).receipts.first?.progress == 3)
    }

    @Test func aPublisherThatLeavesTakesWhatWaitsWithIt() {
        let (publisher, subscriber, seal) = stalled()
        publisher.publish(seal)
        publisher.leave()
        #expect(bench.account()?.parkedLength ?? 0 == 0)
        #expect(subscriber.credit(1, 100).deliveries.map(\.firstSequence) == [1, 2])
    }

    @Test func whatWaitsCountsAgainstTheWindow() {
        let bench = Bench { $0.publishWindow = 1000 }
        let (publisher, subscriber) = (bench.open(1), bench.open(2))
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 1000)
        let seal = publisher.seal("a")
        publisher.publish(seal)
        #expect(publisher.publish(seal, payload: 600).closes.isEmpty)
        #expect(publisher.publish(seal, payload: 600).closes == [.windowExceeded])
        #expect(bench.account()?.parkedLength == 0)
        #expect(bench.broker.audit() == [])
    }

    @Test func aRefusalThatEndsASessionLeavesNothingBehind() {
        let bench = Bench { $0.unreadCountMax = 0 }
        let (publisher, subscriber) = (bench.open(1), bench.open(2))
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 100)
        let seal = publisher.seal("a")
        publisher.publish(seal)
        publisher.publish(seal)
        publisher.send(publisher.batch(seal) { $0.hasBadColumns = true })
        publisher.publish(seal)
        publisher.blocked()
        #expect(bench.pass(milliseconds: 100).closes == [.notReading])
        #expect(bench.account()?.parkedLength == 0)
        #expect(bench.broker.audit() == [])
    }

    @Test func theNextDeadlineIsThatOfAStallThatLasts() {
        let (publisher, first, second) = (bench.open(1), bench.open(2), bench.open(3))
        first.subscribe(1, "a", credit: 0, queue: 1, stall: 100)
        second.subscribe(1, "b", credit: 0, queue: 1, stall: 300)
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        publisher.publish(a)
        publisher.publish(b)
        #expect(bench.broker.nextDeadline == bench.now.monotonic + 100_000_000)
        first.credit(1, 10)
        #expect(bench.broker.nextDeadline == bench.now.monotonic + 300_000_000, "the first one has ended")
        bench.pass(milliseconds: 300)
        #expect(bench.broker.stallDeadlineCount == 0)
        #expect(publisher.publish(b).receipts.first?.receipts.first?.firstSequence == 2, "and nobody waits any more")
    }

    @Test func stallsThatComeAndGoLeaveNoDeadlines() {
        let (publisher, lasting, subscriber) = (bench.open(1), bench.open(2), bench.open(3))
        lasting.subscribe(1, "a", credit: 0, queue: 1, stall: 50)
        subscriber.subscribe(1, "b", credit: 0, queue: 1, stall: 1000)
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        publisher.publish(a)
        for count in 1...200 as ClosedRange<UInt64> {
            publisher.publish(b)
            subscriber.credit(1, count)
        }
        #expect(bench.broker.stallDeadlineCount <= 2 * 2 + 64)
        bench.pass(milliseconds: 50)
        #expect(bench.broker.nextDeadline == nil)
    }
}
