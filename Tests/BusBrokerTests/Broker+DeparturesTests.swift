// Last wills, and what is said of who is gone. The story is in Transcripts/will-and-presence.txt.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerDeparturesTests {
    private let bench = Bench {
        $0.quotas.retainedLength = 1000
        $0.announcesSessions = true
    }

    @Test func aWillOverTheLimitIsRefusedToWhoSetItAndTheOneBeforeStays() {
        let bench = Bench()
        let (peer, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a")
        let seal = peer.seal("a")
        peer.setWill(seal)
        let effects = peer.setWill(seal, payload: Limits.willLengthMax)
        #expect(effects.errors.map(\.reason) == [.willTooLarge] && effects.errors.first?.request == 9)
        #expect(effects.to(reader).isEmpty)
        #expect(peer.setWill(seal, events: 2).errors.map(\.reason) == [.malformedBatch])
        #expect(peer.setWill(77).errors.map(\.reason) == [.unknownSeal])
        #expect(peer.leave().to(reader).deliveries.sequences == [1])
    }

    @Test func itsCounterIsUsedUpWhetherItIsTakenOrNot() {
        let peer = bench.open(1)
        let seal = peer.seal("a")
        peer.setWill(seal)
        peer.setWill(seal, events: 2)
        peer.setWill(nil)
        // The peer counts each of them.
        #expect(peer.publish(seal).errors.isEmpty)
        let old = peer.batch(seal) { $0.counter = 0 }
        #expect(peer.send(old).errors.map(\.reason) == [.counterOutOfOrder])
    }

    @Test func itIsChargedUntilItIsPublishedTakenBackOrReplaced() {
        let peer = bench.open(1)
        let seal = peer.seal("a")
        peer.setWill(seal, payload: 700)
        #expect(bench.account()?.retainedLength ?? 0 > 700)
        #expect(peer.setWill(seal, payload: 800).errors.isEmpty, "what it replaces makes room")
        let other = bench.open(2)
        let refused = other.setWill(other.seal("b"), payload: 700)
        #expect(refused.errors.map(\.reason) == [.quotaExceeded])
        #expect(peer.setWill(nil).frames(to: peer).map(\.type) == [.done])
        #expect(bench.account()?.retainedLength == 0)
        #expect(peer.setWill(nil).frames(to: peer).map(\.type) == [.done], "also where there is none")
        peer.setWill(seal, payload: 100)
        peer.leave()
        #expect(bench.account()?.retainedLength == 0)
    }

    @Test func oneThatCannotBeKeptIsPublishedAllTheSame() {
        let (peer, other) = (bench.open(1), bench.open(2))
        other.subscribe(1, "*")
        let (will, value) = (peer.seal("a"), peer.seal("b"))
        peer.setWill(will, payload: 400, retains: true)
        peer.retain(value, payload: 300)
        #expect(peer.leave().to(other).deliveries.sequences == [1])
        #expect(bench.topic("a")?.retained != nil, "its own charge makes room for it")
        let late = bench.open(3)
        late.setWill(late.seal("c"), payload: 10, retains: true)
        bench.broker.accounts[1000]?.retainedLength += 1000
        bench.isAudited = false
        #expect(late.leave().to(other).deliveries.count == 1)
        #expect(bench.topic("c")?.retained == nil)
    }

    @Test func itWaitsForNoStallAndComesBehindWhatWasAccepted() {
        let (peer, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a", credit: 0, queue: 1, stall: 60_000)
        let seal = peer.seal("a")
        peer.publish(seal)
        peer.setWill(seal)
        peer.publish(seal)
        #expect(peer.session?.parked.count == 1)
        peer.leave()
        #expect(reader.credit(1, 10).deliveries.sequences == [1, 2], "what was parked is gone with its session")
    }

    @Test func itMayBeSetBehindPublishesThatWait() {
        let (peer, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a", credit: 0, queue: 1, stall: 60_000)
        let seal = peer.seal("a")
        peer.publish(seal)
        peer.publish(seal)
        #expect(peer.session?.parked.count == 1)
        #expect(peer.setWill(seal).frames(to: peer).map(\.type) == [.done])
        let effects = reader.credit(1, 10)
        #expect(effects.errors.isEmpty && effects.receipts.last?.progress == 2)
        #expect(peer.publish(seal).errors.isEmpty)
        #expect(peer.leave().to(reader).deliveries.sequences == [4])
    }

    @Test func itIsNoAnswer() {
        let (asker, asked) = (bench.open(1), bench.open(2))
        asked.subscribe(1, "ask", mode: .responds)
        asker.send(asker.request(asker.seal("ask"), id(1)))
        #expect(asked.setWill(asked.seal("$reply.1")).errors.map(\.reason) == [.noReplyRight])
    }

    @Test func itsTopicIsNotForgottenWhileItMayBePublished() {
        let (peer, reader) = (bench.open(1), bench.open(2))
        let seal = peer.seal("a")
        peer.publish(seal)
        peer.setWill(seal)
        peer.send(.closeSeal(seal: seal))
        bench.pass(milliseconds: 700_000)
        reader.subscribe(1, "a")
        #expect(peer.leave().to(reader).deliveries.sequences == [2])
        bench.pass(milliseconds: 600_000)
        #expect(bench.topic("a") == nil)
    }

    @Test(arguments: [Reason.goodbye, .peerClosed, .malformedFrame])
    func whoIsGoneIsToldWithTheReason(reason: Reason) {
        let (peer, watcher) = (bench.open(1), bench.open(2))
        watcher.subscribe(1, "$bus.session.closed")
        switch reason {
        case .goodbye: peer.send(.goodbye)
        case .peerClosed: break
        default: bench.round(.malformed(peer.id, .unknownFrame(type: 0xee)))
        }
        peer.leave()
        let expected = Advisory.sessionClosed(peer.id, PeerIdentity(uid: 1000, gid: 1000), name: "p1", reason)
        #expect(bench.advised.last == [expected], "once, and not again when its connection is closed")
    }

    @Test func manyThatLeaveAtOnceShareABatchBehindTheirWills() {
        let peers = (1...3).map { bench.open($0) }
        let watcher = bench.open(9)
        watcher.subscribe(1, "$bus.session.closed")
        watcher.subscribe(2, "a")
        for peer in peers { peer.setWill(peer.seal("a")) }
        let effects = bench.round(.disconnected(peers[2].id), .disconnected(peers[0].id), .disconnected(peers[1].id))
        #expect(effects.to(watcher).deliveries.map(\.subscription) == [2, 2, 2, 1])
        #expect(bench.advised.last?.count == 3)
    }

    @Test func aDaemonThatGoesDownPublishesNoWills() {
        let peer = bench.open(1)
        peer.setWill(peer.seal("a"))
        bench.round(.shutdown)
        peer.leave()
        #expect(bench.broker.totals.willsPublished == 0)
        #expect(bench.account()?.retainedLength ?? 0 == 0)
    }
}
