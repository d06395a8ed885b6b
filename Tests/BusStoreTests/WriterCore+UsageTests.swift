import BusWire
import Testing

@testable import BusStore

/// What users' batches hold: exact in every commit, over crashes, and for a store of before anybody counted.
@Suite struct WriterCoreUsageTests {
    private static let other = StoredPublisher(uid: 1001)

    private func held(_ store: Store) throws -> [UInt32: UInt64] {
        Dictionary(try store.usage().map { ($0.uid, $0.byteCount) }) { $0 + $1 }
    }

    /// Ten batches of 128 bytes of one user, two units of it, and five of 1,000 bytes of another.
    private func world() throws -> StoreWorld {
        let world = try StoreWorld()
        world.options.removalSlice = 3
        let publishers = [StoredPublisher(uid: 1000), StoredPublisher(uid: 1000, unit: Array("b.service".utf8))]
        try world.write(
            [StoreWorld.newTopic()]
                + (1...10).map { .append(StoreWorld.batch($0, publisher: publishers[Int($0 % 2)]), ids: []) }
                + (11...15).map { .append(StoreWorld.batch($0, publisher: Self.other, length: 1000), ids: []) })
        return world
    }

    @Test func `a commit tells of the users whose batches came, and a restart knows all`() throws {
        let world = try world()
        let told = try #require(world.commits.last)
        #expect(
            told.usage.sorted { $0.uid < $1.uid } == [
                StoredUsage(uid: 1000, byteCount: 1280), StoredUsage(uid: 1001, byteCount: 5000),
            ])
        #expect(try world.write([.append(StoreWorld.batch(16), ids: [])]).usage.map(\.uid) == [1000])
        #expect(try held(world.reopen()) == [1000: 1408, 1001: 5000])
        let after = try world.crashed()
        #expect(try held(after.open()) == [1000: 1408, 1001: 5000])
    }

    @Test func `what is trimmed counts no more, slice by slice, and who holds nothing is forgotten`() throws {
        let world = try world()
        try world.write([.trim(StoreWorld.topic, before: 13, receiptsSince: 0)])
        _ = try world.settled()
        #expect(world.commits.flatMap(\.usage).last { $0.uid == 1000 }?.byteCount == 0)
        #expect(try held(world.reopen()) == [1001: 3000])
        try world.write([.topicDeleted(StoreWorld.topic)])
        _ = try world.settled()
        #expect(try held(world.reopen()) == [:])
    }

    @Test func `what is kept as a last value or a dead letter counts until it goes`() throws {
        let world = try world()
        let letter = StoredDeadLetter(
            id: 1, subscription: 1, position: 5, reason: 1, reasonText: "", attempts: 1, firstAttempt: 0,
            lastAttempt: 0, died: 0)
        try world.write([
            .retain(StoreWorld.topic, 15), .deadLetter(letter),
            .trim(StoreWorld.topic, before: .max, receiptsSince: .max),
        ])
        _ = try world.settled()
        #expect(try held(world.reopen()) == [1000: 128, 1001: 1000])
        try world.write([.deadLetterRemoved(1), .retain(StoreWorld.topic, nil)])
        #expect(try held(world.reopen()) == [:])
    }

    @Test func `a batch that was put aside as damaged counts no more`() async throws {
        let world = try world()
        try world.close()
        let connection = try Connection(writing: world.directory + "/store.db")
        try connection.use { () throws(StoreError) in
            try connection.execute("UPDATE batches SET sequence = 99 WHERE position = 12")
        }
        try connection.closeWhole()
        try world.open()
        _ = try await world.batches(0..<100)
        _ = world.waitForDamage(1)
        #expect(try held(world.reopen()) == [1000: 1280, 1001: 4000])
    }

    @Test func `a store of before is counted once, kept batches too`() throws {
        let world = try world()
        try world.write([.retain(StoreWorld.topic, 15), .trim(StoreWorld.topic, before: .max, receiptsSince: .max)])
        _ = try world.settled()
        try world.write((16...18).map { .append(StoreWorld.batch($0), ids: []) })
        try world.close()
        let connection = try Connection(writing: world.directory + "/store.db")
        try connection.use { () throws(StoreError) in
            try connection.execute("DROP TABLE usage")
            try connection.execute("DROP TABLE scheduled")
            try connection.execute("PRAGMA user_version = 1")
        }
        try connection.closeWhole()
        let store = try world.open()
        #expect(world.exists("store.before-v2"))
        #expect(try held(store) == [1000: 384, 1001: 1000])
        #expect(store.report.damage == [])
        try world.write([.append(StoreWorld.batch(19), ids: [])])
        #expect(try held(world.reopen()) == [1000: 512, 1001: 1000])
    }

    @Test func `a row that is damaged is put aside, and counting begins at none`() throws {
        let world = try world()
        try world.close()
        let connection = try Connection(writing: world.directory + "/store.db")
        try connection.use { () throws(StoreError) in
            try connection.execute("UPDATE usage SET record = x'00' WHERE id = 1000")
        }
        try connection.closeWhole()
        #expect(try held(world.open()) == [1001: 5000])
        #expect(world.waitForDamage(1) == [.row(table: "usage", key: 1000)])
        try world.write([.trim(StoreWorld.topic, before: 5, receiptsSince: .max)])
        _ = try world.settled()
        #expect(try held(world.reopen()) == [1001: 5000])
    }
}
