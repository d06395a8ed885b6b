// Subscriptions: made, given credit, acknowledged, ended.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerSubscribingTests {
    @Test(arguments: ["", "a..b", "a.>.b", "a*", "a."])
    func aFilterAgainstTheRulesIsRefused(filter: String) {
        let effects = Bench().open(1).subscribe(3, filter)
        #expect(effects.errors.first?.reason == .badFilter)
        #expect(effects.errors.first?.request == 3)
    }

    @Test func aNumberIsUsedOnceAtATime() {
        let bench = Bench()
        let peer = bench.open(1)
        #expect(peer.subscribe(1, "a").kinds == ["subscribed"])
        #expect(peer.subscribe(1, "b").errors.first?.reason == .subscriptionExists)
        peer.send(.unsubscribe(subscription: 1))
        #expect(peer.subscribe(1, "b").kinds == ["subscribed"])
    }

    @Test func whatThisDaemonDoesNotOfferIsRefused() {
        let peer = Bench().open(1)
        for overflow in [5, 6, 255] as [UInt8] {
            var request = Subscribe(subscription: 1, filter: [0x61], creditEvents: 0, creditBytes: 0)
            request.overflow = overflow
            #expect(peer.send(.subscribe(request)).errors.first?.reason == .notSupported)
        }
        #expect(peer.subscribe(1, "a", stall: Limits.stallMillisecondsMax + 1).errors.first?.reason == .notSupported)
        #expect(peer.subscribe(1, "a", credit: .max).errors.first?.reason == .invalidCredit)
        #expect(peer.subscribe(1, "a", bytes: .max).errors.first?.reason == .invalidCredit)
    }

    @Test func subscriptionsBeyondTheQuotaAreRefused() {
        let bench = Bench { $0.subscriptionCountMax = 1 }
        let peer = bench.open(1)
        peer.subscribe(1, "a")
        #expect(peer.subscribe(2, "b").errors.first?.reason == .quotaExceeded)
    }

    @Test func theSixteenThousandAndFirstOfASessionIsRefusedAndCostsNobodyElseAnything() {
        let bench = Bench()
        let (peer, other) = (bench.open(1), bench.open(2))
        for number in 1...16_000 as ClosedRange<UInt32> {
            let request = Subscribe(subscription: number, filter: [0x61], creditEvents: 0, creditBytes: 0)
            bench.broker.handle(.received(peer.id, .subscribe(request)), at: bench.now)
        }
        #expect(bench.round().errors.isEmpty)
        let effects = peer.subscribe(16_001, "a")
        #expect(effects.errors.map(\.reason) == [.quotaExceeded] && effects.errors.first?.request == 16_001)
        #expect(
            effects.errors.first?.message == "quota subscriptions per session of uid 1000 is used up: 16000 of 16000")
        #expect(effects.count == 1, "nobody else hears of it, and its session goes on")
        #expect(other.subscribe(1, "a").kinds == ["subscribed"], "another session of the same user has its own")
        peer.unsubscribe(7)
        #expect(peer.subscribe(16_001, "a").kinds == ["subscribed"])
    }

    @Test(arguments: ["a.b", "*", ">", "$g", "a b", "a\u{7f}", String(repeating: "g", count: 65)])
    func aGroupsNameAgainstTheRulesIsRefusedAndMakesNoGroup(name: String) {
        let bench = Bench()
        let effects = bench.open(1).subscribe(3, "a", group: name)
        #expect(effects.errors.map(\.reason) == [.badGroup] && effects.errors.first?.request == 3)
        #expect(effects.count == 1 && bench.broker.groups.isEmpty && bench.broker.filters.isEmpty)
    }

    @Test func creditIsARunningTotalThatNeverGoesBack() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 10, bytes: 10)
        #expect(peer.credit(1, 10, bytes: 10).isEmpty, "again is no fault")
        #expect(peer.credit(1, 9, bytes: 10).errors.first?.reason == .invalidCredit)
        #expect(peer.credit(1, 11, bytes: 9).errors.first?.reason == .invalidCredit)
        #expect(peer.credit(1, .max, bytes: 10).errors.first?.reason == .invalidCredit)
        #expect(peer.credit(1, Limits.creditMax, bytes: Limits.creditMax).isEmpty)
        #expect(peer.credit(2, 1).errors.first?.reason == .unknownSubscription)
    }

    @Test func onlyWhatWasDeliveredCanBeAcknowledged() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a")
        peer.publish(peer.seal("a"))
        func acknowledge(_ delivery: UInt64, of subscription: UInt32 = 1) -> Reason? {
            peer.send(.acknowledge(Acknowledge(subscription: subscription, delivery: delivery))).errors.first?.reason
        }
        #expect(acknowledge(1) == nil)
        #expect(acknowledge(0) == nil)
        #expect(acknowledge(2) == .acknowledgedUnsent)
        #expect(acknowledge(1, of: 2) == .unknownSubscription)
    }

    @Test func theEndTellsWhatWasMissedAndTheWholeAccount() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 2, queue: 2)
        let seal = peer.seal("a")
        for _ in 0..<4 { peer.publish(seal, events: 2) }
        let effects = peer.send(.unsubscribe(subscription: 1))
        #expect(effects.kinds == ["gap", "unsubscribed"])
        #expect(effects.gaps.first?.count == 4)
        #expect(
            effects.frames(to: peer).last
                == .unsubscribed(
                    Unsubscribed(subscription: 1, reason: .unsubscribed, deliveredCount: 2, missedCount: 4)))
        #expect(bench.account()?.queued.used == 0)
        #expect(peer.send(.unsubscribe(subscription: 1)).errors.first?.reason == .unknownSubscription)
        #expect(peer.publish(seal).deliveries.isEmpty)
    }

    @Test func anEndedSubscriptionKeepsNothingForTheSakeOfAnOldRoute() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 0)
        peer.publish(peer.seal("a"), payload: 1000)
        let subscription = peer.subscription(1)
        peer.send(.unsubscribe(subscription: 1))
        #expect(subscription?.queue?.isEmpty == true && subscription?.queue?.length == 0)
    }
}
