import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("What waits to be published counts as stored by its user")
struct ScheduledQuotaTests {
    private static let length = UInt64(SampleBatch(seal: 1, counter: 0, eventCount: 1).bytes.count)
    private static let second: Int64 = 1_000_000

    /// A user who may store three events, and a seal of its.
    private func bench(events: Int = 3) -> (bench: Bench, peer: Peer, seal: UInt64) {
        let bench = Bench.durable { $0.quotas.storedLength = events * Int(Self.length) }
        let peer = bench.open(1)
        let seal = peer.seal("d.a")
        bench.commit()
        return (bench, peer, seal)
    }

    @discardableResult
    private func leave(_ peer: Peer, _ seal: UInt64, after seconds: Int64, id: UInt64 = 0) -> [Effect] {
        let frame = peer.batch(seal) { if id > 0 { $0.firstID = BusUUID(high: 8, low: id) } }
        return peer.send(frame.with { $0.due = peer.bench.now.wall + seconds * Self.second }) + peer.bench.commit()
    }

    /// How many events' bytes a user's count says.
    private func kept(_ bench: Bench) -> UInt64 { (bench.account()?.keptLength ?? 0) / Self.length }

    @Test("from when it is left, on its way and on disk, and is refused beyond the bound, as a publish is")
    func refused() {
        let (bench, peer, seal) = bench()
        for _ in 0..<2 { leave(peer, seal, after: 10) }
        // On its way.
        peer.send(peer.batch(seal).with { $0.due = bench.now.wall + 20 * Self.second })
        #expect(kept(bench) == 3)
        let late = leave(peer, seal, after: 10)
        #expect(late.errors.map(\.reason) == [.quotaExceeded])
        #expect(late.errors.first?.message.contains("stored_bytes of uid 1000 is used up: \(3 * Self.length)") == true)
        #expect((peer.publish(seal) + bench.commit()).errors.map(\.reason) == [.quotaExceeded])
        #expect(bench.account()?.storedLength == 0 && kept(bench) == 3)
    }

    @Test("until it is taken back, or its topic is deleted")
    func takenBack() {
        let (bench, peer, seal) = bench()
        for id in 1...3 as ClosedRange<UInt64> { leave(peer, seal, after: 10, id: id) }
        peer.administer(.cancelScheduled, BusUUID(high: 8, low: 2).description)
        #expect(kept(bench) == 3)
        bench.commit()
        #expect(kept(bench) == 2)
        #expect(leave(peer, seal, after: 10).errors.isEmpty && kept(bench) == 3)
    }

    @Test("once while it is being published, and as its batch then")
    func published() {
        let (bench, peer, seal) = bench()
        for _ in 0..<3 { leave(peer, seal, after: 1) }
        bench.pass(milliseconds: 2000)
        #expect(bench.broker.storage?.schedule.moving.count == 3)
        #expect(kept(bench) == 3 && bench.account()?.storingLength == 3 * Self.length)
        bench.commit()
        #expect(kept(bench) == 3 && bench.account()?.storedLength == 3 * Self.length)
        #expect(bench.account()?.scheduled == Waiting())
        #expect(leave(peer, seal, after: 1).errors.map(\.reason) == [.quotaExceeded])
    }

    @Test("as what waits, again, where the store has no room")
    func noRoom() {
        let (bench, peer, seal) = bench()
        for _ in 0..<3 { leave(peer, seal, after: 1) }
        bench.store?.bytesMax = 1
        bench.pass(milliseconds: 2000)
        #expect(bench.account()?.storingLength == 3 * Self.length)
        bench.commit()
        #expect(bench.account()?.storingLength == 0)
        #expect(bench.account()?.scheduled == Waiting(count: 3, length: 3 * Self.length))
        bench.store?.bytesMax = .max
        for _ in 0..<3 { bench.pass(milliseconds: 1000) }
        bench.commit()
        #expect(bench.account()?.storedLength == 3 * Self.length && bench.account()?.scheduled == Waiting())
    }

    @Test("over a crash; and whose bound was lowered has it published all the same")
    func lowered() {
        let (bench, peer, seal) = bench()
        for _ in 0..<3 { leave(peer, seal, after: 5) }
        var configuration = bench.broker.configuration
        configuration.quotas.storedLength = 1
        let next = bench.crashed(as: configuration)
        #expect(kept(next) == 3)
        for _ in 0..<7 { next.pass(milliseconds: 1000) }
        next.commit()
        #expect(next.store?.disk.batches.count == 3)
        #expect(next.account()?.storedLength == 3 * Self.length && kept(next) == 3)
    }

    @Test("no more when it was put aside as damaged")
    func damaged() throws {
        let (bench, peer, seal) = bench()
        for _ in 0..<3 { leave(peer, seal, after: 10) }
        let row = bench.store?.damage(scheduled: 2)
        var commit = StoreCommit(through: 0)
        commit.setAside = [try #require(row)]
        bench.round(.stored(commit))
        #expect(kept(bench) == 2 && bench.account()?.scheduled.count == 2)
        // Of a row that says that it is longer than all that waits, no more than there is.
        commit.setAside = [SetAsideScheduled(number: 1, topic: 1, uid: 1000, length: .max)]
        bench.round(.stored(commit))
        #expect(bench.account()?.scheduled == Waiting(count: 1))
    }

    @Test("is shown among its stored bytes")
    func shown() throws {
        let (bench, peer, seal) = bench()
        leave(peer, seal, after: 10)
        let row = try #require(bench.account().map(bench.broker.row))
        #expect(row.first { $0.name == "stored_bytes_used" } == InspectedValue("stored_bytes_used", Self.length))
    }
}
