// A seal's beginnings.

import BusWire
import Testing

@testable import BusBroker

@Suite struct SealTests {
    private let bench = Bench()

    @Test func itIsUsedOnlyOnceItsKeyIsThere() throws {
        let topic = TopicState(
            name: try Topic("a"), number: 1, account: Account(uid: 1, Quotas()), settings: .live)
        let seal = Seal(
            number: 4, topic: topic, salt: [1], publisher: PeerIdentity(uid: 1, gid: 2), name: "p",
            account: topic.account, limits: .normal)
        #expect(!seal.isDerived && seal.nextCounter == 0 && seal.epoch == 1 && seal.toldLimits == .normal)
        seal.derived(keyCheck: [7])
        #expect(seal.isDerived && seal.keyCheck == [7] && seal.salt == [1])
    }

    @Test func theDaemonsOwnGetsItsSaltWithItsKey() throws {
        let topic = TopicState(
            name: try Topic("$bus.x"), number: 1, account: Account(uid: 1, Quotas()), settings: .live)
        let seal = Seal(
            number: 4, topic: topic, salt: [], publisher: PeerIdentity(uid: 1, gid: 2), name: "busd",
            account: topic.account, limits: .normal)
        seal.derived(keyCheck: [7], salt: [9])
        #expect(seal.salt == [9])
    }

    @Test func itKnowsItsPublisherAsTheKernelDoes() throws {
        let peer = bench.open(3, uid: 1001)
        let number = peer.seal("a.b")
        let seal = try #require(peer.session?.seals[number])
        #expect(seal.publisher.uid == 1001 && seal.publisherName == "p3" && seal.account === bench.account(1001))
        #expect(seal.topic === bench.topic("a.b") && seal.isDerived)
    }
}
