// Requests and answers: rights, and what becomes of them when somebody leaves, loses or changes its mind. The stories of
// both ways are in Transcripts/requests.txt and requests-ended.txt.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerRequestingTests {
    /// One that asks on `ask` and hears answers, by uid 1000.
    private func asker(_ bench: Bench, _ number: UInt64 = 1) -> (peer: Peer, seal: UInt64) {
        let peer = bench.open(number)
        peer.subscribe(1, "$reply.\(number)")
        return (peer, peer.seal("ask"))
    }

    private func responder(_ bench: Bench, _ number: UInt64, credit: UInt64 = 1000, group: String = "") -> Peer {
        let peer = bench.open(number, uid: 1001)
        peer.subscribe(1, "ask", credit: credit, group: group, mode: .responds)
        return peer
    }

    @Test func aReplyNobodyAskedForIsRefusedToWhoGaveItAndReachesNobody() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let (asked, other) = (responder(bench, 2), responder(bench, 3))
        other.unsubscribe(1)
        asker.send(asker.request(seal, id(1)))
        #expect(other.openSeal("$reply.1").errors.map(\.reason) == [.noReplyRight])
        let answering = asked.seal("$reply.1")
        let effects = asked.send(asked.answer(answering, id(2)))
        #expect(effects.errors.map(\.reason) == [.noReplyRight])
        #expect(effects.to(asker).isEmpty && effects.deliveries.isEmpty)
        #expect(bench.topic("$reply.1")?.lastSequence == 0, "it takes no sequence")
        #expect(asked.send(asked.answer(answering, id(1))).to(asker).deliveries.count == 1, "the real one still may")
    }

    @Test func aSecondReplyOnAOneShotRightIsRefused() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asker.send(asker.request(seal, id(1)))
        let answering = asked.seal("$reply.1")
        #expect(asked.send(asked.answer(answering, id(1))).to(asker).deliveries.count == 1)
        let effects = asked.send(asked.answer(answering, id(1)))
        #expect(effects.errors.map(\.reason) == [.noReplyRight] && effects.to(asker).isEmpty)
        #expect(asker.session?.requests.isEmpty == true)
    }

    @Test func twoAnswersToOneRequestInOneBatchNeedTheFlag() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asker.send(asker.request(seal, id(1), id(2)))
        let answering = asked.seal("$reply.1")
        #expect(asked.send(asked.answer(answering, id(1), id(1), more: true)).deliveries.sequences == [1, 2])
        #expect(asked.send(asked.answer(answering, id(1), id(1), id(2))).deliveries.sequences == [3, 5])
    }

    @Test func aSessionWithTwoRespondersThatMatchMayAnswerTwice() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asked.subscribe(2, ">", mode: .responds)
        asker.send(asker.request(seal, id(1)))
        let answering = asked.seal("$reply.1")
        for expected in [nil, nil, Reason.noReplyRight] {
            #expect(asked.send(asked.answer(answering, id(1))).errors.first?.reason == expected)
        }
    }

    @Test func aBatchOfRequestsIsRefusedWhole() {
        let bench = Bench { $0.quotas.requests = 2 }
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asker.send(asker.request(seal, id(1)))
        let again = asker.send(asker.request(seal, id(2), id(1)))
        #expect(again.errors.map(\.reason) == [.malformedBatch] && again.to(asked).isEmpty)
        let many = asker.send(asker.request(seal, id(2), id(3)))
        #expect(many.errors.first?.message == "quota requests of uid 1000 is used up: 1 of 2")
        #expect(many.to(asked).isEmpty && bench.account()?.requestCount == 1)
    }

    @Test func aRequestThatIsCancelledAndAskedAgainIsAnotherOne() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2, credit: 0)
        asker.send(asker.request(seal, id(1)))
        asker.send(.cancelRequest(correlation: id(1)))
        asker.send(asker.request(seal, id(1)))
        #expect(asked.credit(1, 10).deliveries.sequences == [2], "the first one is wanted by nobody")
        asked.send(asked.answer(asked.seal("$reply.1"), id(1)))
        #expect(asker.session?.requests.isEmpty == true && bench.account()?.requestCount == 0)
        #expect(bench.broker.totals.eventsMissed == 0)
    }

    @Test func whoAnsweredAndDidNotAcknowledgeLeavesNothingToDo() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let members = [responder(bench, 2, group: "g"), responder(bench, 3, group: "g")]
        let handed = asker.send(asker.request(seal, id(1)))
        let who = handed.to(members[0]).deliveries.isEmpty ? 1 : 0
        members[who].send(members[who].answer(members[who].seal("$reply.1"), id(1)))
        #expect(members[who].leave().isEmpty, "nobody is handed it again, and nobody hears that it has no answer")
    }

    @Test func whoOnlyListensTakesNoRightWithIt() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asked.subscribe(2, "ask", group: "audit")
        bench.open(3).subscribe(1, "ask", credit: 0, group: "audit")
        asker.send(asker.request(seal, id(1)))
        asked.unsubscribe(2)
        let effects = asked.send(asked.answer(asked.seal("$reply.1"), id(1)))
        #expect(effects.errors.isEmpty && effects.to(asker).deliveries.count == 1)
    }

    @Test func aResponderThatEndedWhileRoomWasMadeForTheRequestIsCountedDown() {
        let bench = Bench { $0.quotas.queuedLength = 700 }
        let (asker, seal) = asker(bench)
        let asked = bench.open(2)
        asked.subscribe(1, "ask", credit: 0, mode: .responds)
        asked.subscribe(2, ">", credit: 0, .disconnect, mode: .responds)
        let other = asker.seal("other")
        // Of the two queues the one that ends is the longer one.
        asker.publish(other, payload: 400)
        let effects = asker.send(asker.request(seal, id(1), payload: 300))
        #expect(effects.endings.map(\.reason) == [.quotaExceeded])
        #expect(effects.unanswered.map(\.reason) == [.quotaExceeded])
        #expect(effects.receipts.first?.receipts.first?.responders == 2)
        #expect(asked.leave().unanswered.map(\.reason) == [.responderGone])
        #expect(asker.session?.requests.isEmpty == true)
    }

    @Test func answersToWhoDoesNotListenReachNobodyAndCloseTheRequest() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asker.unsubscribe(1)
        asker.send(asker.request(seal, id(1)))
        let effects = asked.send(asked.answer(asked.seal("$reply.1"), id(1)))
        #expect(effects.errors.isEmpty && effects.deliveries.isEmpty)
        #expect(asker.session?.requests.isEmpty == true)
    }

    @Test func theReplyTopicIsItsRequestersAndEndsWithIt() {
        let bench = Bench { $0.quotas.topics = 2 }
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asker.send(asker.request(seal, id(1)))
        let answering = asked.seal("$reply.1")
        #expect(bench.account()?.topicCount == 2 && bench.account(1001)?.topicCount == 0)
        asker.leave()
        #expect(bench.topic("$reply.1") == nil && asked.session?.seals.isEmpty == true)
        #expect(asked.send(asked.answer(answering, id(1))).errors.map(\.reason) == [.unknownSeal])
    }

    @Test func whoseTopicsAreUsedUpIsNamedWhereAnAnswerFindsNoRoom() {
        let bench = Bench { $0.quotas.topics = 1 }
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asker.send(asker.request(seal, id(1)))
        #expect(asked.openSeal("$reply.1").errors.first?.message == "quota topics of uid 1000 is used up: 1 of 1")
    }

    @Test func oneOfSeveralSealsOnAReplyTopicMayBeClosed() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let asked = responder(bench, 2)
        asker.send(asker.request(seal, id(1)))
        let (first, second) = (asked.seal("$reply.1"), asked.seal("$reply.1"))
        asked.send(.closeSeal(seal: first))
        #expect(asked.session?.seals.keys.sorted() == [second])
        asker.leave()
        #expect(asked.session?.seals.isEmpty == true)
    }

    @Test func cancellingWhatIsNotOpenDoesNothing() {
        let bench = Bench()
        let (asker, seal) = asker(bench)
        let other = bench.open(2)
        _ = responder(bench, 3)
        asker.send(asker.request(seal, id(1)))
        #expect(other.send(.cancelRequest(correlation: id(1))).isEmpty, "somebody else's")
        #expect(asker.send(.cancelRequest(correlation: id(7))).isEmpty)
        #expect(bench.broker.totals.requestsCancelled == 0)
    }

    // MARK: Circuits

    @Test func circuitsAreShownAndBounded() {
        let bench = Bench()
        let peer = bench.open(1)
        for number in 0..<UInt64(Limits.circuitCountMax) {
            let circuit = Circuit(.open, topic: Array("t\(number)".utf8))
            bench.broker.handle(.received(peer.id, .circuit(circuit)), at: bench.now)
        }
        #expect(bench.round().isEmpty)
        let refused = peer.send(.circuit(Circuit(.open, topic: Array("more".utf8)))).errors
        #expect(refused.map(\.reason) == [.quotaExceeded] && refused.map(\.request) == [0])
        #expect(peer.send(.circuit(Circuit(.open, topic: Array("t0".utf8)))).isEmpty, "again is no other one")
        #expect(peer.send(.circuit(Circuit(.closed, topic: Array("t0".utf8)))).isEmpty)
        #expect(peer.send(.circuit(Circuit(.open, topic: Array("more".utf8)))).isEmpty)
        #expect(bench.broker.totals.circuitsOpened == UInt64(Limits.circuitCountMax) + 1)
        #expect(peer.send(.circuit(Circuit(.open, topic: Array("a..b".utf8)))).errors.map(\.reason) == [.badTopic])
    }
}
