import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Publishing on durable topics")
struct BrokerStoringTests {
    @Test("receipt and delivery come when it is on disk, and not before")
    func order() {
        let bench = Bench.durable()
        let (publisher, reader, worker) = (bench.open(1), bench.open(2), bench.open(3))
        reader.subscribe(1, "d.a")
        worker.attend("work", "d.a")
        bench.commit()
        let seal = publisher.seal("d.a")
        let asked = publisher.publish(seal, events: 3)
        #expect(asked.receipts.isEmpty && asked.deliveries.isEmpty)
        #expect(asked.kinds.contains("store"))
        let done = bench.commit()
        #expect(done.deliveries.filter { $0.subscription == 1 }.map(\.sequences) == [[1, 2, 3], [1, 2, 3]])
        let receipt = done.receipted.first
        #expect(receipt?.isDurable == true)
        #expect(receipt?.liveMatches == 1 && receipt?.durableMatches == 1)
    }

    @Test("publishes of one session keep their order: live ones and refusals wait behind durable ones")
    func sessionOrder() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        let (stored, live) = (publisher.seal("d.a"), publisher.seal("live"))
        publisher.publish(stored)
        #expect(publisher.publish(live).receipts.isEmpty)
        #expect(publisher.publish(999).errors.isEmpty)
        let done = bench.commit()
        #expect(done.errors.map(\.reason) == [.unknownSeal])
        #expect(done.receipted.map(\.number) == [1, 2])
        #expect(publisher.session?.progress == 3)
    }

    @Test("what is published again is receipted as the first time, and stored once")
    func duplicate() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        let first = BusUUID(high: 5, low: 100)
        publisher.send(publisher.batch(seal, events: 3) { $0.firstID = first })
        bench.commit()
        publisher.send(publisher.batch(seal, events: 3) { $0.firstID = first }.with { $0.isAgain = true })
        let receipt = bench.commit().receipted.first
        #expect(receipt?.isDuplicate == true)
        #expect(receipt?.firstSequence == 1 && receipt?.eventCount == 3)
        #expect(bench.store?.disk.batches.count == 1)
        #expect(bench.account()?.isLookingUp == false)
    }

    @Test("of which some are known it is refused with the list")
    func partly() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        publisher.send(publisher.batch(seal, events: 2) { $0.firstID = BusUUID(high: 5, low: 100) })
        bench.commit()
        publisher.send(
            publisher.batch(seal, events: 3) { $0.firstID = BusUUID(high: 5, low: 101) }.with { $0.isAgain = true })
        #expect(bench.commit().errors.map(\.reason) == [.partlyKnown])
        #expect(bench.store?.disk.batches.count == 1)
    }

    @Test("a user's stored bytes are counted from when they are handed over, and refused beyond its quota")
    func storedQuota() {
        let bench = Bench.durable { $0.quotas.storedLength = 1000 }
        let (publisher, other) = (bench.open(1), bench.open(2, uid: 1001))
        let seal = publisher.seal("d.a")
        publisher.publish(seal, payload: 300)
        #expect(bench.account()?.storedLength == 0 && (bench.account()?.storingLength ?? 0) > 300)
        publisher.publish(seal, payload: 300)
        // The third is one too many, though nothing is on disk yet; it is told behind the two.
        publisher.publish(seal, payload: 300)
        let done = bench.commit()
        #expect(done.receipted.count == 2)
        #expect(done.errors.map(\.reason) == [.quotaExceeded])
        #expect(done.errors.first?.message.hasPrefix("quota stored_bytes of uid 1000 is used up: ") == true)
        #expect(bench.account()?.storingLength == 0 && (bench.account()?.storedLength ?? 0) > 600)
        other.publish(other.seal("d.a"), payload: 300)
        #expect(bench.commit().receipted.count == 1)
    }

    @Test("what is stored is known after a restart, and a purge gives it back")
    func storedQuotaAfterRestart() {
        let bench = Bench.durable { $0.quotas.storedLength = 500 }
        let publisher = bench.open(1)
        publisher.publish(publisher.seal("d.a"), payload: 300)
        bench.commit()
        let next = bench.crashed()
        let again = next.open(1)
        let seal = again.seal("d.a")
        #expect(again.publish(seal, payload: 300).errors.map(\.reason) == [.quotaExceeded])
        again.administer(.purgeTopic, "d.a")
        next.commit()
        #expect(next.account()?.storedLength == 0)
        again.publish(seal, payload: 300)
        #expect(next.commit().receipted.count == 1)
    }

    @Test("a will beyond its user's quota isn't stored")
    func willBeyondQuota() {
        let bench = Bench.durable { $0.quotas.storedLength = 500 }
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        publisher.publish(seal, payload: 300)
        publisher.setWill(seal, payload: 300)
        bench.commit()
        publisher.leave()
        bench.commit()
        #expect(bench.store?.disk.batches.count == 1)
        #expect(bench.account()?.storingLength == 0)
    }

    @Test("a clock that is set ahead makes no duplicate a new event")
    func clockAhead() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        publisher.publish(seal)
        bench.commit()
        bench.now.wall += 86_400_000_000
        publisher.send(publisher.batch(seal).with { $0.isAgain = true })
        #expect(bench.commit().receipted.first?.isDuplicate == true)
    }

    @Test("a topic that is deleted while ids are looked up leaves nobody waiting")
    func deletedWhileAsked() {
        let bench = Bench(store: MemoryStore(incarnation: BusUUID(high: 7, low: 9)))
        let (publisher, other) = (bench.open(1), bench.open(2))
        publisher.administer(.createTopic, filter: "x")
        bench.commit()
        let (seal, second) = (publisher.seal("x"), other.seal("y"))
        bench.commit()
        publisher.send(publisher.batch(seal).with { $0.isAgain = true })
        other.administer(.deleteTopic, filter: "x")
        bench.commit()
        #expect(publisher.session?.lookUps.isEmpty == true)
        #expect(bench.account()?.isLookingUp == false)
        #expect(other.publish(second).receipted.count == 1)
    }

    @Test("a seal is stored again for the topic's next life in the store")
    func sealOfTheNextLife() {
        let bench = Bench(store: MemoryStore(incarnation: BusUUID(high: 7, low: 9)))
        let peer = bench.open(1)
        peer.administer(.createTopic, filter: "x")
        let seal = peer.seal("x")
        peer.publish(seal)
        bench.commit()
        peer.administer(.deleteTopic, filter: "x")
        peer.administer(.createTopic, filter: "x")
        peer.publish(seal)
        bench.commit()
        let batch = bench.store?.disk.batches.last
        #expect(batch?.topic == bench.topic("x")?.storeNumber)
        #expect(bench.store?.disk.seals[seal]?.topic == batch?.topic)
    }

    @Test("the store hears that a seal is closed, and again of one under which something had waited")
    func closed() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        let seal = peer.seal("d.a")
        peer.publish(seal)
        bench.commit()
        let done = peer.send(.closeSeal(seal: seal))
        #expect(done.writes.contains { if case .sealClosed(seal) = $0 { true } else { false } })
    }

    @Test("a full store refuses publishes by name, and lets acknowledge and purge")
    func full() {
        var store = MemoryStore(incarnation: BusUUID(high: 7, low: 9))
        store.bytesMax = 4000
        let bench = Bench(store: store) { $0.topics = [Bench.declaration("d.>", [])] }
        let (publisher, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.a")
        let seal = publisher.seal("d.a")
        for _ in 0..<5 { publisher.publish(seal, payload: 1000) }
        let done = bench.commit()
        #expect(done.errors.contains { $0.reason == .storeFull } || publisher.session?.progress == 5)
        #expect(publisher.publish(seal, payload: 3000).errors.map(\.reason) == [.storeFull])
        worker.acknowledge(1, 1)
        #expect(publisher.administer(.purgeTopic, "d.a").errors.isEmpty)
        bench.commit()
        bench.commit()
        #expect(publisher.publish(seal, payload: 1000).errors.isEmpty)
        #expect(bench.commit().receipted.count == 1)
    }

    @Test("a last value the store has no room for leaves the one there is, and the one that comes after it")
    func fullOfLastValues() {
        var store = MemoryStore(incarnation: BusUUID(high: 7, low: 9))
        store.bytesMax = 4000
        let bench = Bench(store: store) { $0.topics = [Bench.declaration("d.>", [Setting(.retain, 1)])] }
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        publisher.publish(seal, payload: 10)
        bench.commit()
        let number = bench.topic("d.a")?.storeNumber ?? 0
        // As far as is known there is room for both; the store finds that there is none for the larger one.
        bench.broker.storage?.bytesMax = .max
        publisher.publish(seal, payload: 5000)
        publisher.publish(seal, payload: 10)
        #expect(bench.commit().errors.map(\.reason) == [.storeFull])
        #expect(bench.store?.disk.retained[number] == bench.store?.disk.batches.last?.position)
        #expect(bench.topic("d.a")?.retained?.portion.batch.position == bench.store?.disk.batches.last?.position)
        bench.commit()
        #expect(bench.store?.disk.retained[number] == bench.store?.disk.batches.last?.position)
    }

    @Test("a last will on a durable topic is stored, and an event when it is on disk")
    func will() {
        let bench = Bench.durable()
        let (mortal, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.a")
        let seal = mortal.seal("d.a")
        bench.commit()
        mortal.publish(seal)
        bench.commit()
        mortal.setWill(seal)
        #expect(mortal.leave().deliveries.isEmpty)
        #expect(bench.commit().deliveries.sequences == [2])
        #expect(bench.store?.disk.batches.map(\.firstSequence) == [1, 2])
        #expect(bench.topic("d.a")?.lastSequence == 2)
    }

    @Test("who demands durability is refused where the topic is live")
    func kinds() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        let live = peer.seal("live")
        #expect(peer.send(peer.batch(live).with { $0.mustBeDurable = true }).errors.map(\.reason) == [.notDurable])
    }
}
