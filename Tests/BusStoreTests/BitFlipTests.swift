import BusWire
import Testing

@testable import BusStore

@Suite struct BitFlipTests {
    private let rounds = 200

    /// A crashed store: some of it in the database, some in the log, and a head.
    private func crashedWorld() throws -> StoreWorld {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), StoreWorld.newTopic(StoreWorld.other, "b")])
        try append(world, 1...150)
        try world.close()
        try append(world, 151...300)
        return try world.crashed()
    }

    private func append(_ world: StoreWorld, _ positions: ClosedRange<UInt64>) throws {
        for position in positions where position % 10 == 0 {
            try world.write((position - 9...position).map { .append(batch($0), ids: []) })
        }
    }

    /// The same of events that wait to be published.
    private func crashedWaitingWorld() throws -> StoreWorld {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()] + (1...150).map { .schedule(waiting($0)) })
        try world.close()
        try world.write((151...300).map { .schedule(waiting($0)) })
        return try world.crashed()
    }

    private func waiting(_ n: UInt64) -> StoredScheduled {
        StoredScheduled(
            number: n, topic: StoreWorld.topic, due: Int64(n * 7919 % 100), taken: 5, seal: 1, uid: 1000,
            id: StoreWorld.id(n), flags: 0, body: SharedBytes([UInt8](repeating: UInt8(n % 251), count: 200)))
    }

    /// All that is due, page by page; nil where it can't be read.
    private func due(_ store: Store, _ what: String) async throws -> [StoredScheduled]? {
        var (found, place) = ([StoredScheduled](), DuePlace?.none)
        while true {
            let from = place
            let page: ScheduledPage
            do {
                page = try await waitFor {
                    store.scheduled(dueBy: 100, after: from, countMax: 16, bytesMax: 1 << 20, completion: $0)
                }
            } catch is StoreError { return nil }
            found += page.events
            guard page.next != nil, let end = page.end else { return found }
            if let place { #expect(end > place, "\(what): pages go on") }
            place = end
        }
    }

    private func scrubbed(_ store: Store) async throws -> Bool {
        var place: UInt64? = 0
        while let from = place {
            do {
                let report = try await waitFor { store.scrub(from: from, completion: $0) }
                if !report.damage.isEmpty { return true }
                place = report.next
            } catch is StoreError { return true }
        }
        return false
    }

    /// A copy of a store with one bit flipped, and which: in the first files of it by turns.
    private func flipped(
        _ whole: StoreWorld, _ round: Int, among count: Int, _ generator: inout SplitMix
    ) throws -> (world: StoreWorld, what: String) {
        let names = ["store.db", "store.db-wal", "store.head"]
        let world = try StoreWorld()
        let target = names[round % count]
        let bit = Int(generator.next() % UInt64(whole.file(target).count * 8))
        for name in names {
            var bytes = whole.file(name)
            if name == target { bytes[bit / 8] ^= 1 << UInt8(bit % 8) }
            world.setFile(name, bytes)
        }
        return (world, "round \(round): bit \(bit) of \(target)")
    }

    @Test func `A flipped bit anywhere makes nothing wrong that waits, and nothing vanish that a scrub doesn't find`()
        async throws
    {
        let whole = try crashedWaitingWorld()
        var generator = SplitMix(state: 20_261_128)
        var told = 0
        for round in 0..<rounds {
            let (world, what) = try flipped(whole, round, among: 2, &generator)
            guard let store = try? world.open(), let found = try await due(store, what) else {
                told += 1
                continue
            }
            for event in found { #expect(event == waiting(event.number), "\(what)") }
            #expect(Set(found.map(\.number)).count == found.count, "\(what): twice")
            #expect(found.map(\.due) == found.map(\.due).sorted(), "\(what): not in order")
            guard found.count < 300 else { continue }
            let damage = store.report.damage + world.damage
            if !damage.isEmpty { told += 1 }
            let isFound = if damage.isEmpty { try await scrubbed(store) } else { true }
            #expect(isFound, "\(what): \(found.count) of 300 events and no word")
        }
        #expect(told > 50)
    }

    /// Has the index by due time be another one, under the same words.
    private func spoilIndex(_ world: StoreWorld, _ columns: String) throws {
        try world.close()
        let connection = try Connection(writing: world.options.databasePath)
        try connection.use { () throws(StoreError) in
            try connection.execute("DROP INDEX scheduled_by_due")
            try connection.execute("CREATE INDEX scheduled_by_due ON scheduled \(columns)")
            try connection.execute("PRAGMA writable_schema = ON")
            try connection.execute(
                """
                UPDATE sqlite_master SET sql = 'CREATE INDEX scheduled_by_due ON scheduled (due)'
                WHERE name = 'scheduled_by_due'
                """)
        }
        try connection.close()
        try world.open()
    }

    @Test func `What waits and isn't in the index by which it is found is told by a scrub`() async throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()] + (1...9).map { .schedule(waiting($0)) })
        try spoilIndex(world, "(due) WHERE id <> 4")
        #expect(try await due(world.opened, "without 4")?.count == 8)
        #expect(world.damage.isEmpty)
        #expect(try await scrubbed(world.opened))
        #expect(world.damage == [.row(table: "scheduled_by_due", key: 4)])
    }

    @Test func `An index that is out of order leads round in no circle, and is told`() async throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()] + (1...90).map { .schedule(waiting($0)) })
        try spoilIndex(world, "(due DESC)")
        _ = try await due(world.opened, "backwards")
        #expect(!world.damage.isEmpty)
    }

    private func batch(_ n: UInt64) -> StoredBatch {
        StoreWorld.batch(n, topic: n % 3 == 0 ? StoreWorld.topic : StoreWorld.other)
    }

    @Test func `A flipped bit anywhere is told of, or harmless; no event is wrong, none is missing in silence`()
        async throws
    {
        let whole = try crashedWorld()
        var generator = SplitMix(state: 20_261_124)
        var (detected, refused) = (0, 0)
        for round in 0..<rounds {
            let (world, what) = try flipped(whole, round, among: 3, &generator)
            // A store that doesn't open is told of loudly.
            guard let store = try? world.open() else {
                refused += 1
                continue
            }
            let served: [StoredBatch]
            do { served = try await world.batches(1..<301) } catch is StoreError {
                refused += 1
                continue
            }
            for found in served { #expect(found == batch(found.position), "\(what)") }
            _ = try store.topics()
            let damage = store.report.damage + world.damage
            if served.count < 300 { #expect(!damage.isEmpty, "\(what): \(served.count) of 300 events and no word") }
            #expect(store.report.nextPosition == 301, "\(what): positions would be given twice")
            if !damage.isEmpty { detected += 1 }
        }
        #expect(detected > 50)
        #expect(refused < 20, "nearly everything can be served")
    }
}

/// Numbers that look random and are the same each time.
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
