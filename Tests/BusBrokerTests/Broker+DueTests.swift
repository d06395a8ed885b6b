import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Events that are due and can't be published")
struct BrokerDueTests {
    private static let second: Int64 = 1_000_000

    /// A bench with a user who leaves events that are to be kept, and has room for one and a half last values; another one;
    /// and a reader of all.
    private func bench() -> (bench: Bench, blocked: Peer, other: Peer, reader: Peer) {
        let bench = Bench.durable {
            $0.quotas.retainedLength = SampleBatch(seal: 1, counter: 0, eventCount: 1).bytes.count * 3 / 2
        }
        let peers = (bench.open(1, uid: 1001), bench.open(2), bench.open(3))
        peers.2.subscribe(1, "d.>")
        return (bench, peers.0, peers.1, peers.2)
    }

    private func leave(
        _ peer: Peer, _ seal: UInt64, after seconds: Int64, retains: Bool = false, id: UInt64 = 0
    ) {
        let frame = peer.batch(seal) { if id > 0 { $0.firstID = BusUUID(high: 8, low: id) } }.with {
            $0.due = peer.bench.now.wall + seconds * Self.second
            $0.retains = retains
        }
        peer.send(frame)
    }

    private func pass(_ bench: Bench, seconds: Int) -> [Effect] {
        (0..<seconds).flatMap { _ in bench.pass(milliseconds: 1000) + bench.commit() }
    }

    /// What was published so far, by seal.
    private func published(_ bench: Bench) -> [UInt64] { bench.store?.disk.batches.map(\.seal) ?? [] }

    @Test("hold up nobody else's, however many they are, and come in their order when there is room")
    func headOfLine() {
        let (bench, blocked, other, _) = bench()
        let (kept, taken) = (blocked.seal("d.kept"), blocked.seal("d.taken"))
        let seal = other.seal("d.other")
        bench.commit()
        for id in 1...600 as ClosedRange<UInt64> { leave(blocked, kept, after: 5, retains: true, id: id) }
        leave(other, seal, after: 6, id: 1000)
        bench.commit()
        // The room is used up before they are due.
        blocked.send(blocked.batch(taken).with { $0.retains = true })
        bench.commit()
        #expect(pass(bench, seconds: 5).deliveries.isEmpty)
        #expect(pass(bench, seconds: 2).deliveries.count == 1)
        #expect(published(bench) == [taken, seal])
        #expect(bench.store?.disk.scheduled.count == 600)
        // What is left isn't read all the time.
        let reads = pass(bench, seconds: 10).kinds.count { $0 == "readDue" }
        #expect((3...40).contains(reads), "\(reads) pages of 256 in ten seconds")
        blocked.send(blocked.batch(taken).with { ($0.retains, $0.isTombstone) = (true, true) })
        bench.commit()
        _ = pass(bench, seconds: 3)
        let order = bench.store?.disk.batches.filter { $0.seal == kept }.map(\.firstID.low)
        #expect(order == Array(1...600))
        #expect(bench.store?.disk.scheduled.isEmpty == true && bench.account(1001)?.scheduled.count == 0)
    }

    @Test("hold back what their user left for later on the same topic, and nothing on others")
    func keepOrder() {
        let (bench, blocked, _, _) = bench()
        let (kept, taken) = (blocked.seal("d.kept"), blocked.seal("d.taken"))
        bench.commit()
        leave(blocked, kept, after: 1, retains: true, id: 1)
        leave(blocked, kept, after: 2, id: 2)
        leave(blocked, taken, after: 2, id: 3)
        blocked.send(blocked.batch(taken) { $0.firstID = BusUUID(high: 8, low: 9) }.with { $0.retains = true })
        bench.commit()
        _ = pass(bench, seconds: 5)
        #expect(bench.store?.disk.batches.map(\.firstID.low) == [9, 3])
        blocked.send(
            blocked.batch(taken) { $0.firstID = BusUUID(high: 8, low: 10) }.with {
                ($0.retains, $0.isTombstone) = (true, true)
            })
        bench.commit()
        _ = pass(bench, seconds: 2)
        #expect(bench.store?.disk.batches.map(\.firstID.low) == [9, 3, 10, 1, 2])
    }

