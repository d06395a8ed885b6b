import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Events that are published later")
struct BrokerSchedulingTests {
    private static let second: Int64 = 1_000_000
    private static let day: Int64 = 86_400_000_000

    /// A bench with somebody who publishes on `d.a` and a live reader of it.
    private func bench(
        _ change: @escaping (inout BrokerConfiguration) -> Void = { _ in }
    ) -> (bench: Bench, publisher: Peer, seal: UInt64, reader: Peer) {
        let bench = Bench.durable(change)
        let (publisher, reader) = (bench.open(1), bench.open(2))
        reader.subscribe(1, "d.>")
        let seal = publisher.seal("d.a")
        bench.commit()
        return (bench, publisher, seal, reader)
    }

    @discardableResult
    private func schedule(
        _ publisher: Peer, _ seal: UInt64, at due: Int64, id: BusUUID? = nil,
        _ change: (inout Publish) -> Void = { _ in }
    ) -> [Effect] {
        let frame = publisher.batch(seal) { if let id { $0.firstID = id } }.with {
            $0.due = due
            change(&$0)
        }
        return publisher.send(frame) + publisher.bench.commit()
    }

    /// Lets time pass second by second, as rounds come, and commits what is to be committed.
    private func pass(_ bench: Bench, seconds: UInt64) -> [Effect] {
        var effects: [Effect] = []
        for _ in 0..<seconds {
            effects += bench.pass(milliseconds: 1000)
            effects += bench.commit()
        }
        return effects
    }

    @Test("wait on disk, are receipted as waiting, and are published when they are due, once")
    func published() {
        let (bench, publisher, seal, _) = bench()
        let due = bench.now.wall + 10 * Self.second
        let taken = schedule(publisher, seal, at: due, id: BusUUID(high: 5, low: 1))
        let receipt = taken.receipted.first
        #expect(receipt?.isScheduled == true && receipt?.isDurable == true && receipt?.firstSequence == 0)
        #expect(taken.deliveries.isEmpty && bench.store?.disk.scheduled.count == 1)
        #expect(bench.account()?.scheduled.count == 1)
        #expect(pass(bench, seconds: 9).deliveries.isEmpty)
        let delivered = pass(bench, seconds: 3).deliveries
        #expect(delivered.map(\.sequences) == [[1]])
        #expect(delivered.first.map { $0.time >= due } == true)
        #expect(bench.store?.disk.scheduled.isEmpty == true && bench.store?.disk.batches.count == 1)
        #expect(bench.account()?.scheduled.count == 0)
        #expect(pass(bench, seconds: 5).deliveries.isEmpty)
    }

    @Test("come in the order in which they are due, between others, and under their publisher's name when that is gone")
    func order() {
        let (bench, publisher, seal, _) = bench()
        let now = bench.now.wall
        for (low, seconds) in [(1, 30), (2, 10), (3, 20)] as [(UInt64, Int64)] {
            schedule(publisher, seal, at: now + seconds * Self.second, id: BusUUID(high: 5, low: low))
        }
        publisher.leave()
        bench.commit()
        let delivered = pass(bench, seconds: 31)
        #expect(delivered.deliveries.map(\.sequences) == [[1], [2], [3]])
        #expect(bench.store?.disk.batches.map(\.firstID.low) == [2, 3, 1])
        #expect(bench.store?.disk.batches.allSatisfy { $0.uid == 1000 } == true)
    }

    @Test("of the past are published at once")
    func past() {
        let (bench, publisher, seal, _) = bench()
        let effects = schedule(publisher, seal, at: bench.now.wall - 1)
        #expect(effects.deliveries.map(\.sequences) == [[1]])
        #expect(effects.receipted.first?.isScheduled == false)
    }

