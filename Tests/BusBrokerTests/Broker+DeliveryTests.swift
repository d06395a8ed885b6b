// Delivery: credit, queues, gaps, rounds, blocked connections, announcements.

import BusWire
import Testing

@testable import BusBroker

@Suite struct CreditTests {
    @Test func creditIsOverdrawnByOneBatchAtMost() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 3)
        let seal = peer.seal("a")
        #expect(peer.publish(seal, events: 2).deliveries.count == 1)
        #expect(peer.publish(seal, events: 100).deliveries.count == 1, "one event of credit is left: it may overdraw")
        #expect(peer.publish(seal).deliveries.isEmpty)
        #expect(peer.credit(1, 102).deliveries.isEmpty, "102 were sent")
        #expect(peer.credit(1, 103).deliveries.map(\.firstSequence) == [103])
    }

    @Test func bytesCountAsEventsDo() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a", bytes: 1)
        let seal = peer.seal("a")
        #expect(peer.publish(seal, payload: 1000).deliveries.count == 1)
        #expect(peer.publish(seal, payload: 1000).deliveries.isEmpty)
        let sent = peer.session?.consumers[1]?.sentBytes ?? 0
        #expect(peer.credit(1, 1000, bytes: sent).deliveries.isEmpty)
        #expect(peer.credit(1, 1000, bytes: sent + 1).deliveries.count == 1)
    }

    @Test func withoutCreditNothingIsDelivered() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 0)
        let seal = peer.seal("a")
        for _ in 0..<3 { #expect(peer.publish(seal).deliveries.isEmpty) }
        #expect(peer.credit(1, 3).deliveries.map(\.delivery) == [1, 2, 3])
        #expect(bench.account()?.queued.used == 0)
    }
}

@Suite struct GapTests {
    @Test func theOldestMakeRoomAndTheGapSaysExactlyWhich() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 2, queue: 4)
        let seal = peer.seal("a")
        for _ in 0..<5 { peer.publish(seal, events: 2) }
        // 1-2 were delivered; of 3-10 the queue keeps four.
        let effects = peer.credit(1, 100)
        #expect(effects.kinds == ["gap", "deliver", "deliver"])
        #expect(
            effects.gaps == [
                Gap(
                    subscription: 1, reason: .queueFull, count: 4, firstSequence: 3, lastSequence: 6, topic: [0x61])
            ])
        #expect(effects.deliveries.map(\.firstSequence) == [7, 9])
        #expect(peer.publish(seal).gaps.isEmpty, "told once")
    }

    @Test func everyTopicHasItsOwnGap() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, ">", credit: 0, queue: 2)
        let (a, b) = (peer.seal("a"), peer.seal("b"))
        for _ in 0..<3 {
            peer.publish(a)
            peer.publish(b, events: 1)
        }
        let effects = peer.credit(1, 100)
        #expect(effects.gaps.map { String(decoding: $0.topic, as: UTF8.self) } == ["a", "b"])
        #expect(effects.gaps.map(\.count) == [2, 2])
        #expect(effects.gaps.map(\.lastSequence) == [2, 2])
        #expect(effects.deliveries.map(\.firstSequence) == [3, 3])
    }

    @Test func aSingleBatchIsNeverTooMuch() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 0, queue: 1)
        peer.publish(peer.seal("a"), events: 500)
        #expect(peer.credit(1, 1).deliveries.count == 1)
    }

    @Test func aUsersBytesAreBoundedOverAllItsSubscriptions() {
        let bench = Bench { $0.quotas.queuedLength = 3000 }
        let (publisher, subscriber) = (bench.open(1), bench.open(2, uid: 1001))
        subscriber.subscribe(1, "a", credit: 0)
        subscriber.subscribe(2, "a", credit: 0)
        let seal = publisher.seal("a")
        for _ in 0..<10 {
            publisher.publish(seal, payload: 900)
            #expect(bench.account(1001)?.queued.used ?? 0 <= 3000)
        }
        let held = bench.account(1001)?.queued.used ?? 0
        #expect(held > 0 && held <= 1500, "what one other user may have")
        var effects = subscriber.credit(1, 100) + subscriber.credit(2, 100)
        #expect(effects.deliveries.count == 1)
        effects += publisher.publish(seal)
        for number in [1, 2] as [UInt32] {
            let missed = effects.gaps.filter { $0.subscription == number }.compactMap(\.count).reduce(0, +)
            #expect(missed + UInt64(effects.deliveries.count { $0.subscription == number }) == 11)
        }
        #expect(effects.gaps.allSatisfy { $0.reason == .quotaExceeded })
    }
}

@Suite struct RoundTests {
    @Test func nothingMoreIsHandedOverThanARoundsBytes() {
        let bench = Bench { $0.roundLengthMax = 2000 }
        let peer = bench.open(1)
        peer.subscribe(1, "a")
        let seal = peer.seal("a")
        let sent = (0..<5).map { _ in peer.publish(seal, payload: 900).deliveries.count }
        #expect(sent == [1, 1, 1, 0, 0], "the third crosses the bound")
        #expect(peer.credit(1, 2000).deliveries.isEmpty, "credit is no room")
        #expect(peer.drained().deliveries.map(\.firstSequence) == [4, 5])
    }

