// Seals: who may publish where, and how long its batches may be.

import BusSimulation
import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerSealingTests {
    @Test(arguments: ["", "a..b", ".a", "a.", "a.*", ">", "a b", "$bus.session.opened"])
    func aTopicAgainstTheRulesIsRefused(topic: String) {
        let peer = Bench().open(1)
        let effects = peer.send(.openSeal(OpenSeal(request: 9, salt: peer.bench.salt(), topic: Array(topic.utf8))))
        #expect(effects.kinds == ["error"])
        #expect(effects.errors.first?.reason == .badTopic)
        #expect(effects.errors.first?.request == 9)
        #expect(effects.errors.first?.inReplyTo == FrameType.openSeal.rawValue)
    }

    @Test func aSaltIsTakenOnceWhoeverBringsIt() {
        let bench = Bench()
        let (a, b) = (bench.open(1), bench.open(2))
        let request = OpenSeal(request: 1, salt: bench.salt(), topic: Array("a".utf8))
        #expect(a.send(.openSeal(request)).kinds == ["openSeal"])
        #expect(b.send(.openSeal(request)).errors.first?.reason == .saltReused)
    }

    @Test func numbersAreNeverGivenTwice() {
        let bench = Bench()
        let first = bench.open(1)
        #expect([first.seal("a"), first.seal("a"), first.seal("b")] == [1, 2, 3])
        first.leave()
        #expect(bench.open(2).seal("a") == 4)
    }

    @Test func anOrderCarriesAllThatAKeyNeeds() {
        let bench = Bench()
        let peer = bench.open(7)
        let salt = bench.salt()
        let effects = peer.send(.openSeal(OpenSeal(request: 5, salt: salt, topic: Array("a.b".utf8))))
        guard case .openSeal(let order)? = effects.first else {
            Issue.record("no order")
            return
        }
        #expect(order.session == SessionID(7) && order.request == 5 && order.salt == salt && order.epoch == 1)
        #expect("\(order.topic)" == "a.b")
    }

    @Test func quotasOfSealsAndTopicsHold() {
        let bench = Bench {
            $0.sealCountMax = 2
            $0.quotas.topics = 1
        }
        let peer = bench.open(1)
        #expect(peer.seal("a") == 1)
        let effects = peer.send(.openSeal(OpenSeal(request: 1, salt: bench.salt(), topic: Array("b".utf8))))
        #expect(effects.errors.first?.message == "quota topics of uid 1000 is used up: 1 of 1")
        #expect(peer.seal("a") == 2)
        #expect(peer.seal("a") == 0)
        peer.send(.closeSeal(seal: 1))
        #expect(peer.seal("a") == 3)
    }

    @Test func aClosedSealIsUnknown() {
        let bench = Bench()
        let peer = bench.open(1)
        let seal = peer.seal("a")
        peer.publish(seal)
        #expect(peer.send(.closeSeal(seal: seal)).isEmpty)
        #expect(peer.send(.closeSeal(seal: seal)).errors.first?.reason == .unknownSeal)
        #expect(peer.publish(seal).errors.first?.reason == .unknownSeal)
    }

    @Test func whatWasSentBeforeASealWasClosedStillGoes() {
        let bench = Bench()
        let (publisher, subscriber) = (bench.open(1), bench.open(2))
        let seal = publisher.seal("a")
        subscriber.subscribe(1, "a", credit: 0, queue: 1, stall: 100)
        publisher.publish(seal)
        #expect(publisher.send(publisher.batch(seal), .closeSeal(seal: seal)).isEmpty)
        let effects = bench.pass(milliseconds: 100)
        #expect(effects.errors.isEmpty)
        #expect(effects.receipts.first?.receipts.first?.firstSequence == 2)
    }

    @Test func aNumberGuessedBeforeItsKeyExistsIsUnknown() {
        let bench = Bench()
        let (peer, other) = (bench.open(1), bench.open(2))
        other.subscribe(1, "a", credit: 0)
        let open = Frame.openSeal(OpenSeal(request: 1, salt: bench.salt(), topic: Array("a".utf8)))
        let effects = peer.send(open, peer.batch(1))
        #expect(effects.to(peer).kinds == ["openSeal", "error", "receipts"])
        #expect(effects.errors.first?.reason == .unknownSeal)
    }

    // MARK: How long batches may be

    private func bounds(_ peer: Peer, _ topic: String) -> [UInt32] {
        peer.openSeal(topic).orders.flatMap { [$0.batchLengthMax, $0.batchEventCountMax] }
    }

    @Test func anOrderSaysHowLongBatchesMayBeAsOfNow() throws {
        let filter = try TopicFilter("kept.>")
        let bench = Bench { $0.topics = [TopicDeclaration(filter, retains: true)] }
        let peer = bench.open(1)
        #expect(bounds(peer, "a") == [256 << 10, 4096])
        #expect(bounds(peer, "kept.x") == [4 << 10, 4096])
        peer.subscribe(1, ">", group: "g")
        #expect(bounds(peer, "a") == [16 << 10, 64])
        #expect(bounds(peer, "kept.x") == [4 << 10, 64])
        peer.subscribe(2, "b", group: "g", mode: .exclusive)
        peer.unsubscribe(1)
        #expect(bounds(peer, "b") == [256 << 10, 4096], "where one member gets everything nothing is shared")
    }

    @Test func newBoundsAreToldWithTheNextPublishAndOnce() {
        let bench = Bench()
        let (publisher, member) = (bench.open(1), bench.open(2))
        let seal = publisher.seal("a")
        let quiet = publisher.seal("a")
        #expect(member.subscribe(1, "a", group: "g").newLimits.isEmpty, "nobody publishes now")
        #expect(
            publisher.publish(seal).newLimits == [
                SealLimitsChanged(seal: seal, batchLengthMax: 16 << 10, batchEventCountMax: 64)
            ])
        #expect(publisher.publish(seal).newLimits.isEmpty)
        #expect(publisher.publish(quiet).newLimits.map(\.seal) == [quiet], "each seal for itself")
        member.unsubscribe(1)
        #expect(publisher.publish(seal).newLimits.map(\.batchLengthMax) == [256 << 10])
    }

    @Test func theLongestPayloadIsToldWithTheSealAndANewOneAtOnce() {
        let bench = Bench(store: MemoryStore(incarnation: BusUUID(high: 7, low: 9)))
        let (publisher, other) = (bench.open(1), bench.open(2))
        publisher.administer(.createTopic, filter: "a.>", settings: [Setting(.payloadLengthMax, 1000)])
        bench.commit()
        #expect(other.openSeal("b").orders.map(\.payloadLengthMax) == [0])
        let seal = publisher.seal("a.y")
        let told = other.administer(.alterTopic, filter: "a.>", settings: [Setting(.payloadLengthMax, 9)]).newLimits
        #expect(
            told == [
                SealLimitsChanged(
                    seal: seal, batchLengthMax: 256 << 10, batchEventCountMax: 4096, payloadLengthMax: 9)
            ])
        bench.commit()
        #expect(publisher.openSeal("a.x").orders.map(\.payloadLengthMax) == [9])
        #expect(publisher.publish(seal).newLimits.isEmpty)
        bench.commit()
        let longest = 9 + Limits.batchOverheadMax
        #expect(publisher.publish(seal, payload: longest).errors.map(\.reason) == [.payloadTooLarge])
        bench.commit()
        #expect(other.administer(.deleteTopic, filter: "a.>").newLimits.map(\.payloadLengthMax) == [0, 0])
    }

    @Test func batchesAsLongAsTheyMightBeAMomentAgoAreStillTaken() {
        let bench = Bench()
        let (publisher, member) = (bench.open(1), bench.open(2))
        let seal = publisher.seal("a")
        member.subscribe(1, "a", credit: 5000, group: "g")
        let effects = publisher.publish(seal, events: 4096, payload: 100_000)
        #expect(effects.errors.isEmpty)
        #expect(effects.deliveries.sequences.count == 4096)
    }

    @Test func aSealWithoutAKeyIsNoneAndItsTopicMayBeForgotten() {
        let bench = Bench { $0.topicIdleTime = 1_000_000 }
        let peer = bench.open(1)
        let request = OpenSeal(request: 1, salt: bench.salt(), topic: [0x61])
        bench.broker.handle(.received(peer.id, .openSeal(request)), at: bench.now)
        bench.broker.handle(.sealFailed(seal: 1, session: peer.id), at: bench.now)
        bench.broker.handle(.sealFailed(seal: 1, session: peer.id), at: bench.now)
        bench.broker.handle(.sealFailed(seal: 77, session: SessionID(9)), at: bench.now)
        bench.round()
        #expect(peer.session?.seals.isEmpty == true)
        bench.pass(milliseconds: 1)
        #expect(bench.broker.topics.isEmpty && bench.account()?.topicCount == 0)
    }
}