    @Test("that are too long for what is left of the store hold up nobody's that aren't")
    func long() {
        let (bench, first, other, _) = bench()
        let (seals, length) = ((first.seal("d.a"), other.seal("d.b")), UInt64(1000))
        bench.commit()
        let frame = first.batch(seals.0, payload: Int(length))
        first.send(frame.with { $0.due = bench.now.wall + Self.second })
        leave(other, seals.1, after: 2)
        bench.commit()
        let used = bench.broker.storage?.bytesUsed ?? 0
        bench.broker.storage?.bytesMax = used + length
        #expect(pass(bench, seconds: 4).deliveries.count == 1 && published(bench) == [seals.1])
        bench.broker.storage?.bytesMax = .max
        #expect(pass(bench, seconds: 2).deliveries.count == 1 && published(bench) == [seals.1, seals.0])
    }
}

@Suite("Events that are due and damaged")
struct BrokerDueDamageTests {
    /// A user with events that wait on two topics, 300 of them on the first.
    private func bench() -> (bench: Bench, seals: [UInt64]) {
        let bench = Bench.durable()
        let peer = bench.open(1)
        let seals = [peer.seal("d.a"), peer.seal("d.b")]
        bench.commit()
        for (seal, count) in zip(seals, [300, 1]) {
            for _ in 0..<count {
                peer.send(peer.batch(seal).with { $0.due = bench.now.wall + 1_000_000 })
            }
        }
        bench.commit()
        return (bench, seals)
    }

    /// Ten seconds later, in what began on the store as it is now.
    private func later(_ bench: Bench) -> (bench: Bench, effects: [Effect]) {
        let next = bench.crashed()
        var effects: [Effect] = []
        for _ in 0..<10 { effects += next.pass(milliseconds: 1000) + next.commit() }
        return (next, effects)
    }

    @Test("are put aside where their topic is gone, once, and others come")
    func topic() {
        let (bench, seals) = bench()
        bench.store?.damage(topic: 1)
        let (next, effects) = later(bench)
        #expect(next.store?.disk.batches.map(\.seal) == [seals[1]])
        #expect(next.store?.disk.setAside.count == 300 && next.store?.disk.scheduled.isEmpty == true)
        #expect(effects.kinds.count { $0 == "readDue" } < 10)
        #expect(next.account()?.scheduled.count ?? 0 == 0)
        #expect(next.broker.storage?.schedule.cancelled.isEmpty == true)
    }

    @Test("are put aside where their seal is, and count for nobody any more")
    func seal() {
        let (bench, seals) = bench()
        bench.store?.damage(seal: seals[0])
        let (next, _) = later(bench)
        #expect(next.store?.disk.batches.map(\.seal) == [seals[1]])
        #expect(next.store?.disk.setAside.count == 300 && next.store?.disk.scheduled.isEmpty == true)
        #expect(next.account()?.scheduled.count ?? 0 == 0 && next.topic("d.a")?.scheduled.isEmpty == true)
    }

    @Test("are put aside where the store finds only then that their topic is")
    func refused() {
        let (bench, seals) = bench()
        bench.store?.damage(topic: 1)
        var effects: [Effect] = []
        for _ in 0..<10 { effects += bench.pass(milliseconds: 1000) + bench.commit() }
        #expect(bench.store?.disk.batches.map(\.seal) == [seals[1]])
        #expect(bench.store?.disk.setAside.count == 300 && bench.store?.disk.scheduled.isEmpty == true)
        #expect(effects.kinds.count { $0 == "readDue" } < 10)
        #expect(bench.account()?.scheduled.count == 0)
        #expect(bench.broker.storage?.schedule.cancelled.isEmpty == true)
    }

    @Test("that the store put aside by itself count for nobody any more, unless they are on their way out already")
    func found() throws {
        let (bench, _) = bench()
        func tell(_ row: SetAsideScheduled) {
            var commit = StoreCommit(through: 0)
            commit.setAside = [row]
            bench.round(.stored(commit))
        }
        let damaged = bench.store?.damage(scheduled: 1)
        tell(try #require(damaged))
        #expect(bench.account()?.scheduled.count == 300)
        bench.pass(milliseconds: 2000)
        // It is being published: that it waits no more is counted when that is on disk.
        tell(SetAsideScheduled(number: 2, topic: 1, uid: 1000, length: 9))
        #expect(bench.account()?.scheduled.count == 300)
        bench.commit()
        #expect(bench.account()?.scheduled.count == 0)
        tell(SetAsideScheduled(number: 3, topic: 1, uid: 1000, length: .max))
        tell(SetAsideScheduled(number: 4, topic: 77, uid: 1000, length: 9))
        #expect(bench.account()?.scheduled.count == 0)
    }
}
