// Requests on durable topics: stored first, then handed out; and what the ledger says of them.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Requests on durable topics")
struct BrokerStoredRequestsTests {
    /// One that asks on `d.ask` and hears answers.
    private func asker(_ bench: Bench) -> (peer: Peer, seal: UInt64) {
        let peer = bench.open(1)
        peer.subscribe(1, "$reply.1")
        let seal = peer.seal("d.ask")
        bench.commit()
        return (peer, seal)
    }

    private func responder(_ bench: Bench, _ number: UInt64, credit: UInt64 = 1000) -> Peer {
        let peer = bench.open(number, uid: 1001)
        peer.subscribe(1, "d.ask", credit: credit, mode: .responds)
        return peer
    }

    /// What the ledger says of requests, once it is saved.
    private func lines(_ bench: Bench) -> [LedgerLine] {
        bench.pass(milliseconds: 200)
        bench.commit()
        return bench.store?.disk.ledger.filter { $0.subscription == LedgerLine.requests } ?? []
    }

    @Test("one is handed out when it is on disk, answered, and the ledger names the answer")
    func answered() throws {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        #expect(asker.send(asker.request(seal, id(1), id(2))).deliveries.isEmpty)
        let effects = bench.commit()
        let handed = try #require(effects.to(asked).deliveries.first)
        #expect(handed.isAnswerable && handed.sequences == [1, 2])
        let receipt = try #require(effects.receipted.first)
        #expect(receipt.isDurable && receipt.responders == 1 && receipt.liveMatches == 1)
        bench.pass(milliseconds: 30)
        let answering = asked.seal("$reply.1")
        var columns = BatchColumns()
        columns.correlation = .each([id(2)])
        let answer = asked.batch(answering, columns: columns) { $0.firstID = id(77) }
        #expect(asked.send(answer).to(asker).deliveries.count == 1)
        let stored = try #require(bench.store?.disk.batches.first)
        let line = try #require(lines(bench).first)
        #expect(lines(bench).count == 1 && line.outcome == .answered && line.answer == id(77))
        #expect(line.first == stored.position + 1 && line.count == 1 && line.session == 2)
        #expect(line.sent == stored.time && line.time - line.sent == 30_000 && line.reason == nil)
        #expect(asker.session?.requests.count == 1)
    }

