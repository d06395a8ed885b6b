import BusWire
import GRDB
import Testing

@testable import BusStore

@Suite struct DamageTests {
    /// A closed store with 200 events on two topics, checkpointed.
    private func closedWorld() throws -> StoreWorld {
        let world = try StoreWorld()
        try world.write(
            [StoreWorld.newTopic(), StoreWorld.newTopic(StoreWorld.other, "b")]
                + (1...200).map { n in
                    .append(
                        StoreWorld.batch(
                            n, topic: n % 2 == 0 ? StoreWorld.topic : StoreWorld.other, sequence: (n + 1) / 2), ids: [])
                })
        try world.close()
        return world
    }

    private func change(_ world: StoreWorld, _ sql: String) throws {
        let queue = try DatabaseQueue(path: world.directory + "/store.db")
        try queue.writeWithoutTransaction { try $0.execute(sql: sql) }
        try queue.close()
    }

    @Test func `A changed row is reported, put aside and never served; the rest is`() async throws {
        for column in [
            "topic = 7, count = 2", "sequence = 9", "accepted = 0", "seal = 3", "first_id = x'00'", "flags = 6",
            "body = x'00'", "expiry = 1", "previous = 1", "sum = 1", "publisher = 9", "topic = 99", "topic = -1",
        ] {
            let world = try closedWorld()
            try change(world, "UPDATE batches SET \(column) WHERE position = 101")
            try world.open()
            let served = try await world.batches(0..<1000)
            #expect(served.map(\.position) == Array(1...100) + Array(102...200), "\(column)")
            let damage = world.waitForDamage(1)
            #expect(
                damage.contains { if case .batch(position: 101, _, _) = $0 { true } else { false } },
                "\(column): \(damage)")
            _ = try world.reopen()
            #expect(try await world.batches(0..<1000).count == 199)
            #expect(world.damage == [], "reported once: \(column)")
        }
    }

    @Test func `Numbers that add up to more than there is are damage and trap nobody`() async throws {
        let world = try StoreWorld()
        try world.write(
            [StoreWorld.newTopic()] + [1, 5, 9].map { .append(StoreWorld.batch($0, count: 4), ids: []) })
        try world.close()
        // One in its sequence, one in its place: as a number without a sign the largest there are.
        try change(world, "UPDATE batches SET sequence = -1 WHERE position = 5")
        try change(world, "UPDATE batches SET position = -3 WHERE position = 1")
        let store = try world.open()
        for (id, position) in [(6, nil), (2, nil), (10, 10)] as [(UInt64, UInt64?)] {
            let places = try await waitFor { store.places(of: StoreWorld.id(id), completion: $0) }
            #expect(places.map(\.position) == [position].compactMap(\.self), "\(id)")
        }
        #expect(world.waitForDamage(1).contains(.row(table: "batches", key: 5)))
        for first in UInt64(0)...3 { #expect(try await world.batches(first..<100).map(\.position) == [9]) }
    }

    @Test func `Whoever reads past damage is told, not only who found it`() async throws {
        for column in ["body = x'00'", "topic = 8"] {
            for topics in [nil, [StoreWorld.topic]] as [[TopicID]?] {
                for position in [UInt64(2), 100, 200] {
                    let world = try closedWorld()
                    try change(world, "UPDATE batches SET \(column) WHERE position = \(position)")
                    var told: [[StoreDamage]] = []
                    for _ in 0..<2 {
                        let store = try world.open()
                        for _ in 0..<2 {
                            let page = try await waitFor {
                                store.batches(
                                    in: 1..<201, of: topics, countMax: 1000, bytesMax: 1 << 20, completion: $0)
                            }
                            #expect(page.batches.count == (topics == nil ? 199 : 99))
                            told.append(page.damage)
                        }
                        try world.close()
                    }
                    for damage in told {
                        #expect(
                            damage.contains {
                                switch $0 {
                                case .batch(position, StoreWorld.topic, _): true
                                case .batchMissing(position, StoreWorld.topic): true
                                default: false
                                }
                            }, "\(column), \(position): \(told)")
                    }
                    // Who begins behind it hears nothing of it.
                    let store = try world.open()
                    let behind = try await waitFor {
                        store.batches(
                            in: position + 1..<201, of: topics, countMax: 1000, bytesMax: 1 << 20, completion: $0)
                    }
                    #expect(behind.damage == [])
                }
            }
        }
    }

    @Test func `A row that vanished is missed`() async throws {
        for topics in [nil, [StoreWorld.topic, StoreWorld.other]] as [[TopicID]?] {
            for position in [UInt64(1), 101, 200] {
                let world = try closedWorld()
                try change(world, "DELETE FROM batches WHERE position = \(position)")
                let store = try world.open()
                #expect(try await world.batches(0..<1000, of: topics, countMax: 10).count == 199)
                let topic = position % 2 == 0 ? StoreWorld.topic : StoreWorld.other
                let damage = store.report.damage + world.damage
                #expect(damage == [.batchMissing(position: position, topic: topic)])
            }
        }
    }

    @Test func `A row that is missing from an index is found in the table`() async throws {
        let world = try closedWorld()
        try change(
            world,
            """
            PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = sql || ' WHERE position <> 100'
            WHERE name = 'batches_by_topic';
            """)
        try change(world, "REINDEX batches_by_topic")
        try change(
            world,
            """
            PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = replace(sql, ' WHERE position <> 100', '')
            WHERE name = 'batches_by_topic';
            """)
        let store = try world.open()
        let positions = try await world.batches(0..<1000, of: [StoreWorld.topic], countMax: 20).map(\.position)
        #expect(positions == (1...100).map { $0 * 2 })
        let report = try await waitFor { store.scrub(from: 0, completion: $0) }
        #expect(report.damage == [.row(table: "batches_by_topic", key: 100)])
    }

    @Test func `An index that can't be read hides nothing, and ends nothing when topics are trimmed`() async throws {
        let world = try closedWorld()
        let queue = try DatabaseQueue(path: world.directory + "/store.db")
        let page = try await queue.read {
            try Int.fetchOne($0, sql: "SELECT rootpage FROM sqlite_schema WHERE name = 'batches_by_topic'")
        }
        try queue.close()
        var bytes = world.file("store.db")
        let start = (try #require(page) - 1) * 4096
        bytes.replaceSubrange(start..<start + 4096, with: [UInt8](repeating: 0xff, count: 4096))
        world.setFile("store.db", bytes)

        var store = try world.open()
        let found = try await waitFor { store.position(in: StoreWorld.topic, sequence: 50, completion: $0) }
        #expect(found == 100)
        let told = world.damage.compactMap { if case .row(let table, _) = $0 { table } else { nil } }
        #expect(told == ["batches_by_topic"], "once, however often it is met")
        try world.write([.trim(StoreWorld.topic, before: 100, receiptsSince: .max)])
        #expect(world.damage.contains(.unremovable(topic: StoreWorld.topic)))
        try world.write([StoreWorld.newTopic(TopicID(rawValue: 40), "c")])
        // What is to be removed is tried again, and stays again.
        store = try world.reopen()
        #expect(store.report.damage.contains(.unremovable(topic: StoreWorld.topic)))
        #expect(try store.topics().count == 3)
        let left = try await world.batches(0..<1000, of: [StoreWorld.topic], countMax: 200).map(\.position)
        #expect(left == (50...100).map { $0 * 2 })
        #expect(world.failure == nil)
    }

    @Test func `A check goes through long tables in slices, each row once`() async throws {
        let world = try StoreWorld()
        let count = UInt64(ReaderCore.scrubSlice) * 2 + 5
        try world.write([StoreWorld.newTopic()])
        try world.write(
            (1...count).map {
                .ledger(
                    LedgerEntry(
                        subscription: 1, first: $0, count: 1, outcome: 2, session: 1, attempt: 1, sent: 0, time: 0,
                        reason: 0))
            })
        let ids = (1...3000).map { StoreWorld.id(10_000 + $0) }
        for place in UInt64(0)..<3 {
            let batch = StoreWorld.batch(1 + place * 3000, count: 3000)
            try world.write([.append(batch, ids: ids.map { $0.advanced(by: place * 5000) ?? .zero })])
        }
        try world.close()
        try change(
            world, "UPDATE ledger SET record = zeroblob(40) WHERE number IN (\(ReaderCore.scrubSlice), \(count))")
        let store = try world.open()
        var (place, damage, slices, records): (UInt64?, [StoreDamage], Int, UInt64) = (0, [], 0, 0)
        while let from = place {
            let report = try await waitFor { store.scrub(from: from, completion: $0) }
            #expect(report.records <= UInt64(ReaderCore.scrubSlice))
            damage += report.damage
            records += report.records
            slices += 1
            place = report.next
        }
        #expect(
            damage == [.row(table: "ledger", key: UInt64(ReaderCore.scrubSlice)), .row(table: "ledger", key: count)])
        #expect(records >= count + 9000 && records < count + 9000 + 8192)
        #expect(slices > 14)
    }

    @Test func `A page of the table that can't be read costs its rows and no more`() async throws {
        let world = try closedWorld()
        // Every leaf of the table in turn; their numbers are whatever SQLite gave.
        let connection = try Connection(reading: world.directory + "/store.db")
        let count = try connection.use { try connection.integer("PRAGMA page_count") }
        try connection.close()
        let whole = world.file("store.db")
        var losses = 0
        for page in 1..<Int(count) {
            let damaged = try StoreWorld()
            damaged.setFile("store.head", world.file("store.head"))
            var bytes = whole
            for index in page * 4096..<page * 4096 + 12 { bytes[index] = 0xff }
            damaged.setFile("store.db", bytes)
            guard let store = try? damaged.open() else { continue }
            let served = try await damaged.batches(0..<1000)
            let lost = 200 - served.count
            if lost > 0 {
                losses += 1
                // One leaf has some twenty rows; without the table's root there are none.
                #expect(lost < 40 || lost == 200)
                let damage = store.report.damage + damaged.damage
                #expect(!damage.isEmpty, "page \(page): \(lost) rows lost without a word")
            }
            #expect(served.allSatisfy { $0.body[0] == UInt8($0.position) })
        }
        #expect(losses >= 5)
    }

    @Test func `A head ahead of the database is damage; positions and sequences go on behind it`() async throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()])
        for position in UInt64(1)...20 { try world.write([.append(StoreWorld.batch(position), ids: [])]) }
        let cut = try world.crashed()
        let log = cut.file("store.db-wal")
        cut.setFile("store.db-wal", Array(log.prefix(log.count / 2)))
        let store = try cut.open()
        let found = try #require(store.report.damage.first)
        guard case .behindHead(_, _, let lost, let copies) = found else {
            Issue.record("\(found)")
            return
        }
        #expect(lost.upperBound == 21)
        #expect(store.report.nextPosition == 21)
        let served = try await cut.batches(0..<1000)
        #expect(served == (1..<lost.lowerBound).map { StoreWorld.batch($0) })
        let name = String(copies.dropFirst(cut.directory.count + 1))
        #expect(cut.file(name + "/store.db-wal").count == log.count / 2, "as it was found")
        #expect(try store.topics().first?.lastSequence == 20)
        let remembered = [LostPositions(positions: lost, lastTopic: StoreWorld.topic)]
        #expect(try store.lostPositions() == remembered)
        try cut.write([.append(StoreWorld.batch(21), ids: [])])
        let later = try cut.reopen()
        #expect(later.report.damage == [])
        #expect(try later.lostPositions() == remembered)
    }

    @Test func `A head that can't be read is reported and written anew`() throws {
        let world = try closedWorld()
        world.setFile("store.head", Array(repeating: 0x55, count: 1024))
        #expect(try world.open().report.damage == [.headUnreadable])
        #expect(try world.reopen().report.damage == [])
    }

    @Test func `A damaged account of the store is made up from the head`() async throws {
        let world = try closedWorld()
        try change(world, "UPDATE meta SET record = x'00'")
        let store = try world.open()
        #expect(store.report.damage == [.row(table: "meta", key: 1)])
        #expect(store.report.nextPosition == 201)
        #expect(try await world.batches(0..<1000).count == 200)
    }

    @Test func `A damaged or vanished record of a small table is reported`() throws {
        let world = try StoreWorld()
        let subscriptions = (1...3).map {
            StoredSubscription(id: $0, name: [65], options: [], cursor: StoredCursor(next: 5))
        }
        try world.write(subscriptions.map { .subscription($0) })
        try world.close()
        try change(
            world, "UPDATE subscriptions SET record = x'01' WHERE id = 2; DELETE FROM subscriptions WHERE id = 3")
        try change(world, "UPDATE cursors SET record = x'01' WHERE id = 1")
        let store = try world.open()
        #expect(store.report.damage == [.rowsMissing(table: "subscriptions", found: 2, written: 3)])
        let served = try store.subscriptions()
        #expect(served.map(\.id) == [1])
        #expect(served.map(\.cursor) == [StoredCursor(next: 1)], "settled events come again, none is left out")
        #expect(world.damage == [.row(table: "cursors", key: 1), .row(table: "subscriptions", key: 2)])
    }
}