    @Test func norThanARoundsDeliveriesAndSubscriptionsTakeTurns() {
        let bench = Bench { $0.roundCountMax = 2 }
        let peer = bench.open(1)
        peer.subscribe(1, "a")
        peer.subscribe(2, "a")
        let seal = peer.seal("a")
        #expect(peer.publish(seal).deliveries.map(\.subscription) == [1, 2])
        for _ in 0..<3 { #expect(peer.publish(seal).deliveries.isEmpty) }
        #expect(peer.drained().deliveries.map(\.subscription) == [1, 1])
        #expect(peer.drained().deliveries.map(\.subscription) == [2, 2])
        #expect(peer.drained().deliveries.map(\.subscription) == [1, 2])
        #expect(bench.broker.audit() == [])
    }

    @Test func aBlockedConnectionGetsNothingUntilItDrains() {
        let bench = Bench()
        let peer = bench.open(1)
        let other = bench.open(2)
        peer.subscribe(1, "a")
        other.subscribe(1, "a")
        let seal = other.seal("a")
        peer.blocked()
        #expect(other.publish(seal).deliveries.count == 1, "others don't wait")
        #expect(peer.credit(1, 2000).deliveries.isEmpty)
        #expect(peer.drained().deliveries.count == 1)
    }

    @Test func aConnectionThatDrainsDoesNotWalkPastThoseWithoutCredit() {
        let bench = Bench()
        let peer = bench.open(1)
        let seal = peer.seal("a")
        for number in 1...50 as ClosedRange<UInt32> { peer.subscribe(number, "a", credit: 0) }
        peer.publish(seal)
        #expect(peer.session?.waiting.isEmpty == true)
    }

    @Test func whatWaitsIsCopiedOutOfTheStorageItWasReceivedIn() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 0)
        let seal = peer.seal("a")
        guard case .publish(var publish) = peer.batch(seal) else { return }
        let storage = ByteStorage(capacity: 64 << 10)
        storage.base.copyMemory(from: publish.batch.base, byteCount: publish.batch.count)
        publish.batch = SharedBytes(storage: storage, offset: 0, count: publish.batch.count)
        peer.send(.publish(publish))
        let kept = peer.subscription(1)?.queue?.first?.batch.bytes
        #expect(kept == publish.batch)
        #expect(kept?.storage.capacity ?? .max < 1000)
    }
}

@Suite struct AnnouncementTests {
    @Test func aSealIsAnnouncedOnceBeforeItsFirstBatchAndItsTopicGrantedOnce() {
        let bench = Bench()
        let (publisher, subscriber) = (bench.open(1), bench.open(2, uid: 1001))
        let (first, second) = (publisher.seal("a"), publisher.seal("a"))
        subscriber.subscribe(1, ">")
        subscriber.subscribe(2, "a")
        let effects = publisher.publish(first)
        #expect(effects.kinds == ["announce", "granting", "deliver", "deliver", "receipts"])
        let announcement = effects.announcements.first
        #expect(announcement?.seal == first && announcement?.uid == 1000 && announcement?.publisher == "p1")
        #expect(announcement?.topic == [0x61] && announcement?.keyCheck.count == 16 && announcement?.salt.count == 32)
        #expect(publisher.publish(first).kinds == ["deliver", "deliver", "receipts"])
        #expect(publisher.publish(second).kinds == ["announce", "deliver", "deliver", "receipts"], "the grant holds")
    }

    @Test func whoSubscribedBeforeTheSealWasOpenedHearsOfItAtOnce() {
        let bench = Bench()
        let (publisher, subscriber) = (bench.open(1), bench.open(2, uid: 1001))
        subscriber.subscribe(1, "a", credit: 0)
        let effects = publisher.openSeal("a")
        #expect(effects.kinds == ["openSeal", "announce", "granting"])
        #expect(effects.to(subscriber).kinds == ["announce", "granting"])
        let seal = effects.orders.first?.seal ?? 0
        subscriber.credit(1, 10)
        #expect(publisher.publish(seal).kinds == ["deliver", "receipts"])
        #expect(publisher.openSeal("a").kinds == ["openSeal", "announce"], "the grant holds")
    }

    @Test func onlyTheFirstFewSubscribersHearOfASealBeforeItIsUsedAndNoneThatDoesNotRead() {
        let bench = Bench()
        let publisher = bench.open(100)
        let subscribers = (1...10 as ClosedRange<UInt64>).map { bench.open($0) }
        for subscriber in subscribers { subscriber.subscribe(1, "a") }
        subscribers[2].blocked()
        let told = publisher.openSeal("a")
        #expect(subscribers.map { told.to($0).announcements.count } == [1, 1, 0, 1, 1, 1, 1, 1, 0, 0])
        let later = publisher.publish(told.orders.first?.seal ?? 0)
        #expect(subscribers.map { later.to($0).announcements.count } == [0, 0, 0, 0, 0, 0, 0, 0, 1, 1])
        #expect(subscribers[2].drained().to(subscribers[2]).kinds == ["announce", "granting", "deliver"])
    }

    @Test func announcementsBeginAnewBeforeTheyAreTooMany() {
        let bench = Bench { $0.announcedCountMax = 2 }
        let peer = bench.open(1)
        let seals = ["a", "b", "c"].map { peer.seal($0) }
        peer.subscribe(1, ">")
        #expect(seals.prefix(2).flatMap { peer.publish($0).announcements }.map(\.forgetsEarlier) == [false, false])
        let third = peer.publish(seals[2])
        #expect(third.announcements.map(\.forgetsEarlier) == [true])
        #expect(third.grants.map(\.description) == ["c"])
        let again = peer.publish(seals[0])
        #expect(again.announcements.map(\.forgetsEarlier) == [false])
        #expect(again.grants.map(\.description) == ["a"], "forgotten and granted again")
    }
}
