import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Administration of what is stored")
struct BrokerAdministeringTests {
    private func bench() -> (Bench, Peer) {
        let bench = Bench(store: MemoryStore(incarnation: BusUUID(high: 7, low: 9)))
        return (bench, bench.open(1))
    }

    @Test("a wish is answered when it is on disk")
    func answered() {
        let (bench, peer) = bench()
        #expect(peer.administer(.createTopic, filter: "x.>").administered.isEmpty)
        #expect(bench.commit().administered.map(\.count) == [0])
        peer.administer(.createSubscription, "work", filter: "x.>")
        #expect(bench.commit().administered.map(\.count) == [0])
        #expect(bench.store?.disk.subscriptions.count == 1)
    }

    @Test("one that must look for its beginning is answered when that is on disk", arguments: [Start.last, .since(0)])
    func sought(start: Start) {
        let (bench, peer) = bench()
        peer.administer(.createTopic, filter: "x")
        let seal = peer.seal("x")
        bench.commit()
        for _ in 0..<3 { peer.publish(seal) }
        bench.commit()
        peer.administer(.createSubscription, "work", filter: "x", start: start)
        #expect(bench.commit().administered.map(\.count) == [1])
        let cursor = bench.store?.disk.subscriptions.values.first?.cursor
        #expect(cursor?.next == (start == .last ? 4 : 1))
        #expect(cursor?.pending.map(\.first) == (start == .last ? [3] : []))
    }