    @Test("are refused on live topics, too far ahead, several in a batch, and beyond a user's bound")
    func refused() {
        let (bench, publisher, seal, _) = bench { $0.quotas.scheduled = 1 }
        let live = publisher.seal("live")
        let due = bench.now.wall + Self.second
        #expect(schedule(publisher, live, at: due).errors.map(\.reason) == [.notDurable])
        let far = bench.now.wall + 366 * Self.day + 1
        #expect(schedule(publisher, seal, at: far).errors.map(\.reason) == [.invalidSetting])
        #expect(schedule(publisher, seal, at: .max).errors.map(\.reason) == [.invalidSetting])
        let several = publisher.send(publisher.batch(seal, events: 2).with { $0.due = due }) + bench.commit()
        #expect(several.errors.map(\.reason) == [.malformedBatch])
        #expect(schedule(publisher, seal, at: due).errors.isEmpty)
        #expect(schedule(publisher, seal, at: due).errors.map(\.reason) == [.quotaExceeded])
        #expect(pass(bench, seconds: 2).deliveries.count == 1)
        #expect(schedule(publisher, seal, at: bench.now.wall + Self.second).errors.isEmpty)
    }

    @Test("sent again are known, before they are due and afterwards")
    func duplicates() {
        let (bench, publisher, seal, _) = bench()
        let (due, id) = (bench.now.wall + 5 * Self.second, BusUUID(high: 5, low: 9))
        schedule(publisher, seal, at: due, id: id)
        let again = schedule(publisher, seal, at: due, id: id) { $0.isAgain = true }
        #expect(again.receipted.first?.isDuplicate == true && again.receipted.first?.isScheduled == true)
        let now = publisher.send(publisher.batch(seal) { $0.firstID = id }.with { $0.isAgain = true }) + bench.commit()
        #expect(now.receipted.first?.isScheduled == true && now.deliveries.isEmpty)
        #expect(pass(bench, seconds: 6).deliveries.count == 1)
        let late = schedule(publisher, seal, at: due + Self.day, id: id) { $0.isAgain = true }
        #expect(late.receipted.first?.isDuplicate == true && late.receipted.first?.isScheduled == false)
        #expect(late.receipted.first?.firstSequence == 1)
        #expect(bench.store?.disk.scheduled.isEmpty == true && bench.store?.disk.batches.count == 1)
    }

    @Test("are looked up by id only on a topic where something of the user waits, on its way to the disk included")
    func lookUps() {
        let (bench, publisher, seal, _) = bench()
        let (other, stranger) = (publisher.seal("d.b"), bench.open(3, uid: 1001))
        let strange = stranger.seal("d.a")
        bench.commit()
        func asked(_ peer: Peer, _ seal: UInt64) -> [Bool] {
            let effects = peer.send(peer.batch(seal).with { $0.isAgain = true })
            bench.commit()
            return effects.compactMap {
                if case .store(_, .lookUp(_, _, _, _, _, let includesWaiting)) = $0 { includesWaiting } else { nil }
            }
        }
        #expect(asked(publisher, seal) == [false])
        publisher.send(publisher.batch(seal).with { $0.due = bench.now.wall + Self.second })
        #expect(asked(publisher, seal) == [true])
        #expect(asked(publisher, other) == [false] && asked(stranger, strange) == [false])
        _ = pass(bench, seconds: 2)
        #expect(asked(publisher, seal) == [false])
    }

    @Test("don't come early when a clock jumps a day ahead or back under load, and come when it is put right")
    func clockJumps() {
        let (bench, publisher, seal, _) = bench()
        let start = bench.now
        for seconds in 1...20 as ClosedRange<UInt64> {
            schedule(
                publisher, seal, at: start.wall + Int64(seconds) * 60 * Self.second, id: BusUUID(high: 6, low: seconds))
        }
        var jump: Int64 = 0
        var seen = 0
        for seconds in 1...1300 as ClosedRange<UInt64> {
            // A day ahead for less than five minutes, a day back for a while, and right again.
            let wanted: Int64 = (100..<350).contains(seconds) ? Self.day : (500..<600).contains(seconds) ? -Self.day : 0
            bench.now.wall += wanted - jump
            jump = wanted
            for effects in [bench.pass(milliseconds: 1000), bench.commit()] {
                seen += effects.deliveries.count
            }
            // By the clock that is right.
            #expect(seen <= Int(seconds / 60), "after \(seconds) s")
        }
        #expect(seen == 20)
    }

