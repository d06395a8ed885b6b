import BusWire
import GRDB
import Glibc
import Testing

@testable import BusStore

@Suite struct OpeningTests {
    /// Opens `world` and expects this error and unchanged files.
    private func refuses(_ world: StoreWorld, _ expected: (StoreError) -> Bool) throws {
        let names = ["store.db", "store.db-wal", "store.head"]
        let before = names.map { world.exists($0) ? world.file($0) : [] }
        let error = #expect(throws: StoreError.self) { try world.open() }
        #expect(error.map(expected) == true, "\(String(describing: error))")
        #expect(names.map { world.exists($0) ? world.file($0) : [] } == before)
    }

    @Test func `A database that isn't SQLite's, or isn't ours, is refused and not touched`() throws {
        let world = try StoreWorld()
        world.setFile("store.db", Array(repeating: 7, count: 5000))
        try refuses(world) { if case .notAStore = $0 { true } else { false } }
        let foreign = try StoreWorld()
        let queue = try DatabaseQueue(path: foreign.directory + "/store.db")
        try queue.write { try $0.execute(sql: "CREATE TABLE batches (position INTEGER)") }
        try queue.close()
        try refuses(foreign) { if case .notAStore = $0 { true } else { false } }
    }

    @Test func `A newer schema is refused and not touched, and both versions are named`() throws {
        let world = try StoreWorld()
        world.schema.steps.append(["CREATE TABLE news (id INTEGER PRIMARY KEY)"])
        try world.write([StoreWorld.newTopic(), .append(StoreWorld.batch(1), ids: [])])
        let newer = try world.crashed()
        let version = Schema.current.version
        try refuses(newer) { $0 == .newerSchema(found: version + 1, supported: version) }
        #expect("\(StoreError.newerSchema(found: 2, supported: 1))".contains("version 2"))
    }

    @Test func `A store without its database is refused, not begun anew`() throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()])
        let head = world.file("store.head")
        let lost = try StoreWorld()
        lost.setFile("store.head", head)
        try refuses(lost) { if case .databaseMissing = $0 { true } else { false } }
    }

    @Test func `A store whose making was interrupted before its head had a name is whole`() throws {
        let world = try StoreWorld()
        let lock = try DirectoryLock(world.directory)
        try Creation(options: world.options, schema: world.schema).run(lock)
        lock.release()
        unlink(world.directory + "/store.head")
        #expect(try world.open().report.damage.isEmpty)
    }

    @Test func `Another store's head is refused`() throws {
        let (one, two) = (try StoreWorld(), try StoreWorld())
        try one.write([StoreWorld.newTopic()])
        try two.write([StoreWorld.newTopic()])
        let mixed = try one.crashed()
        mixed.setFile("store.head", two.file("store.head"))
        try refuses(mixed) { if case .foreignHead = $0 { true } else { false } }
    }

    @Test func `Without its own account a store gives no position again, though the head is behind`() throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), .append(StoreWorld.batch(1), ids: [])])
        let old = world.file("store.head")
        try world.write([.append(StoreWorld.batch(2, count: 3), ids: [])])
        try world.close()
        world.setFile("store.head", old)
        let connection = try Connection(writing: world.directory + "/store.db")
        try connection.use { () throws(StoreError) in
            try connection.execute("UPDATE meta SET record = zeroblob(9)")
        }
        try connection.closeWhole()
        let store = try world.open()
        #expect(store.report.damage == [.row(table: "meta", key: 1)])
        #expect(store.report.nextPosition == 5)
    }

    @Test func `Two processes don't open one store`() throws {
        let world = try StoreWorld()
        try world.open()
        let error = #expect(throws: StoreError.self) {
            _ = try Store(world.options, onCommit: { _ in }, onDamage: { _ in }, onFailure: { _ in })
        }
        #expect(error == .inUse(path: world.directory))
    }

    @Test func `The writer's settings are those that durability stands on`() throws {
        let world = try StoreWorld()
        try world.open()
        try world.close()
        let connection = try Connection(writing: world.directory + "/store.db")
        let found = try connection.use { () throws(StoreError) in
            try ["synchronous", "journal_mode", "page_size", "wal_autocheckpoint"].map { name throws(StoreError) in
                try connection.text("PRAGMA " + name)
            }
        }
        #expect(found == ["2", "wal", "4096", "0"])
        try connection.close()
    }

    @Test func `A closed store is one file and its head`() throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), .append(StoreWorld.batch(1), ids: [])])
        try world.close()
        #expect(!world.exists("store.db-wal"))
        let store = try world.open()
        #expect(store.report.tailChecked == 0)
        #expect(store.report.damage == [])
    }

    @Test func `A migration copies before it changes, and can be gone back from`() async throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), .append(StoreWorld.batch(1), ids: [])])
        let incarnation = try world.opened.incarnation
        try world.close()
        world.schema.steps.append(["ALTER TABLE ledger ADD COLUMN extra INTEGER"])
        try world.open()
        #expect(world.exists("store.before-v\(world.schema.version)"))
        try world.write([.append(StoreWorld.batch(2, count: 3), ids: []), .append(StoreWorld.batch(5), ids: [])])
        #expect(try await world.batches(0..<10).count == 3)
        try world.close()
        world.schema = .current
        let version = Schema.current.version
        try refuses(world) { $0 == .newerSchema(found: version + 1, supported: version) }
        #expect(throws: StoreError.noCopy(version: version)) { try Store.rollback(world.options, to: version - 1) }
        let aside = world.directory + "/store.rolled-back-v\(version + 1)"
        world.setFile("store.rolled-back-v\(version + 1)", [1])
        #expect(throws: StoreError.exists(path: aside)) { try Store.rollback(world.options, to: version) }
        unlink(aside)
        // A rollback that was cut short has named the database already.
        try #require(link(world.directory + "/store.db", aside) == 0)
        let report = try Store.rollback(world.options, to: version)
        #expect(report.lostEvents == 4)
        #expect(report.putAside == aside)
        let store = try world.open()
        #expect(store.report.damage == [])
        #expect(store.incarnation != incarnation)
        #expect(try await world.batches(0..<10) == [StoreWorld.batch(1)])
    }

    @Test func `A migration that fails leaves everything as it was`() async throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), .append(StoreWorld.batch(1), ids: [])])
        try world.close()
        world.schema.steps.append(["CREATE TABLE more (id INTEGER)", "CREATE TABLE batches (id INTEGER)"])
        #expect(throws: StoreError.self) { try world.open() }
        world.schema = .current
        #expect(try world.open().report.damage == [])
        #expect(try await world.batches(0..<10) == [StoreWorld.batch(1)])
    }

    @Test func `A backup is made while the store is open, and is a store of its own`() async throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()] + (1...50).map { .append(StoreWorld.batch($0), ids: []) })
        let copy = try StoreWorld()
        let store = try world.opened
        try store.backup(to: copy.directory)
        try world.write([.append(StoreWorld.batch(51), ids: [])])
        #expect(throws: StoreError.exists(path: copy.directory + "/store.db")) { try store.backup(to: copy.directory) }
        let restored = try StoreWorld()
        try Store.restore(restored.options, from: copy.directory)
        let opened = try restored.open()
        #expect(opened.report.damage == [])
        #expect(opened.report.nextPosition == 51)
        #expect(opened.incarnation != store.incarnation)
        #expect(try await restored.batches(0..<100) == (1...50).map { StoreWorld.batch($0) })
    }
}