    @Test("what can't be is refused by name, and nothing is written")
    func refused() {
        let (bench, peer) = bench()
        peer.administer(.createTopic, filter: "x.*")
        bench.commit()
        func reason(_ effects: [Effect]) -> Reason? {
            #expect(effects.writes.isEmpty)
            return effects.errors.first?.reason
        }
        #expect(reason(peer.administer(.createTopic, filter: "x.*")) == .nameTaken)
        #expect(reason(peer.administer(.createTopic, filter: "*.y")) == .nameTaken)
        #expect(reason(peer.administer(.createTopic, filter: "$bus.>")) == .badFilter)
        #expect(reason(peer.administer(.createTopic, filter: "")) == .badFilter)
        #expect(
            reason(peer.administer(.createTopic, filter: "y", settings: [Setting(.retentionAge, -5)]))
                == .invalidSetting)
        let longer = [Setting(.payloadLengthMax, 2 << 20)]
        let tooLong = peer.administer(.createTopic, filter: "y", settings: longer)
        #expect(reason(tooLong) == .invalidSetting)
        #expect(
            tooLong.errors.first?.message == "max-payload 2MiB is above this bus's payload_max, 1MiB")
        #expect(reason(peer.administer(.alterTopic, filter: "x.*", settings: longer)) == .invalidSetting)
        #expect(reason(peer.administer(.alterTopic, filter: "nothing")) == .unknownName)
        #expect(
            reason(peer.administer(.alterTopic, filter: "x.*", settings: [Setting(.durable, 0)])) == .invalidSetting)
        #expect(reason(peer.administer(.deleteTopic, filter: "nothing")) == .unknownName)
        #expect(reason(peer.administer(.purgeTopic, "nothing")) == .unknownName)
        #expect(reason(peer.administer(.purgeTopic, "")) == .unknownName)
        #expect(reason(peer.administer(.alterSubscription, "nobody")) == .unknownName)
        #expect(reason(peer.administer(.seekSubscription, "nobody", start: .all)) == .unknownName)
        #expect(reason(peer.administer(.deleteSubscription, "nobody")) == .unknownName)
        #expect(reason(peer.administer(.createSubscription, "a b", filter: "x.*")) == .badGroup)
        #expect(reason(peer.administer(.createSubscription, "w", filter: "x.*", start: .sequence(1))) == .badFilter)
        #expect(reason(peer.administer(Operation(rawValue: 250))) == .notSupported)
        #expect(bench.broker.storage?.declared.count == 1)
    }

    @Test("declarations are bounded")
    func declarations() {
        let bench = Bench(store: MemoryStore(incarnation: BusUUID(high: 7, low: 9))) { $0.declarationCountMax = 2 }
        let peer = bench.open(1)
        for name in ["a", "b"] { #expect(peer.administer(.createTopic, filter: name).errors.isEmpty) }
        #expect(peer.administer(.createTopic, filter: "c").errors.map(\.reason) == [.quotaExceeded])
    }

    @Test("settings said twice are stored once")
    func twice() {
        let (bench, peer) = bench()
        let settings = [Setting](repeating: Setting(.retentionCount, 5), count: 500)
        peer.administer(.createTopic, filter: "x", settings: settings)
        peer.administer(
            .createSubscription, "work", filter: "x",
            settings: [Setting](repeating: Setting(.attemptCountMax, 5), count: 500))
        bench.commit()
        #expect(bench.store?.disk.declarations.first?.settings.count == 1)
        #expect(bench.store?.disk.subscriptions.values.first?.settings.count == 1)
    }

    @Test("a topic with a last value, a queue of last events and open seals becomes durable, and live, and durable")
    func conversions() {
        let (bench, publisher) = bench()
        let (latest, last) = (bench.open(2), bench.open(3))
        latest.subscribe(1, "x", credit: 0, .latest)
        let seal = publisher.seal("x")
        publisher.retain(seal)
        for _ in 0..<3 {
            publisher.administer(.createTopic, filter: "x")
            bench.commit()
            publisher.retain(seal)
            publisher.publish(seal)
            bench.commit()
            latest.credit(1, (latest.session?.consumers[1]?.creditEvents ?? 0) + 1)
            publisher.administer(.deleteTopic, filter: "x")
            bench.commit()
            publisher.publish(seal)
        }
        publisher.retain(seal)
        let told = last.subscribe(1, "x", mode: .last)
        #expect(told.deliveries.count == 1)
        #expect(told.deliveries.sequences == [bench.topic("x")?.lastSequence ?? 0])
    }

    @Test("a topic deleted while batches of it are on their way leaves the next one of its name alone")
    func deletedUnderWay() {
        let (bench, peer) = bench()
        peer.administer(.createTopic, filter: "x")
        bench.commit()
        let seal = peer.seal("x")
        peer.attend("work", "x")
        bench.commit()
        peer.publish(seal, events: 5)
        peer.administer(.deleteTopic, filter: "x")
        peer.administer(.createTopic, filter: "x")
        let done = bench.commit()
        #expect(done.receipted.count == 1)
        #expect(done.deliveries.isEmpty)
        #expect(bench.topic("x")?.stored.eventCount == 0)
    }

    @Test("dead letters go back to their subscription, once, or are dropped", arguments: [true, false])
    func dead(redrives: Bool) {
        let (bench, peer) = bench()
        peer.administer(.createTopic, filter: "x")
        let seal = peer.seal("x")
        peer.attend("work", "x")
        bench.commit()
        peer.publish(seal, events: 3)
        bench.commit()
        peer.settle(.reject, 1, events: [0, 2])
        peer.acknowledge(1, 1)
        bench.commit()
        #expect(bench.durable("work")?.durable?.deadCount == 2)
        let done = peer.administer(redrives ? .redriveDead : .dropDead, "work") + bench.commit()
        #expect(done.administered.map(\.count) == [2])
        #expect(done.deliveries.sequences == (redrives ? [1, 3] : []))
        #expect(bench.durable("work")?.durable?.deadCount == 0)
        #expect(bench.store?.disk.deadLetters.isEmpty == true)
        #expect(peer.administer(.redriveDead, "work").administered.map(\.count) == [0])
    }

    @Test("very many dead letters go back without a look at all the others for each", .timeLimit(.minutes(1)))
    func deadInNumbers() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.administer(.createSubscription, "work", filter: "d.a")
        let seal = peer.seal("d.a")
        peer.publish(seal)
        bench.commit()
        guard let durable = bench.durable("work")?.durable else {
            Issue.record("it was made")
            return
        }
        // Every other position, so that no two ranges are one.
        let letters = (1...UInt64(20_000)).map { number in
            FoundDeadLetter(
                StoredDeadLetter(
                    number: number, subscription: durable.number, position: 2 * number, selection: [1],
                    reason: .rejected, message: "", attempts: 1, died: 0, accepted: 0))
        }
        durable.catchUp.reset(StoredCursor(next: 50_000))
        bench.round(.administered(peer.id, request: 9, .redriven(letters)))
        #expect(durable.catchUp.again.count == 20_000)
    }

    @Test("after a restart dead letters are known, and dropping them takes no more than there are")
    func deadAfterRestart() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.attend("work", "d.a")
        let seal = peer.seal("d.a")
        bench.commit()
        peer.publish(seal, events: 3)
        bench.commit()
        peer.settle(.reject, 1)
        bench.commit()
        let next = bench.crashed()
        #expect(next.durable("work")?.durable?.deadCount == 3)
        let again = next.open(1)
        #expect((again.administer(.dropDead, "work") + next.commit()).administered.map(\.count) == [3])
        #expect(next.durable("work")?.durable?.deadCount == 0)
    }

    @Test("a letter redriven to one that was set back is read in its turn")
    func redrivenBehind() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.attend("work", "d.a")
        let seal = peer.seal("d.a")
        bench.commit()
        for _ in 0..<3 { peer.publish(seal) }
        bench.commit()
        peer.settle(.reject, 3)
        peer.acknowledge(1, 3)
        bench.commit()
        peer.unsubscribe(1)
        peer.administer(.seekSubscription, "work", start: .all)
        peer.administer(.redriveDead, "work")
        bench.commit()
        let got = peer.attend("work") + bench.round()
        #expect(got.deliveries.sequences == [1, 2, 3])
    }

    @Test("deleting one tells its consumers, and gives everything back")
    func deleted() {
        let (bench, peer) = bench()
        peer.administer(.createTopic, filter: "x")
        let seal = peer.seal("x")
        let worker = bench.open(2)
        worker.attend("work", "x", credit: 1)
        bench.commit()
        for _ in 0..<3 { peer.publish(seal) }
        bench.commit()
        let told = peer.administer(.deleteSubscription, "work")
        #expect(told.endings.map(\.reason) == [.purged])
        #expect(bench.commit().administered.map(\.count) == [3])
        #expect(bench.account()?.windowLength == 0 && bench.account()?.durableCount == 0)
        #expect(worker.acknowledge(1, 1).errors.map(\.reason) == [.unknownSubscription])
    }
}