    @Test("don't come early after a boot at 1970, and what is over comes when the clock is set")
    func neverSet() {
        let (bench, publisher, seal, _) = bench()
        schedule(publisher, seal, at: bench.now.wall + 60 * Self.second, id: BusUUID(high: 6, low: 1))
        schedule(publisher, seal, at: bench.now.wall + Self.day, id: BusUUID(high: 6, low: 2))
        let right = bench.now.wall
        bench.isAudited = false
        var store = bench.store
        store?.crash()
        let next = Bench { $0 = bench.broker.configuration }
        next.store = store
        next.now.wall = 0
        if let state = store?.state { next.broker.recover(state, at: next.now) }
        next.open(2).subscribe(1, "d.>")
        #expect(pass(next, seconds: 100).deliveries.isEmpty)
        next.now.wall = right + 50 * Self.second
        #expect(pass(next, seconds: 5).deliveries.isEmpty)
        #expect(pass(next, seconds: 10).deliveries.map(\.sequences) == [[1]])
        #expect(pass(next, seconds: 100).deliveries.isEmpty)
        #expect(next.store?.disk.scheduled.count == 1)
    }

    @Test("that fell due while the daemon was down are published when it starts")
    func downtime() {
        let (bench, publisher, seal, _) = bench()
        for low in 1...3 as ClosedRange<UInt64> {
            schedule(publisher, seal, at: bench.now.wall + 10 * Self.second, id: BusUUID(high: 6, low: low))
        }
        bench.now.monotonic += 60_000_000_000
        let next = bench.crashed()
        next.commit()
        #expect(next.store?.disk.batches.map(\.firstID.low) == [1, 2, 3])
        #expect(next.store?.disk.batches.map(\.firstSequence) == [1, 2, 3])
        #expect(next.account()?.scheduled.count ?? 0 == 0)
    }

    @Test("are neither lost nor doubled by a crash before or after what publishes them is on disk")
    func crash() {
        let (bench, publisher, seal, _) = bench()
        schedule(publisher, seal, at: bench.now.wall + Self.second, id: BusUUID(high: 6, low: 1))
        // Handed to the store, and not on disk.
        bench.pass(milliseconds: 2000)
        #expect(bench.broker.storage?.schedule.moving.count == 1)
        let next = bench.crashed()
        #expect(next.store?.disk.batches.isEmpty == true && next.store?.disk.scheduled.count == 1)
        _ = pass(next, seconds: 3)
        #expect(next.store?.disk.batches.count == 1 && next.store?.disk.scheduled.isEmpty == true)
        let last = next.crashed()
        _ = pass(last, seconds: 3)
        #expect(last.store?.disk.batches.count == 1)
    }

    @Test("wait on while the store is full, and are published when there is room")
    func full() {
        let (bench, publisher, seal, _) = bench()
        schedule(publisher, seal, at: bench.now.wall + Self.second)
        bench.broker.storage?.bytesMax = 1
        #expect(pass(bench, seconds: 10).deliveries.isEmpty)
        #expect(bench.store?.disk.scheduled.count == 1)
        bench.broker.storage?.bytesMax = .max
        bench.store?.bytesMax = 1
        #expect(pass(bench, seconds: 5).deliveries.isEmpty)
        #expect(bench.topic("d.a")?.lastSequence == 0)
        bench.store?.bytesMax = .max
        #expect(pass(bench, seconds: 3).deliveries.map(\.sequences) == [[1]])
    }

    @Test("are taken back by their publisher, root and the bus's own, by nobody else; and then never come")
    func cancelled() {
        let (bench, publisher, seal, _) = bench { $0.ownIdentity = PeerIdentity(uid: 1002, gid: 1002) }
        let stranger = bench.open(3, uid: 1001)
        let others = [bench.open(4, uid: 0), bench.open(5, uid: 1002), publisher]
        for (index, peer) in others.enumerated() {
            let id = BusUUID(high: 7, low: UInt64(index + 1))
            schedule(publisher, seal, at: bench.now.wall + 10 * Self.second, id: id)
            let denied = stranger.administer(.cancelScheduled, id.description) + bench.commit()
            #expect(denied.errors.map(\.reason) == [.denied])
            let done = peer.administer(.cancelScheduled, id.description) + bench.commit()
            #expect(done.administered.map(\.count) == [1])
            let again = peer.administer(.cancelScheduled, id.description) + bench.commit()
            #expect(again.errors.map(\.reason) == [.unknownName])
        }
        #expect(bench.account()?.scheduled.count == 0)
        #expect(pass(bench, seconds: 12).deliveries.isEmpty)
    }

