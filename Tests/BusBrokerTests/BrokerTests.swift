// The contract: inputs, rounds, effects in order, the next deadline; and that no frame in any state does harm.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerTests {
    @Test func receiptsAreToldOnceARound() {
        let bench = Bench()
        let peer = bench.open(1)
        let seal = peer.seal("a")
        let frames = [peer.batch(seal), peer.batch(seal), peer.batch(seal)]
        for frame in frames { bench.broker.handle(.received(peer.id, frame), at: bench.now) }
        #expect(bench.drain().isEmpty)
        bench.broker.endRound(at: bench.now)
        #expect(bench.drain().kinds == ["receipts"])
    }

    @Test func theNextDeadlineIsTheEarliestOfAll() {
        let bench = Bench()
        let (publisher, subscriber) = (bench.open(1), bench.open(2))
        #expect(bench.broker.nextDeadline == nil)
        let start = bench.now.monotonic
        bench.round(.connected(SessionID(3), PeerIdentity(uid: 1000, gid: 1000)))
        #expect(bench.broker.nextDeadline == start + 5_000_000_000)
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 3000)
        publisher.publish(publisher.seal("a"))
        #expect(bench.broker.nextDeadline == start + 3_000_000_000)
        bench.pass(milliseconds: 3000)
        #expect(bench.broker.nextDeadline == start + 5_000_000_000)
    }

    @Test func aRoundIsAskedForWhenSomethingWaitsForIt() {
        let bench = Bench()
        let (publisher, subscriber) = (bench.open(1), bench.open(2))
        let seal = publisher.seal("a")
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 1000)
        publisher.publish(seal)
        publisher.publish(seal)
        #expect(!bench.broker.needsRound)
        publisher.blocked()
        bench.broker.handle(.drained(publisher.id), at: bench.now)
        #expect(!bench.broker.needsRound, "nothing was kept back from it")
        let credit = Credit(subscription: 1, events: 1, bytes: 1 << 30)
        bench.broker.handle(.received(subscriber.id, .credit(credit)), at: bench.now)
        _ = bench.drain()
        #expect(bench.broker.needsRound, "a stall is over")
        bench.broker.handle(.blocked(publisher.id), at: bench.now)
        #expect(bench.round().receipts.isEmpty)
        bench.broker.handle(.drained(publisher.id), at: bench.now)
        #expect(bench.broker.needsRound, "receipts were kept back")
    }

    @Test func aRoundIsAskedForWhenWhoeverHeldBackPublishesIsGone() {
        let bench = Bench()
        let (publisher, subscriber) = (bench.open(1), bench.open(2))
        let seal = publisher.seal("a")
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 1000)
        publisher.publish(seal)
        publisher.publish(seal)
        bench.broker.handle(.disconnected(subscriber.id), at: bench.now)
        #expect(bench.broker.needsRound)
        #expect(bench.round().receipts.first?.progress == 2)
    }

    @Test func inputsOfSessionsThatAreGoneDoNothing() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.leave()
        let inputs: [Input] = [
            .authenticated(peer.id, name: ""), .received(peer.id, .goodbye), .malformed(peer.id, .notThisProtocol),
            .drained(peer.id), .blocked(peer.id), .disconnected(peer.id),
            .sealDerived(seal: 1, session: peer.id, keyCheck: []),
        ]
        for input in inputs { #expect(bench.round(input).isEmpty) }
        #expect(bench.broker.isIdle)
    }

    /// Frames with every number at its ends, in every phase a session can be in.
    @Test(arguments: [0, 1, UInt64.max - 1, UInt64.max])
    func noFrameInAnyStateDoesHarm(number: UInt64) {
        let small = UInt32(truncatingIfNeeded: number)
        var subscribe = Subscribe(
            subscription: small, filter: [0x61], overflow: .stall, stallMilliseconds: small, queueEventCount: small,
            queueLength: number, creditEvents: number, creditBytes: number)
        let hostile: [Frame] = [
            .closeSeal(seal: number), .publish(Publish(number: number, wantsReceipt: true, batch: .empty)),
            .credit(Credit(subscription: small, events: number, bytes: number)),
            .acknowledge(Acknowledge(subscription: small, delivery: number)), .unsubscribe(subscription: small),
            .inspect(Inspect(request: small, kind: InspectionKind(rawValue: .max))),
            .openSeal(OpenSeal(request: small, salt: [UInt8](repeating: 0xff, count: 32), topic: [0xff, 0xfe])),
            .openSeal(OpenSeal(request: small, salt: [UInt8](repeating: 0xff, count: 32), topic: [0x61])),
            .subscribe(subscribe), .goodbye, .closing(reason: .denied, message: ""),
        ]
        subscribe.stallMilliseconds = min(small, Limits.stallMillisecondsMax)
        subscribe.creditEvents = min(number, Limits.creditMax)
        subscribe.creditBytes = min(number, Limits.creditMax)
        let setup: [(Peer) -> Void] = [
            { _ in }, { $0.blocked() }, { _ = $0.seal("a") }, { $0.send(.subscribe(subscribe)) },
            { peer in
                peer.send(.subscribe(subscribe))
                let seal = peer.seal("a")
                for _ in 0..<3 { peer.publish(seal, events: 4096) }
            }, { $0.bench.round(.shutdown) },
        ]
        for prepare in setup {
            for frame in hostile {
                let bench = Bench()
                let peer = bench.open(1)
                prepare(peer)
                peer.send(frame)
                peer.send(frame)
                bench.pass(milliseconds: 3_600_000)
                #expect(bench.broker.audit() == [])
                peer.leave()
                #expect(bench.broker.isIdle)
            }
        }
    }
}
