// Going down: what is queued still goes, for a bounded time, and nobody is waited for who could get nothing anyway. The
// story is in Transcripts/shutdown.txt.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerDrainingTests {
    private let bench = Bench()

    @Test func everybodyIsToldAndTheEndComesWhenTheyAreGone() {
        let peer = bench.open(1)
        bench.round(.connected(SessionID(2), PeerIdentity(uid: 1000, gid: 1000)))
        let effects = bench.round(.shutdown)
        #expect(effects.frames(to: peer).map(\.type) == [.closing])
        #expect(effects.closes == [.shuttingDown, .shuttingDown])
        #expect(bench.broker.nextDeadline.map { $0 > bench.now.monotonic } ?? true, "no deadline that is over")
        #expect(bench.round(.disconnected(SessionID(2))).isEmpty)
        #expect(peer.leave().stops == 1)
        #expect(bench.round().stops == 0, "it ends once")
    }

    @Test func whatIsQueuedIsStillDelivered() {
        let publisher = bench.open(1)
        let subscriber = bench.open(2)
        subscriber.subscribe(1, "a")
        subscriber.blocked()
        let seal = publisher.seal("a")
        publisher.publish(seal)
        #expect(bench.round(.shutdown).isEmpty)
        #expect(bench.round(.connected(SessionID(3), PeerIdentity(uid: 0, gid: 0))).closes == [.shuttingDown])
        #expect(publisher.publish(seal).isEmpty, "nothing new is accepted, and nothing is promised")
        // The third was closed before and is not yet gone.
        let effects = subscriber.drained()
        #expect(effects.kinds == ["announce", "granting", "deliver", "closing", "close", "closing", "close"])
    }

    @Test func itsTimeIsBounded() {
        let publisher = bench.open(1)
        let subscriber = bench.open(2)
        subscriber.subscribe(1, "a")
        subscriber.blocked()
        publisher.publish(publisher.seal("a"))
        #expect(bench.round(.shutdown).isEmpty)
        #expect(bench.broker.nextDeadline == bench.now.monotonic + 5_000_000_000)
        #expect(bench.pass(milliseconds: 4999).isEmpty)
        #expect(bench.pass(milliseconds: 1).closes == [.shuttingDown, .shuttingDown])
        #expect(bench.broker.nextDeadline ?? .max > bench.now.monotonic, "nobody is woken for what is over")
    }

    @Test func receiptsComeBeforeTheEnd() {
        let publisher = bench.open(1)
        let seal = publisher.seal("a")
        publisher.blocked()
        publisher.publish(seal)
        #expect(bench.round(.shutdown).kinds == ["receipts", "closing", "close"])
    }

    @Test func whoHasNoCreditIsNotWaitedFor() {
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a", credit: 0)
        publisher.publish(publisher.seal("a"))
        #expect(bench.round(.shutdown).closes == [.shuttingDown, .shuttingDown])
    }

    @Test func aStandbyIsNotWaitedFor() {
        let (publisher, oldest, standby) = (bench.open(1), bench.open(2), bench.open(3))
        oldest.subscribe(1, "a", credit: 0, group: "g", mode: .exclusive)
        standby.subscribe(1, "a", group: "g", mode: .exclusive)
        publisher.publish(publisher.seal("a"))
        #expect(bench.round(.shutdown).closes.count == 3)
    }

    @Test func whoHoldsTooMuchAlreadyIsNotWaitedFor() {
        let bench = Bench { $0.quotas.outstandingEvents = 1 }
        let (publisher, member) = (bench.open(1), bench.open(2))
        member.subscribe(1, "a", group: "g")
        let seal = publisher.seal("a")
        publisher.publish(seal)
        publisher.publish(seal)
        #expect(bench.round(.shutdown).closes.count == 2)
    }

    @Test func lastValuesAreStillTold() {
        let (publisher, reader) = (bench.open(1), bench.open(2))
        publisher.retain(publisher.seal("a"))
        reader.blocked()
        reader.subscribe(1, "a", mode: .last)
        #expect(bench.round(.shutdown).closes.isEmpty)
        let effects = reader.drained()
        #expect(effects.deliveries.count == 1 && effects.markers.count == 1 && effects.closes.count == 2)
    }

    @Test func aSecondOneChangesNothing() {
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a")
        reader.blocked()
        publisher.publish(publisher.seal("a"))
        bench.round(.shutdown)
        let deadline = bench.broker.nextDeadline
        bench.pass(milliseconds: 1000)
        bench.round(.shutdown)
        #expect(bench.broker.nextDeadline == deadline, "or it could be put off for ever")
    }

    @Test func nobodyThereIsNobodyToWaitFor() {
        #expect(bench.round(.shutdown).stops == 1)
    }
}
