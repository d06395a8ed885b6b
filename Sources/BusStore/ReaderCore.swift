// What the reader does within one transaction. Whoever runs it holds the connection.

import BusWire

/// The reading side of an open store.
final class ReaderCore {
    let connection: Connection
    let statements: StatementCache
    private var publishers: [Int64: StoredPublisher] = [:]
    /// Damage found in the read under way, and the rows to put aside.
    var damage: [StoreDamage] = []
    var toPutAside: [DamagedRow] = []
    /// Whether it was told that the index of topics can't be read: every look at it meets that.
    private var hasToldOfIndex = false

    /// How many publishers are remembered before all are forgotten.
    private static let cacheMax = 1024

    init(_ connection: Connection) {
        self.connection = connection
        statements = StatementCache(connection.handle)
    }

    /// Runs `body` in one state of the database.
    func transaction<R>(_ body: (ReaderCore) throws(StoreError) -> R) throws(StoreError) -> R {
        try statements("BEGIN").run()
        // A transaction that only read can't fail to end, short of damage that was reported before.
        defer { try? statements("ROLLBACK").run() }
        return try body(self)
    }

    // MARK: Single rows

    /// Who stands behind a number in a batch's row.
    func publisher(_ number: Int64) throws(StoreError) -> StoredPublisher? {
        if let known = publishers[number] { return known }
        let select = try statements("SELECT uid, unit FROM publishers WHERE id = ?")
        select.bind(1, number)
        guard try select.step() else { return nil }
        defer { select.reset() }
        guard let uid = UInt32(exactly: select.int64(0)) else { return nil }
        let publisher = StoredPublisher(uid: uid, unit: select.bytes(1))
        if publishers.count >= ReaderCore.cacheMax { publishers.removeAll(keepingCapacity: true) }
        publishers[number] = publisher
        return publisher
    }

    /// The current row of a statement that selects a batch; what is wrong with it is noted.
    func batchRow(_ statement: SQLStatement) throws(StoreError) -> BatchRow? {
        let row = try BatchRow(statement) { (number) throws(StoreError) in try self.publisher(number) }
        if let row { return row }
        let position = statement.uint64(0)
        note(
            .batch(position: position, topic: statement.topicID(1), count: UInt32(exactly: statement.int64(4))),
            .batch(position))
        return nil
    }

    func note(_ found: StoreDamage, _ row: DamagedRow? = nil) {
        damage.append(found)
        if let row { toPutAside.append(row) }
    }

    /// What was noted since this was asked last.
    func takeDamage() -> (damage: [StoreDamage], rows: [DamagedRow]) {
        defer { (damage, toPutAside) = ([], []) }
        return (damage, toPutAside)
    }

    /// The batch that begins at `position`, there or kept.
    func batch(at position: UInt64) throws(StoreError) -> StoredBatch? {
        for table in ["batches", "kept"] {
            let select = try statements("SELECT \(Schema.batchColumns) FROM \(table) WHERE position = ?")
            select.bind(1, position)
            defer { select.reset() }
            if try select.step() { return try batchRow(select)?.batch }
        }
        return nil
    }

    /// How long the body of a batch is, there or kept, without reading it.
    func length(at position: UInt64) throws(StoreError) -> UInt64? {
        for table in ["batches", "kept"] {
            let select = try statements("SELECT length(body) FROM \(table) WHERE position = ?")
            select.bind(1, position)
            defer { select.reset() }
            if try select.step() { return select.uint64(0) }
        }
        return nil
    }

    func topic(_ id: TopicID) throws(StoreError) -> StoredTopic? {
        let select = try statements("SELECT record FROM topics WHERE id = ?")
        select.bind(1, id.rawValue)
        guard try select.step() else { return nil }
        defer { select.reset() }
        let row = try? TopicRow(record: select.bytes(0))
        return row?.topic.id == id ? row?.topic : nil
    }

    /// The seals of some batches, each read once: mostly it is one for all of them.
    func seals(of batches: [StoredBatch]) throws(StoreError) -> [UInt64: StoredSeal] {
        try seals(numbered: batches.map(\.seal))
    }

