import BusWire
import Testing

@testable import BusStore

@Suite struct StoreTests {
    @Test func `What was appended is read back after reopening, to the byte`() async throws {
        let world = try StoreWorld()
        let batches = (0..<20).map { StoreWorld.batch(1 + $0 * 3, count: 3) }
        try world.write([StoreWorld.newTopic()])
        let committed = try world.write(batches.map { .append($0, ids: []) })
        #expect(committed.refused.isEmpty)
        #expect(committed.nextPosition == 61)
        #expect(try await world.batches(0..<1000) == batches)
        let store = try world.reopen()
        #expect(store.report.damage == [])
        #expect(store.report.nextPosition == 61)
        #expect(try await world.batches(0..<1000) == batches)
        #expect(try await world.batches(0..<1000, of: [StoreWorld.topic], countMax: 3) == batches)
        #expect(try await world.batches(5..<8).map(\.position) == [4, 7], "the batch that reaches into the range too")
        let topic = try #require(try store.topics().first)
        #expect(topic.lastSequence == 60)
        #expect(topic.eventCount == 60)
        #expect(topic.batchCount == 20)
        #expect(topic.byteCount == 20 * 128)
    }

    @Test func `What was told is there after a crash`() async throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()])
        for position in UInt64(1)...50 { try world.write([.append(StoreWorld.batch(position), ids: [])]) }
        let after = try world.crashed()
        let store = try after.open()
        #expect(store.report.damage == [])
        #expect(store.report.nextPosition == 51)
        #expect(store.report.tailChecked == 50)
        #expect(try await after.batches(0..<1000) == (1...50).map { StoreWorld.batch($0) })
    }

    @Test func `Forgotten unclosed it leaves the log as a killed process would, and can be opened again at once`()
        async throws
    {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()])
        for position in UInt64(1)...50 { try world.write([.append(StoreWorld.batch(position), ids: [])]) }
        let (log, database) = (world.file("store.db-wal"), world.file("store.db"))
        world.forget()
        #expect(!log.isEmpty && world.file("store.db-wal") == log && world.file("store.db") == database)
        let store = try world.open()
        #expect(store.report.damage == [] && store.report.tailChecked == 50)
        #expect(try await world.batches(0..<1000) == (1...50).map { StoreWorld.batch($0) })
    }
}
