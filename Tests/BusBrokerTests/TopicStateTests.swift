// A topic's position, time and route.

import BusWire
import Testing

@testable import BusBroker

@Suite struct TopicStateTests {
    private func topic() throws -> TopicState {
        TopicState(name: try Topic("a"), number: 0, account: Account(uid: 1, Quotas()), settings: .live)
    }

    @Test func positionsFollowEachOtherFromOne() throws {
        let topic = try topic()
        #expect(topic.advance(by: 3, wall: 0).first == 1)
        #expect(topic.advance(by: 4096, wall: 0).first == 4)
        #expect(topic.lastSequence == 4099)
    }

    @Test func timeStandsStillWhereTheClockGoesBack() throws {
        let topic = try topic()
        #expect([5, 3, 9].map { topic.advance(by: 1, wall: $0).time } == [5, 5, 9])
    }

    @Test func theRouteIsRememberedUntilAFilterComesOrGoes() throws {
        let bench = Bench()
        let peer = bench.open(1)
        let seal = peer.seal("a")
        func matches() -> UInt32? { peer.publish(seal).receipts.first?.receipts.first?.liveMatches }
        #expect(matches() == 0)
        peer.subscribe(1, "a")
        #expect(matches() == 1)
        peer.subscribe(2, "*")
        #expect(matches() == 2)
        peer.send(.unsubscribe(subscription: 1))
        #expect(matches() == 1)
        peer.subscribe(3, "b")
        #expect(matches() == 1)
    }
}