    @Test("that are being published can't be taken back any more")
    func tooLate() {
        let (bench, publisher, seal, _) = bench()
        let id = BusUUID(high: 7, low: 1)
        schedule(publisher, seal, at: bench.now.wall + Self.second, id: id)
        bench.pass(milliseconds: 2000)
        #expect(publisher.administer(.cancelScheduled, id.description).errors.map(\.reason) == [.unknownName])
        #expect(bench.commit().deliveries.count == 1)
    }

    @Test("that were found to wait and are published before that is told can't be taken back")
    func foundTooEarly() throws {
        let (bench, publisher, seal, _) = bench()
        let id = BusUUID(high: 7, low: 1)
        schedule(publisher, seal, at: bench.now.wall + Self.second, id: id)
        let found = try #require(bench.store?.disk.scheduled.values.first)
        bench.broker.handle(
            .received(publisher.id, .administer(Administer(request: 5, .cancelScheduled, key: id.description))),
            at: bench.now)
        // The store has looked; its answer comes behind the commit that publishes the event.
        let asked = bench.broker.nextEffect()
        #expect(asked.map { [$0].kinds } == ["administer"])
        #expect(pass(bench, seconds: 2).deliveries.count == 1)
        let late = bench.round(.administered(publisher.id, request: 5, .scheduled([found]))) + bench.commit()
        #expect(late.errors.map(\.reason) == [.unknownName] && late.administered.isEmpty)
        #expect(bench.account()?.scheduled.count == 0)
    }

    @Test("that are taken back while what is due is read aren't published")
    func cancelledMeanwhile() throws {
        let (bench, publisher, seal, _) = bench()
        let id = BusUUID(high: 7, low: 1)
        schedule(publisher, seal, at: bench.now.wall + Self.second, id: id)
        // The answer is kept back.
        let page = bench.store?.due(DueOrder(time: .max, after: nil, eventCountMax: 9, lengthMax: 99))
        let store = bench.store
        bench.store = nil
        #expect(bench.pass(milliseconds: 2000).kinds.contains("readDue"))
        bench.store = store
        #expect(publisher.administer(.cancelScheduled, id.description).errors.isEmpty)
        #expect(bench.commit().administered.map(\.count) == [1])
        _ = bench.round(.storeReadDue(try #require(page)))
        #expect(bench.commit().deliveries.isEmpty && bench.store?.disk.batches.isEmpty == true)
        #expect(bench.broker.storage?.schedule.cancelled.isEmpty == true)
    }

    @Test("stay when their topic is purged, and go when it is deleted, with how many told")
    func deleted() {
        let bench = Bench(store: MemoryStore(incarnation: BusUUID(high: 7, low: 9)))
        let publisher = bench.open(1)
        publisher.administer(.createTopic, filter: "x")
        bench.commit()
        let seal = publisher.seal("x")
        bench.commit()
        schedule(publisher, seal, at: bench.now.wall + 10 * Self.second)
        schedule(publisher, seal, at: bench.now.wall + 20 * Self.second)
        publisher.publish(seal)
        bench.commit()
        publisher.administer(.purgeTopic, "x")
        bench.commit()
        #expect(bench.store?.disk.scheduled.count == 2)
        #expect(pass(bench, seconds: 12).isEmpty == false)
        #expect(bench.store?.disk.scheduled.count == 1 && bench.store?.disk.batches.count == 1)
        let deleted = publisher.administer(.deleteTopic, filter: "x") + bench.commit()
        #expect(deleted.administered.map(\.count) == [2])
        #expect(bench.store?.disk.scheduled.isEmpty == true && bench.account()?.scheduled.count == 0)
        _ = pass(bench, seconds: 12)
        #expect(bench.store?.disk.batches.isEmpty == true)
    }

    @Test("become the last value when they come, where they are to")
    func retained() {
        let (bench, publisher, seal, _) = bench()
        schedule(publisher, seal, at: bench.now.wall + Self.second) { $0.retains = true }
        #expect(bench.topic("d.a")?.retained == nil)
        _ = pass(bench, seconds: 2)
        #expect(bench.topic("d.a")?.retained?.portion.batch.firstSequence == 1)
        #expect(bench.store?.disk.retained.isEmpty == false)
    }
}
