import BusWire
import Testing

@testable import BusStore

@Suite struct SpaceTests {
    @Test func `At the bound publishes are refused; everything else works, and after a purge they do too`() async throws
    {
        let world = try StoreWorld()
        world.options.bytesMax = 1 << 20
        world.options.headroom = 1 << 20
        try world.write([StoreWorld.newTopic()])
        var position: UInt64 = 1
        var refused: [StoreRefusal] = []
        // What a commit will need is estimated, and counted when it is done: full is when nothing of one fits.
        while refused.count < 16 {
            let writes = (0..<16).map { n in
                StoreWrite.append(StoreWorld.batch(position + n, length: 3000), ids: [])
            }
            position += 16
            refused = try world.write(writes).refused.map(\.reason)
        }
        #expect(Set(refused) == [.storeFull])
        let stored = try #require(try world.opened.topics().first).batchCount
        #expect(stored > 200)
        #expect(try #require(world.commits.last).bytesUsed <= 1 << 20)
        // Acknowledgements, dead letters, reads.
        for n in UInt64(1)...200 {
            let cursor = StoredCursor(next: n, pending: [PendingRange(first: n, count: 1, attempts: 2)])
            let committed = try world.write([
                .subscription(StoredSubscription(id: n, name: [65], options: [], cursor: cursor)),
                .append(StoreWorld.batch(position, length: 3000), ids: []),
            ])
            #expect(committed.refused.map(\.reason) == [.storeFull])
        }
        #expect(try await world.batches(0..<10_000).count == Int(stored))
        try world.write([.trim(StoreWorld.topic, before: .max, receiptsSince: .max)])
        _ = try world.settled()
        #expect(try world.write([.append(StoreWorld.batch(position), ids: [])]).refused.isEmpty)
        #expect(try world.reopen().report.damage == [])
    }

    @Test func `When SQLite has no page left the commit's appends are given back and the rest is kept`() async throws {
        let world = try StoreWorld()
        // The bound is above what SQLite allows, so that it is SQLite that refuses.
        world.options.bytesMax = 1 << 20
        world.options.headroom = 0
        try world.write([StoreWorld.newTopic()])
        var committed = Committed()
        var position: UInt64 = 1
        while committed.refused.isEmpty {
            // Bodies just over a page need a second one, which is more than is foreseen.
            let writes = (0..<64).map { n in
                StoreWrite.append(StoreWorld.batch(position + n, length: 100), ids: [])
            }
            position += 64
            committed = try world.write(
                writes + [.declaration(StoredDeclaration(filter: Array("f\(position)".utf8), options: []))])
        }
        #expect(world.failure == nil)
        let declarations = try world.opened.declarations().count
        #expect(declarations == Int((position - 1) / 64))
        #expect(try world.reopen().report.damage == [])
        #expect(
            try await world.batches(0..<1_000_000).count
                == Int(try #require(try world.opened.topics().first).batchCount))
    }

    @Test func `Without its ballast the store refuses publishes as the disk being full`() throws {
        let world = try StoreWorld()
        // More than any disk has.
        world.options.ballastBytes = 1 << 50
        try world.write([StoreWorld.newTopic()])
        let committed = try world.write([
            .append(StoreWorld.batch(1), ids: []), .declaration(StoredDeclaration(filter: [65], options: [])),
        ])
        #expect(committed.refused.map(\.reason) == [.diskFull])
        #expect(try world.opened.declarations().count == 1)
        world.options.ballastBytes = 1 << 20
        _ = try world.reopen()
        #expect(try world.write([.append(StoreWorld.batch(1), ids: [])]).refused.isEmpty)
    }

    @Test func `A removed secret is nowhere in the files`() throws {
        let world = try StoreWorld()
        let wrapped = Array("a secret that must not be found again".utf8)
        let name = Array("orders".utf8)
        try world.write([.secret(StoredSecret(namespace: name, epoch: 1, wrapped: wrapped))])
        func found() -> Bool {
            // The log first: a checkpoint may be under way.
            ["store.db-wal", "store.db"].contains { file in
                let bytes = world.file(file)
                return bytes.indices.dropLast(wrapped.count).contains {
                    bytes[$0] == wrapped[0] && bytes[$0..<$0 + wrapped.count].elementsEqual(wrapped)
                }
            }
        }
        #expect(found())
        try world.write([.secretRemoved(namespace: name, epoch: 1)])
        try world.write([.ledgerTrim(before: 1)])
        try world.write([.ledgerTrim(before: 1)])
        #expect(!found())
        #expect(try world.opened.secrets() == [])
        #expect(try world.reopen().report.damage == [])
    }

    @Test func `Ledger lines don't take the room that acknowledgements and removing need`() async throws {
        let world = try StoreWorld()
        world.options.bytesMax = 1 << 20
        world.options.headroom = 1 << 20
        try world.write([StoreWorld.newTopic(), .append(StoreWorld.batch(1), ids: [])])
        let cursor = StoredCursor(next: 1)
        try world.write([.subscription(StoredSubscription(id: 1, name: [65], options: [], cursor: cursor))])
        for n in UInt64(0)..<64 {
            let lines = (1...1000).map {
                StoreWrite.ledger(
                    LedgerEntry(subscription: 1, first: n * 1000 + $0, count: 1, outcome: 1, attempt: 1, time: 1))
            }
            try world.write(lines)
            try world.write([.cursor(subscription: 1, StoredCursor(next: n))])
        }
        #expect(world.failure == nil)
        #expect(try #require(world.commits.last).bytesUsed < 2 << 20)
        #expect(try world.opened.subscriptions().first?.cursor.next == 63)
        // What is there is still there, and once there is room it is kept again.
        let store = try world.opened
        #expect(try await waitFor { store.ledger(in: 1..<1000, countMax: 2000, completion: $0) }.count == 999)
        try world.write([.ledgerTrim(before: 1 << 40)])
        while try await !waitFor({ store.ledger(in: 0..<1 << 40, countMax: 1, completion: $0) }).isEmpty {}
        try world.write([.ledger(LedgerEntry(subscription: 1, first: 5, count: 1, outcome: 1, attempt: 1, time: 1))])
        #expect(try await waitFor { store.ledger(in: 1..<1000, countMax: 2000, completion: $0) }.count == 1)
    }
}
