import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("A daemon that begins on what another one stored")
struct BrokerRecoveringTests {
    @Test("sequences and incarnations of durable topics go on")
    func goesOn() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        publisher.publish(seal, events: 7)
        bench.commit()
        publisher.publish(seal)
        let next = bench.crashed()
        let again = next.open(1)
        again.publish(again.seal("d.a"))
        #expect(next.commit().receipted.first?.firstSequence == 8)
        #expect(next.topic("d.a")?.incarnation == bench.topic("d.a")?.incarnation)
        #expect(next.topic("d.a")?.incarnation ?? 0 >= 1 << 63)
    }

    @Test("who reads over what a damaged log took with it is told, once, for each topic that may have lost something")
    func lostPositions() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.attend("work", "d.*")
        let seals = ["d.a", "d.b", "other"].map(peer.seal)
        bench.commit()
        for seal in seals { peer.publish(seal, events: 2) }
        bench.commit()
        peer.acknowledge(1, 2)
        bench.pass(milliseconds: 200)
        bench.commit()
        bench.store?.lose(positions: 5)
        let next = bench.crashed()
        let again = next.open(1)
        let late = again.seal("d.late")
        next.commit()
        let told = again.attend("work") + next.commit()
        #expect(told.gaps.map(\.reason) == [.damaged, .damaged])
        #expect(told.gaps.map { String(decoding: $0.topic, as: UTF8.self) } == ["d.a", "d.b"])
        #expect(told.gaps.allSatisfy { $0.count == nil })
        again.publish(late)
        let done = next.commit()
        #expect(done.gaps.isEmpty && done.deliveries.count == 1)
        // Somebody who reads from the beginning misses the same; who begins now misses nothing.
        let (reader, fresh) = (next.open(2), next.open(3))
        let all = reader.attend("all", "d.a", start: .all) + next.commit()
        #expect(all.gaps.count == 1 && all.deliveries.count == 1)
        #expect((fresh.attend("fresh", "d.a", start: .new) + next.commit()).gaps.isEmpty)
    }

    @Test("what was delivered and not acknowledged comes again and says that it may be repeated")
    func repeated() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.attend("work", "d.a")
        let seal = peer.seal("d.a")
        bench.commit()
        for _ in 0..<3 { peer.publish(seal) }
        bench.commit()
        peer.settle(.acknowledge, 2)
        bench.pass(milliseconds: 200)
        bench.commit()
        let next = bench.crashed()
        let got = next.open(1).attend("work") + next.round()
        #expect(got.deliveries.sequences == [1, 3])
        #expect(got.deliveries.allSatisfy { $0.mayBeRepeated && $0.attempt == 2 })
    }

    @Test("last values are there")
    func lastValue() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        publisher.retain(publisher.seal("d.a"))
        bench.commit()
        let next = bench.crashed()
        #expect(next.open(1).subscribe(1, "d.a", mode: .last).deliveries.sequences == [1])
    }

    @Test("declarations by command hold")
    func declarations() {
        let bench = Bench(store: MemoryStore(incarnation: BusUUID(high: 7, low: 9)))
        bench.open(1).administer(.createTopic, filter: "x", settings: [Setting(.retain, 1)])
        bench.commit()
        let next = bench.crashed()
        next.open(1).openSeal("x")
        #expect(next.topic("x")?.isDurable == true)
        #expect(next.topic("x")?.retainsAll == true)
    }

    @Test("numbers of topics and subscriptions that are deleted are never given again")
    func numbers() {
        let bench = Bench(store: MemoryStore(incarnation: BusUUID(high: 7, low: 9)))
        let peer = bench.open(1)
        peer.administer(.createTopic, filter: "x")
        peer.openSeal("x")
        peer.administer(.createSubscription, "work", filter: "x")
        bench.commit()
        let (topic, subscription) = (bench.topic("x")?.storeNumber ?? 0, bench.durable("work")?.durable?.number ?? 0)
        peer.administer(.deleteSubscription, "work")
        peer.administer(.deleteTopic, filter: "x")
        bench.commit()
        let next = bench.crashed()
        let again = next.open(1)
        again.administer(.createTopic, filter: "x")
        again.openSeal("x")
        again.administer(.createSubscription, "work", filter: "x")
        next.commit()
        #expect(topic > 0 && next.topic("x")?.storeNumber ?? 0 > topic)
        #expect(subscription > 0 && next.durable("work")?.durable?.number ?? 0 > subscription)
    }

    @Test("a place ahead of all there is, and settings that aren't any, trap nothing")
    func odd() throws {
        let filter = try TopicFilter("d.a")
        var state = StoredState(incarnation: BusUUID(high: 1, low: 1), nextPosition: 5)
        state.subscriptions = [
            StoredSubscription(
                number: 3, name: try GroupName("work"), filter: filter, mode: SubscribeMode(rawValue: .max),
                settings: [Setting(SettingKey(rawValue: 900), .min)], uid: 1000, created: 0, attended: .max,
                cursor: StoredCursor(
                    next: .max,
                    pending: [
                        PendingRange(first: .max, count: .max, attempts: .max),
                        PendingRange(first: 2, count: .max, attempts: .max),
                    ]))
        ]
        let broker = Broker(configuration: BrokerConfiguration(), incarnation: BusUUID(high: 1, low: 2), firstSeal: 1)
        let now = Moment(monotonic: 1_000_000_000, wall: 1_700_000_000_000_000)
        broker.recover(state, at: now)
        broker.endRound(at: Moment(monotonic: 1 << 50, wall: now.wall))
        let subscription = broker.storage?.subscriptions[try GroupName("work")]
        #expect(subscription?.cursor(committed: 5).next == 5)
        #expect(subscription?.cursor(committed: 5).pending.map(\.first) == [2])
        #expect(broker.audit().isEmpty)
    }
}
