// Admission, goodbyes and shutdown.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerSessionsTests {
    @Test func aUserWhoIsNotAdmittedIsToldWhoItIs() {
        let bench = Bench()
        let effects = bench.round(.connected(SessionID(1), PeerIdentity(uid: 33, gid: 33)))
        #expect(effects.kinds == ["error", "close"])
        #expect(effects.errors.first?.reason == .denied)
        #expect(effects.errors.first?.message.contains("uid 33") == true)
        bench.round(.disconnected(SessionID(1)))
        #expect(bench.broker.accounts.isEmpty)
    }

    @Test func aPeerThatSaysNothingIsClosedWhenItsTimeIsOver() {
        let bench = Bench()
        bench.round(.connected(SessionID(1), PeerIdentity(uid: 1000, gid: 1000)))
        #expect(bench.broker.nextDeadline == bench.now.monotonic + 5_000_000_000)
        #expect(bench.pass(milliseconds: 4999).isEmpty)
        #expect(bench.pass(milliseconds: 1).closes == [.helloTimeout])
        #expect(bench.broker.nextDeadline == nil)
    }

    @Test func aPeerThatLeftBeforeItsHelloLeavesNoDeadline() {
        let bench = Bench()
        bench.round(.connected(SessionID(1), PeerIdentity(uid: 1000, gid: 1000)))
        bench.round(.disconnected(SessionID(1)))
        #expect(bench.broker.nextDeadline == nil)
        #expect(bench.broker.isIdle)
    }

    @Test func nothingCountsBeforeTheHello() {
        let bench = Bench()
        bench.round(.connected(SessionID(1), PeerIdentity(uid: 1000, gid: 1000)))
        #expect(Peer(bench, SessionID(1)).subscribe(1, "a").isEmpty)
    }

    @Test func connectionsBeyondTheQuotaAreRefusedWithItsNumbers() {
        let bench = Bench { $0.quotas.connections = 2 }
        _ = bench.open(1)
        _ = bench.open(2)
        let effects = bench.round(.connected(SessionID(3), PeerIdentity(uid: 1000, gid: 1000)))
        #expect(effects.errors.first?.message == "quota connections of uid 1000 is used up: 2 of 2")
        #expect(effects.closes == [.quotaExceeded])
        #expect(bench.open(4, uid: 1001).subscribe(1, "a").kinds == ["subscribed"], "another user is not affected")
        bench.round(.disconnected(SessionID(3)), .disconnected(SessionID(1)))
        #expect(bench.open(5).subscribe(1, "a").kinds == ["subscribed"])
    }

    @Test func aFrameOfTheDaemonsOwnClosesWhoSendsIt() {
        let peer = Bench().open(1)
        let bench = peer.bench
        #expect(peer.send(.subscribed(subscription: 1)).closes == [.unexpectedFrame])
        #expect(peer.send(.inspect(Inspect(request: 1, kind: .status))).isEmpty, "nothing counts any more")
        #expect(bench.broker.audit() == [])
    }

    @Test func bytesThatAreNoFrameCloseTheirSenderByName() {
        let bench = Bench()
        let peer = bench.open(1)
        let effects = bench.round(.malformed(peer.id, .unknownFrame(type: 0xee)))
        #expect(effects.kinds == ["error", "close"])
        #expect(effects.closes == [.malformedFrame])
    }

    @Test func aPeerThatAsksAndNeverReadsIsClosed() {
        let bench = Bench { $0.unreadCountMax = 2 }
        let peer = bench.open(1)
        peer.blocked()
        let question = Frame.inspect(Inspect(request: 1, kind: .status))
        #expect(peer.send(question, question).closes.isEmpty)
        #expect(peer.send(question).closes == [.notReading])
    }

    @Test func aFatalErrorComesBehindTheReceiptsItsPeerIsOwed() {
        let bench = Bench()
        let peer = bench.open(1)
        let seal = peer.seal("a")
        #expect(peer.send(peer.batch(seal), .subscribed(subscription: 1)).kinds == ["receipts", "error", "close"])
    }

    @Test func aClosedSessionHoldsNothingWhileItsConnectionLingers() {
        let bench = Bench()
        let publisher = bench.open(1)
        let subscriber = bench.open(2)
        let seal = publisher.seal("a")
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 60_000)
        publisher.publish(seal)
        #expect(publisher.publish(seal).receipts.isEmpty, "it stalls")
        let effects = bench.round(.malformed(subscriber.id, .unknownFrame(type: 0xee)))
        #expect(effects.receipts.first?.progress == 2, "it doesn't stall any more")
        #expect(publisher.publish(seal).receipts.first?.receipts.first?.liveMatches == 0)
        #expect(bench.account()?.queued.used == 0)
    }

    @Test func goodbyeIsAnsweredByWhatIsOwedAndTheEnd() {
        let bench = Bench()
        let peer = bench.open(1)
        let seal = peer.seal("a")
        #expect(peer.send(peer.batch(seal), .goodbye).kinds == ["receipts", "close"])
    }

    @Test func goodbyeIsAnsweredEvenIfThePeerDoesNotReadNow() {
        let bench = Bench()
        let peer = bench.open(1)
        let seal = peer.seal("a")
        peer.blocked()
        #expect(peer.publish(seal).isEmpty)
        #expect(peer.send(.goodbye).kinds == ["receipts", "close"])
    }

    @Test func goodbyeWaitsForPublishesThatWait() {
        let bench = Bench()
        let publisher = bench.open(1)
        let subscriber = bench.open(2)
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 100)
        let seal = publisher.seal("a")
        publisher.publish(seal)
        #expect(publisher.send(publisher.batch(seal), .goodbye).kinds.isEmpty)
        let effects = bench.pass(milliseconds: 100)
        #expect(effects.kinds == ["receipts", "close"])
        #expect(effects.receipts.first?.progress == 2)
        #expect(effects.closes == [.goodbye])
    }

    @Test func everythingIsGivenBackWhenEverybodyIsGone() {
        let bench = Bench()
        let publisher = bench.open(1)
        let subscriber = bench.open(2, uid: 1001)
        let seals = [publisher.seal("a"), publisher.seal("b")]
        subscriber.subscribe(1, ">", credit: 1)
        subscriber.subscribe(2, "a", credit: 0, queue: 1, stall: 1000)
        for seal in seals + seals { publisher.publish(seal, payload: 100) }
        #expect(bench.account(1001)?.queued.used ?? 0 > 0)
        #expect(bench.account(1000)?.parkedLength ?? 0 > 0)
        #expect(bench.broker.audit() == [])
        publisher.leave()
        subscriber.leave()
        #expect(bench.broker.isIdle)
        #expect(bench.account(1001) == nil)
    }

    @Test func manySubscriptionsLeaveInTimeThatGrowsWithTheirNumber() {
        let bench = Bench()
        let publisher = bench.open(1)
        let subscriber = bench.open(2)
        let seal = publisher.seal("a")
        for number in 1...16_000 as ClosedRange<UInt32> {
            let request = Subscribe(
                subscription: number, filter: [0x61], overflow: .stall, stallMilliseconds: 1000, queueEventCount: 1,
                creditEvents: 0, creditBytes: 0)
            bench.broker.handle(.received(subscriber.id, .subscribe(request)), at: bench.now)
        }
        publisher.publish(seal)
        let clock = ContinuousClock()
        let time = clock.measure { _ = subscriber.leave() }
        #expect(bench.broker.filters.isEmpty && bench.broker.stalling.isEmpty)
        // Some 20 ms on a quiet machine; quadratic it was many seconds.
        #expect(time < .seconds(3))
    }
}
