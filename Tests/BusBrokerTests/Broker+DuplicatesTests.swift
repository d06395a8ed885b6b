import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerDuplicatesTests {
    private let bench = Bench { configuration in
        guard let none = try? TopicFilter("none.>"), let brief = try? TopicFilter("brief") else { return }
        let live = Setting(.durable, 0)
        configuration.topics = [
            (none, Setting(.duplicateWindow, 0)), (brief, Setting(.duplicateWindow, 1_000_000)),
        ].compactMap { try? TopicDeclaration($0, settings: [live, $1]) }
    }

    private func batch(
        _ peer: Peer, _ seal: UInt64, _ low: UInt64, events: UInt32 = 1, again: Bool = true, receipt: Bool = true
    ) -> Frame {
        peer.batch(seal, events: events, receipt: receipt) { $0.firstID = BusUUID(high: 5, low: low) }
            .with { $0.isAgain = again }
    }

    @Test func `a live event sent again over another connection comes once, and has its first receipt`() {
        let reader = bench.open(1)
        reader.subscribe(1, ">")
        let before = bench.open(2)
        let seal = before.seal("a")
        before.publish(seal)
        before.send(batch(before, seal, 100, events: 3, again: false))
        before.leave()
        let after = bench.open(3)
        let newSeal = after.seal("a")
        let effects = after.send(batch(after, newSeal, 100, events: 3))
        #expect(effects.deliveries.isEmpty)
        let receipt = effects.receipted.first
        #expect(receipt?.isDuplicate == true && receipt?.isDurable == false)
        #expect(receipt?.firstSequence == 2 && receipt?.eventCount == 3)
        // Its counter is used up, and sequences go on as if nothing had been.
        #expect(after.publish(newSeal).deliveries.map(\.sequences) == [[5]])
    }

    @Test func `it is known although everybody of its user has left meanwhile`() {
        let reader = bench.open(1, uid: 1001)
        reader.subscribe(1, ">")
        let before = bench.open(2)
        before.send(batch(before, before.seal("a"), 100, again: false))
        before.leave()
        // The topic is charged to its account, which stays; what is remembered must not depend on that.
        let after = bench.open(3)
        #expect(after.send(batch(after, after.seal("a"), 100)).receipted.first?.isDuplicate == true)
    }

    @Test func `of which some are known it is refused with the list, and the others are taken one by one`() {
        let peer = bench.open(1)
        let seal = peer.seal("a")
        peer.send(batch(peer, seal, 100, events: 2, again: false))
        let error = peer.send(batch(peer, seal, 101, events: 3)).errors.first
        #expect(error?.reason == .partlyKnown)
        #expect(error?.message == "1 of 3 events are known: \(BusUUID(high: 5, low: 101))+1")
        let receipts = (101...103).flatMap { peer.send(batch(peer, seal, $0)).receipted }
        #expect(receipts.map(\.isDuplicate) == [true, false, false])
        #expect(receipts.map(\.firstSequence) == [2, 3, 4])
    }

    @Test func `without the flag nothing is looked up`() {
        let peer = bench.open(1)
        let seal = peer.seal("a")
        let receipts = (0..<2).flatMap { _ in peer.send(batch(peer, seal, 100, again: false)).receipted }
        #expect(receipts.map(\.isDuplicate) == [false, false] && receipts.map(\.firstSequence) == [1, 2])
    }

    @Test func `another user's, another topic's, and a refused publish's ids are not known`() {
        let (peer, other) = (bench.open(1), bench.open(2, uid: 1001))
        let seal = peer.seal("a")
        peer.send(batch(peer, seal, 100, again: false))
        #expect(other.send(batch(other, other.seal("a"), 100)).receipted.first?.isDuplicate == false)
        #expect(peer.send(batch(peer, peer.seal("b"), 100)).receipted.first?.isDuplicate == false)
        let refused = batch(peer, seal, 200, again: false).with { $0.mustBeDurable = true }
        #expect(peer.send(refused).errors.map(\.reason) == [.notDurable])
        #expect(peer.send(batch(peer, seal, 200)).receipted.first?.isDuplicate == false)
    }

    @Test func `the topic's window says how long, and 0 for not at all`() {
        let peer = bench.open(1)
        let (none, brief) = (peer.seal("none.a"), peer.seal("brief"))
        for seal in [none, brief] { peer.send(batch(peer, seal, 100, again: false)) }
        #expect(peer.send(batch(peer, none, 100)).receipted.first?.isDuplicate == false)
        bench.pass(milliseconds: 1000)
        #expect(peer.send(batch(peer, brief, 100)).receipted.first?.isDuplicate == true)
        bench.pass(milliseconds: 1)
        #expect(peer.send(batch(peer, brief, 100)).receipted.first?.isDuplicate == false)
    }

    @Test func `ids of an application's own are remembered one by one`() {
        let peer = bench.open(1)
        let seal = peer.seal("a")
        var columns = BatchColumns()
        let given = [9, 3, 4, 8].map { BusUUID(high: 5, low: $0) }
        columns.id = .each(given)
        let publish = { (again: Bool) in
            peer.batch(seal, events: 4, columns: columns) { $0.firstID = given[0] }.with { $0.isAgain = again }
        }
        peer.send(publish(false))
        #expect(peer.send(publish(true)).receipted.first?.isDuplicate == true)
        #expect(peer.send(batch(peer, seal, 4)).receipted.first?.firstSequence == 3)
        #expect(peer.send(batch(peer, seal, 5)).receipted.first?.isDuplicate == false)
    }

    @Test func `a publish that waited is known once it is accepted, and looked up when it goes on`() {
        let (reader, writer, other) = (bench.open(1), bench.open(2), bench.open(3))
        reader.subscribe(1, "a", credit: 0, queue: 1, stall: 60_000)
        let (seal, otherSeal) = (writer.seal("a"), other.seal("a"))
        writer.publish(seal)
        writer.publish(seal)
        // Both wait: neither is known yet.
        writer.send(batch(writer, seal, 100, again: false))
        #expect(other.send(batch(other, otherSeal, 100)).receipted.isEmpty)
        let done = reader.credit(1, 100)
        #expect(done.receipted.filter { $0.isDuplicate }.count == 1)
        #expect(bench.topic("a")?.lastSequence == 3)
    }

    @Test func `who wanted no receipt gets none`() {
        let peer = bench.open(1)
        let seal = peer.seal("a")
        peer.send(batch(peer, seal, 100, again: false))
        #expect(peer.send(batch(peer, seal, 100, receipt: false)).receipted.isEmpty)
        #expect(peer.session?.progress == 2)
    }

    @Test func `a request made again under its id is a request`() {
        let (asker, answerer) = (bench.open(1), bench.open(2))
        answerer.subscribe(1, "q", mode: .responds)
        asker.subscribe(1, "\(asker.replyTopic)")
        let seal = asker.seal("q")
        for round in 1...2 {
            let asked = asker.send(asker.request(seal, id(1)).with { $0.isAgain = round == 2 })
            #expect(asked.deliveries.count == 1)
            asker.send(.cancelRequest(correlation: id(1)))
        }
    }
}