    func seals(numbered numbers: [UInt64]) throws(StoreError) -> [UInt64: StoredSeal] {
        var found: [UInt64: StoredSeal] = [:]
        for number in numbers where found[number] == nil {
            do throws(StoreError) {
                found[number] = try seal(number)
            } catch {
                // A page of the table that can't be read costs its seals and no more; their batches are told as damaged.
                guard error.isCorruption else { throw error }
                note(.row(table: "seals", key: number))
            }
        }
        return found
    }

    private func seal(_ number: UInt64) throws(StoreError) -> StoredSeal? {
        let select = try statements("SELECT record FROM seals WHERE number = ?")
        select.bind(1, number)
        guard try select.step() else { return nil }
        defer { select.reset() }
        let row = try? SealRow(record: select.bytes(0))
        return row?.seal.number == number ? row?.seal : nil
    }

    func meta() throws(StoreError) -> StoreMeta? {
        let select = try statements("SELECT record FROM meta WHERE id = 1")
        guard try select.step() else { return nil }
        defer { select.reset() }
        return try? StoreMeta(record: select.bytes(0))
    }

    // MARK: Tables of records

    /// Every record of a table that is what was written; the others are noted.
    func records<R: Recorded>(_ type: R.Type, key: String = "id", _ body: (R) -> Void) throws(StoreError) {
        let table = R.table.name
        let select = try statements("SELECT record, \(key) FROM \(table)")
        defer { select.reset() }
        while try select.step() {
            if let value = try? R(record: select.bytes(0)) {
                body(value)
            } else {
                note(.row(table: table, key: select.uint64(1)), .record(table: R.table, key: select.uint64(1)))
            }
        }
    }

    // MARK: Places on a topic

    /// First batch of a topic at or behind `position`, without its body. Where the index can't be read, the table has it.
    private func next(of topic: TopicID, from position: UInt64) throws(StoreError) -> BatchMark? {
        do throws(StoreError) {
            return try next(of: topic, from: position, "INDEXED BY batches_by_topic")
        } catch {
            guard error.isCorruption else { throw error }
            if !hasToldOfIndex { note(.row(table: "batches_by_topic", key: position)) }
            hasToldOfIndex = true
        }
        return try next(of: topic, from: position, "NOT INDEXED")
    }

    private func next(of topic: TopicID, from position: UInt64, _ index: String) throws(StoreError) -> BatchMark? {
        let select = try statements(
            """
            SELECT position, sequence, count, accepted FROM batches \(index) WHERE topic = ? AND position >= ?
            ORDER BY position LIMIT 1
            """)
        select.bind(1, topic.rawValue)
        select.bind(2, position)
        defer { select.reset() }
        guard try select.step() else { return nil }
        return BatchMark(
            position: select.uint64(0), sequence: select.uint64(1), count: select.uint64(2), accepted: select.int64(3))
    }

    /// The last batch of a topic; nil where it has none.
    func last(of id: TopicID) throws(StoreError) -> BatchMark? {
        guard let topic = try topic(id), !topic.isDeleted else { return nil }
        return try next(of: id, from: max(topic.floor, topic.lastPosition))
    }

    /// Where the first batch of `topic` begins for which `isFar` holds, which is so for all behind it; nil: for none.
    ///
    /// Times and sequences ascend with positions, so it is found by halving, without an index of their own.
    func first(of id: TopicID, _ isFar: (BatchMark) -> Bool) throws(StoreError) -> BatchMark? {
        guard let topic = try topic(id), !topic.isDeleted else { return nil }
        var (low, high) = (topic.floor, topic.lastPosition + 1)
        var found: BatchMark?
        while low < high {
            let middle = low + (high - low) / 2
            guard let mark = try next(of: id, from: middle) else {
                high = middle
                continue
            }
            if isFar(mark) {
                found = mark
                high = middle
            } else {
                low = mark.position &+ 1
            }
        }
        return found
    }
}

/// A batch's place and time.
struct BatchMark {
    var position: UInt64
    var sequence: UInt64
    var count: UInt64
    var accepted: Int64
}