    @Test("of several answers to one batch each is named; a part of one isn't the answer")
    func answeredTogether() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asker.send(asker.request(seal, id(1), id(2)))
        bench.commit()
        let answering = asked.seal("$reply.1")
        asked.send(asked.answer(answering, id(1), id(2), more: true))
        #expect(lines(bench).isEmpty)
        asked.send(asked.answer(answering, id(1), id(2)))
        #expect(lines(bench).map(\.count) == [1, 1])
        #expect(Set(lines(bench).map(\.answer)).count == 2)
        #expect(asker.session?.requests.isEmpty == true)
    }

    @Test("where nobody would answer it is refused at once, and nothing of it is stored")
    func noResponders() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        bench.open(3).attend("work", "d.>")
        bench.commit()
        let effects = asker.send(asker.request(seal, id(1))) + bench.commit()
        #expect(effects.errors.map(\.reason) == [.noResponders])
        #expect(bench.store?.disk.batches.isEmpty == true && asker.session?.requests.isEmpty == true)
    }

    @Test("a durable subscription gets it as an event like any other, and has no right to answer")
    func durableSubscription() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        let (asked, worker) = (responder(bench, 2), bench.open(3))
        worker.attend("work", "d.>")
        bench.commit()
        asker.send(asker.request(seal, id(1)))
        let effects = bench.commit()
        #expect(effects.to(worker).deliveries.map(\.isAnswerable) == [false])
        #expect(effects.to(asked).deliveries.map(\.isAnswerable) == [true])
        #expect(effects.receipted.map(\.durableMatches) == [1])
        #expect(worker.openSeal("$reply.1").errors.map(\.reason) == [.noReplyRight])
    }

    @Test("who answers and goes before it is on disk is told as gone; who comes gets it")
    func comingAndGoing() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        let first = responder(bench, 2)
        asker.send(asker.request(seal, id(1), id(2)))
        first.leave()
        var effects = bench.commit()
        #expect(effects.unanswered.map(\.correlation) == [id(1), id(2)])
        #expect(effects.unanswered.allSatisfy { $0.reason == .responderGone })
        #expect(effects.receipted.map(\.responders) == [1], "who asked counts it as one that is gone")
        #expect(asker.session?.requests.isEmpty == true && bench.store?.disk.batches.count == 1)
        #expect(lines(bench).map(\.outcome) == [.unanswered] && lines(bench).first?.count == 2)

        let second = responder(bench, 3)
        asker.send(asker.request(seal, id(3)))
        second.unsubscribe(1)
        let others = [responder(bench, 4), responder(bench, 5)]
        effects = bench.commit()
        #expect(effects.receipted.map(\.responders) == [2] && effects.unanswered.isEmpty)
        #expect(others.allSatisfy { !effects.to($0).deliveries.isEmpty })
    }

    @Test("one that is given up before it is on disk is stored, and handed to nobody who would answer")
    func cancelledEarly() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        let (asked, listener) = (responder(bench, 2), bench.open(3))
        listener.subscribe(1, "d.>")
        asker.send(asker.request(seal, id(1)))
        asker.send(.cancelRequest(correlation: id(1)))
        let effects = bench.commit()
        #expect(effects.to(asked).deliveries.isEmpty && effects.to(listener).deliveries.count == 1)
        #expect(effects.unanswered.isEmpty && effects.receipted.count == 1)
        #expect(lines(bench).map(\.outcome) == [.cancelled])
        #expect(lines(bench).map(\.reason) == [.requestCancelled] && lines(bench).map(\.session) == [1])
    }

    @Test("who has it and goes, and who asked and goes, is noted by name")
    func gone() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        let (asked, slow) = (responder(bench, 2), responder(bench, 3))
        asker.send(asker.request(seal, id(1)))
        bench.commit()
        asked.leave()
        #expect(lines(bench).map(\.outcome) == [.unanswered])
        #expect(lines(bench).map(\.session) == [2] && lines(bench).map(\.reason) == [.responderGone])
        let effects = asker.leave()
        #expect(effects.to(slow).cancellations.map(\.correlation) == [id(1)])
        #expect(lines(bench).map(\.outcome) == [.unanswered, .cancelled])
        #expect(lines(bench).last?.session == 1 && lines(bench).last?.reason == .sessionGone)
    }

    @Test("who asked and is gone before it is on disk leaves an event, and no request")
    func askerGoneEarly() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        let (asked, listener) = (responder(bench, 2), bench.open(3))
        listener.subscribe(1, "d.>")
        asker.send(asker.request(seal, id(1)))
        asker.leave()
        let effects = bench.commit()
        #expect(effects.to(asked).deliveries.isEmpty && effects.to(listener).deliveries.count == 1)
        #expect(bench.account()?.requestCount ?? 0 == 0)
    }

    @Test("what the store doesn't take was never asked: it is refused, and may be asked again")
    func refused() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        bench.store?.bytesMax = 1
        asker.send(asker.request(seal, id(1)))
        let effects = bench.commit()
        #expect(effects.errors.map(\.reason) == [.storeFull] && effects.unanswered.isEmpty)
        #expect(asker.session?.requests.isEmpty == true && bench.account()?.requestCount == 0)
        bench.store?.bytesMax = .max
        asker.send(asker.request(seal, id(1)))
        #expect(bench.commit().to(asked).deliveries.sequences == [1])
        #expect(lines(bench).isEmpty)
    }

    @Test("asked again under its id it is stored and handed out again, whatever its flags say")
    func again() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        for attempt in 1...UInt64(2) {
            asker.send(asker.request(seal, id(1)).with { $0.isAgain = true })
            let effects = bench.commit()
            #expect(effects.to(asked).deliveries.sequences == [attempt])
            #expect(effects.receipted.allSatisfy { !$0.isDuplicate })
            asker.send(.cancelRequest(correlation: id(1)))
        }
    }

    @Test("one that is open on its way to the disk is known: its correlation can't be used, and it counts")
    func open() {
        let bench = Bench.durable { $0.quotas.requests = 2 }
        let (asker, seal) = asker(bench)
        _ = responder(bench, 2)
        asker.send(asker.request(seal, id(1)))
        asker.send(asker.request(seal, id(1)))
        asker.send(asker.request(seal, id(2), id(3)))
        #expect(bench.commit().errors.map(\.reason) == [.malformedBatch, .quotaExceeded])
        #expect(asker.session?.requests.count == 1)
    }

    @Test("a request can't wait until it is due")
    func later() {
        let bench = Bench.durable()
        let (asker, seal) = asker(bench)
        _ = responder(bench, 2)
        let due = bench.now.wall + 60_000_000
        let effects = asker.send(asker.request(seal, id(1)).with { $0.due = due }) + bench.commit()
        #expect(effects.errors.map(\.reason) == [.malformedBatch])
    }

    @Test("live topics have no lines")
    func live() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.subscribe(1, "$reply.1")
        let seal = peer.seal("ask")
        let asked = bench.open(2)
        asked.subscribe(1, "ask", mode: .responds)
        peer.send(peer.request(seal, id(1), id(2)))
        asked.send(asked.answer(asked.seal("$reply.1"), id(1)))
        peer.send(.cancelRequest(correlation: id(2)))
        #expect(lines(bench).isEmpty && bench.broker.storage?.ledger.isEmpty == true)
    }
}
