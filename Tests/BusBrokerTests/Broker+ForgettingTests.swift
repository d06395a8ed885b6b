// Topics that nobody uses are forgotten after their time, and not before.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerForgettingTests {
    private let bench = Bench { $0.topicIdleTime = 10_000_000_000 }

    @Test func aTopicIsForgottenWhenItsTimeIsOverAndItsMakersChargeWithIt() {
        let peer = bench.open(1)
        let seal = peer.seal("a")
        peer.publish(seal)
        peer.send(.closeSeal(seal: seal))
        #expect(bench.broker.nextDeadline == bench.now.monotonic + 10_000_000_000)
        bench.pass(milliseconds: 9_999)
        #expect(bench.topic("a") != nil && bench.account()?.topicCount == 1)
        bench.pass(milliseconds: 1)
        #expect(bench.topic("a") == nil && bench.account()?.topicCount == 0)
        #expect(bench.broker.totals.topicsForgotten == 1 && bench.broker.nextDeadline == nil)
    }

    @Test func theNextOneOfItsNameBeginsAnew() {
        let (peer, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "a")
        let seal = peer.seal("a")
        let first = peer.publish(seal)
        peer.send(.closeSeal(seal: seal))
        bench.pass(milliseconds: 10_000)
        let opened = peer.openSeal("a")
        let next = opened.orders.first.map { peer.publish($0.seal) } ?? []
        #expect(next.to(reader).deliveries.sequences == [1])
        #expect(first.to(reader).deliveries.sequences == [1])
        let incarnations = [first, opened].flatMap { $0.to(reader).announcements }.map(\.topicIncarnation)
        #expect(Set(incarnations).count == incarnations.count, "so that nobody takes it for the same position")
    }

    @Test func oneThatWasUsedMeanwhileHasItsWholeTimeAgain() {
        let peer = bench.open(1)
        peer.send(.closeSeal(seal: peer.seal("a")))
        bench.pass(milliseconds: 6_000)
        peer.send(.closeSeal(seal: peer.seal("a")))
        bench.pass(milliseconds: 6_000)
        #expect(bench.topic("a") != nil)
        bench.pass(milliseconds: 4_000)
        #expect(bench.topic("a") == nil)
    }

    @Test func whatComesAndGoesStandsInTheListOnce() {
        let peer = bench.open(1)
        for _ in 0..<50 { peer.send(.closeSeal(seal: peer.seal("a"))) }
        #expect(bench.broker.idleTopics.count == 1)
        bench.pass(milliseconds: 10_000)
        #expect(bench.broker.idleTopics.isEmpty)
    }

    @Test func aPublisherALastValueAndAParkedPublishKeepIt() {
        let (peer, reader) = (bench.open(1), bench.open(2))
        let seal = peer.seal("open")
        let kept = peer.seal("kept")
        peer.retain(kept)
        peer.send(.closeSeal(seal: kept))
        reader.subscribe(1, "parked", credit: 0, queue: 1, stall: 60_000)
        let parked = peer.seal("parked")
        peer.publish(parked)
        peer.publish(parked)
        peer.send(.closeSeal(seal: parked))
        bench.pass(milliseconds: 20_000)
        #expect(["open", "kept", "parked"].allSatisfy { bench.topic($0) != nil })
        #expect(reader.credit(1, 10).deliveries.sequences == [1, 2])
        bench.pass(milliseconds: 10_000)
        #expect(bench.topic("parked") == nil)
        peer.retain(peer.seal("kept"), clears: true)
        peer.send(.closeSeal(seal: seal))
        peer.leave()
        bench.pass(milliseconds: 10_000)
        #expect(bench.broker.topics.isEmpty)
    }

    @Test func whoMadeItIsForgottenWithIt() {
        let peer = bench.open(1)
        _ = peer.seal("a")
        peer.leave()
        #expect(bench.account() != nil, "it still pays for its topic")
        bench.pass(milliseconds: 10_000)
        #expect(bench.account() == nil)
    }

    @Test func aReplyTopicIsForgottenWithItsRequesterAndLeavesNothingInTheList() {
        let (asker, asked) = (bench.open(1), bench.open(2))
        asked.subscribe(1, "ask", mode: .responds)
        asker.send(asker.request(asker.seal("ask"), id(1)))
        asked.send(.closeSeal(seal: asked.seal("$reply.1")))
        asker.leave()
        #expect(bench.topic("$reply.1") == nil)
        bench.pass(milliseconds: 10_000)
        #expect(bench.broker.idleTopics.isEmpty && bench.broker.totals.topicsForgotten == 2, "each once")
    }
}
