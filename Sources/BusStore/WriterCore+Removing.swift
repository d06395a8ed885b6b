// Removing: a floor is raised at once, and what is below it goes in slices, so that a purge of millions of batches
// takes effect immediately and keeps nobody waiting. Readers never look below the floor.
//
// A batch that is retained, or that a dead letter names, moves to the table `kept` instead. Ids that may still come
// again move to `receipts`.

import BusWire

extension WriterCore {
    func create(_ topic: StoredTopic) throws(StoreError) {
        let insert = try statements("INSERT OR IGNORE INTO topics (id, record) VALUES (?, ?)")
        insert.bind(1, topic.id.rawValue)
        insert.bind(2, TopicRow(topic: topic).record)
        try insert.run()
        count(.topics, by: insert.changes)
        // The one before may have stayed for its number's sake alone.
        let select = try statements("SELECT id FROM topics WHERE id < ? ORDER BY id DESC LIMIT 1")
        select.bind(1, topic.id.rawValue)
        defer { select.reset() }
        guard try select.step(), let before = select.topicID(0) else { return }
        guard let entry = try self.topic(before), entry.row.topic.isDeleted, !entry.row.topic.isRemoving else { return }
        try forget(before)
    }

    private func forget(_ id: TopicID) throws(StoreError) {
        try remove(.topics) { $0.bind(1, id.rawValue) }
        topics[id] = nil
    }

    func delete(_ id: TopicID) throws(StoreError) {
        guard let entry = try topic(id) else { return }
        entry.row.topic.isDeleted = true
        try unscheduleAll(of: id)
        let retained = entry.row.topic.retained
        entry.row.topic.retained = nil
        if let retained { try dropIfUnneeded(retained) }
        raiseFloor(of: entry, to: .max, receiptsSince: .max)
    }

    func trim(_ id: TopicID, before position: UInt64, receiptsSince: Int64) throws(StoreError) {
        guard let entry = try topic(id), !entry.row.topic.isDeleted else { return }
        raiseFloor(of: entry, to: position, receiptsSince: receiptsSince)
        trimmed.append(id)
        let first = try firstSequence(of: id, from: entry.row.topic.floor)
        entry.row.topic.firstSequence = first ?? entry.row.topic.lastSequence + 1
    }

    /// The sequence that a topic's first batch at or behind a position begins with; nil where there is none. The table has it
    /// where the index can't be read.
    private func firstSequence(of id: TopicID, from floor: UInt64) throws(StoreError) -> UInt64? {
        let index = removesNothing ? "NOT INDEXED" : "INDEXED BY batches_by_topic"
        let select = try statements(
            "SELECT sequence FROM batches \(index) WHERE topic = ? AND position >= ? ORDER BY position LIMIT 1")
        select.bind(1, id.rawValue)
        select.bind(2, floor)
        defer { select.reset() }
        return try select.step() ? select.uint64(0) : nil
    }

    /// Answers for this transaction's trims. From now on nobody is shown what lies below the floor, whenever it goes.
    func answerTrims() throws(StoreError) {
        for id in trimmed {
            guard let entry = try topic(id), !entry.row.topic.isDeleted else { continue }
            answers.removedFrom.append(entry.row.topic)
        }
        trimmed.removeAll()
    }

    private func raiseFloor(of entry: TopicEntry, to position: UInt64, receiptsSince: Int64) {
        // Not above what is stored: what comes next must lie on or above the floor.
        let floor = min(position, meta.nextPosition)
        guard floor > entry.row.topic.floor || entry.row.topic.isDeleted else { return }
        entry.row.topic.floor = max(floor, entry.row.topic.floor)
        entry.row.receiptsSince = receiptsSince
        if !entry.row.topic.isRemoving {
            entry.row.topic.isRemoving = true
            removals.append(entry.row.topic.id)
        }
        markDirty(entry)
    }

    func retain(_ id: TopicID, _ position: UInt64?) throws(StoreError) {
        guard let entry = try topic(id), !entry.row.topic.isDeleted else { return }
        let before = entry.row.topic.retained
        guard before != position else { return }
        entry.row.topic.retained = position
        markDirty(entry)
        if let before { try dropIfUnneeded(before) }
    }

    // MARK: A slice

    /// A slice ends with the batch that reaches this: SQLite follows long bodies page by page to free them.
    private static let removalBytesMax: UInt64 = 4 << 20

    /// Removes some batches of the topic whose turn it is.
    func removeSlice() throws(StoreError) {
        guard let id = removals.first else { return }
        guard let entry = try topic(id) else {
            removals.removeFirst()
            return
        }
        var slice: [BatchOutline] = []
        let select = try statements(
            """
            SELECT position, publisher, first_id, count, sequence, accepted, flags, length(body)
            FROM batches WHERE topic = ? AND position < ? ORDER BY position LIMIT ?
            """)
        select.bind(1, id.rawValue)
        select.bind(2, entry.row.topic.floor)
        select.bind(3, Int64(options.removalSlice) + 1)
        var bytes: UInt64 = 0
        var isLast = false
        while slice.count < options.removalSlice, bytes < WriterCore.removalBytesMax {
            guard try select.step() else {
                isLast = true
                break
            }
            slice.append(BatchOutline(select))
            bytes += slice[slice.count - 1].bodyLength
        }
        select.reset()
        for batch in slice { try remove(batch, from: entry) }
        if isLast { try finishRemoving(entry) }
        markDirty(entry)
        answers.removedFrom.append(entry.row.topic)
    }

    /// Forgets some of what is remembered of what is gone.
    func trimSlice() throws(StoreError) {
        // Rows as short as these are removed sixteen times as fast as batches. Not tuned.
        let count = 16 * options.removalSlice
        if let time = receiptsDue, try !trimReceipts(before: time, atMost: count) { receiptsDue = nil }
        if let position = ledgerDue, try !trimLedger(before: position, atMost: count) { ledgerDue = nil }
    }

    /// Positions as columns say that no checksum was compared for: a flipped bit there must trap nobody.
    private func positions(from first: UInt64, _ count: UInt64) -> Range<UInt64> {
        let first = min(first, UInt64(Int64.max))
        return first..<first + min(count, UInt64(Limits.batchEventCountMax))
    }

    private func remove(_ batch: BatchOutline, from entry: TopicEntry) throws(StoreError) {
        let isRetained = entry.row.topic.retained == batch.position
        let isNeeded = if isRetained { true } else { try hasDeadLetter(batch.position) }
        if isNeeded {
            try move(batch.position, to: "kept")
        } else {
            try giveBack(publisher: batch.publisher, batch.bodyLength)
            try forgetLedger(of: positions(from: batch.position, batch.count))
        }
        if batch.accepted >= entry.row.receiptsSince {
            try insertReceipt(batch, topic: entry.row.topic.id)
        } else if batch.hasIDs {
            try removeIDs(of: batch.position)
        }
        let delete = try statements("DELETE FROM batches WHERE position = ?")
        delete.bind(1, batch.position)
        try delete.run()
        entry.row.topic.lost(events: batch.count, bytes: batch.bodyLength)
    }

    /// The floor is reached.
    private func finishRemoving(_ entry: TopicEntry) throws(StoreError) {
        removals.removeFirst()
        entry.row.topic.isRemoving = false
        try removeSeals(of: entry.row.topic)
        guard entry.row.topic.isDeleted else { return }
        // The highest number stays where it is seen, until there is a higher one: numbers are never given twice.
        let id = entry.row.topic.id
        let select = try statements("SELECT 1 FROM topics WHERE id > ? LIMIT 1")
        select.bind(1, id.rawValue)
        let isHighest = try !select.step()
        select.reset()
        if !isHighest { try forget(id) }
    }

    /// Copies a batch to another table of batches.
    func move(_ position: UInt64, to table: String) throws(StoreError) {
        let columns = Schema.batchColumns
        let copy = try statements(
            "INSERT OR IGNORE INTO \(table) (\(columns)) SELECT \(columns) FROM batches WHERE position = ?")
        copy.bind(1, position)
        try copy.run()
    }

    private func hasDeadLetter(_ position: UInt64) throws(StoreError) -> Bool {
        let select = try statements("SELECT 1 FROM dead_letters WHERE position = ? LIMIT 1")
        select.bind(1, position)
        defer { select.reset() }
        return try select.step()
    }

    /// Drops a kept batch that no dead letter names and no topic retains.
    func dropIfUnneeded(_ position: UInt64) throws(StoreError) {
        guard try !hasDeadLetter(position) else { return }
        let select = try statements(
            "SELECT topic, seal, publisher, length(body), count FROM kept WHERE position = ?")
        select.bind(1, position)
        guard try select.step() else { return }
        let (id, seal) = (select.topicID(0), select.uint64(1))
        let (publisher, length, count) = (select.int64(2), select.uint64(3), select.uint64(4))
        select.reset()
        let entry: TopicEntry? = if let id { try topic(id) } else { nil }
        guard entry?.row.topic.retained != position else { return }
        let delete = try statements("DELETE FROM kept WHERE position = ?")
        delete.bind(1, position)
        try delete.run()
        try giveBack(publisher: publisher, length)
        try forgetLedger(of: positions(from: position, count))
        let find = try statements("SELECT record FROM seals WHERE number = ?")
        find.bind(1, seal)
        guard try find.step() else { return }
        let record = find.bytes(0)
        find.reset()
        guard let row = try? SealRow(record: record) else { return }
        try removeIfUnneeded(row, floor: entry?.row.topic.floor ?? .max)
    }

    // MARK: Seals

    /// A topic that lives has its seals looked at so many at a time, each time it was trimmed. Not tuned.
    private static let sealSlice = 1024

    /// Removes seals that no batch is left of: of a deleted topic all, else some, going on where it ended last.
    private func removeSeals(of topic: StoredTopic) throws(StoreError) {
        let (slice, place) = (topic.isDeleted ? Int.max : WriterCore.sealSlice, sealPlaces[topic.id] ?? 0)
        var rows: [SealRow] = []
        var seen = try readSeals(of: topic, after: place, atMost: slice, into: &rows)
        // Its end is reached: on from the beginning, with what is left of the slice.
        if seen.count < slice, place > 0 {
            seen = try readSeals(of: topic, after: 0, atMost: slice - seen.count, into: &rows)
        }
        sealPlaces[topic.id] = topic.isDeleted || seen.count < slice && place == 0 ? nil : seen.last
        if sealPlaces.count > WriterCore.cacheMax { sealPlaces.removeAll() }
        for row in rows { try removeIfUnneeded(row, floor: topic.isDeleted ? .max : topic.floor) }
    }

    private func readSeals(
        of topic: StoredTopic, after number: UInt64, atMost count: Int, into rows: inout [SealRow]
    ) throws(StoreError) -> (count: Int, last: UInt64) {
        let select = try statements(
            "SELECT number, record FROM seals WHERE topic = ? AND number > ? ORDER BY number LIMIT ?")
        select.bind(1, topic.id.rawValue)
        select.bind(2, number)
        select.bind(3, Int64(count))
        defer { select.reset() }
        var seen = (count: 0, last: number)
        while try select.step() {
            seen = (seen.count + 1, select.uint64(0))
            if let row = try? SealRow(record: select.bytes(1)) { rows.append(row) }
        }
        return seen
    }

    /// Removes a seal that is closed and that no batch is left of.
    func removeIfUnneeded(_ row: SealRow, floor: UInt64) throws(StoreError) {
        let number = row.seal.number
        guard openSeals[number] == nil, row.lastUsed ?? startPosition - 1 < floor else { return }
        let kept = try statements("SELECT 1 FROM kept WHERE seal = ? LIMIT 1")
        kept.bind(1, number)
        defer { kept.reset() }
        guard try !kept.step(), try !isScheduled(under: number) else { return }
        try remove(.seals) { $0.bind(1, number) }
    }
}

/// What removing needs to know of a batch; its body isn't read.
struct BatchOutline {
    var position: UInt64
    var publisher: Int64
    var firstID: BusUUID
    var count: UInt64
    var sequence: UInt64
    var accepted: Int64
    var hasIDs: Bool
    var bodyLength: UInt64

    init(_ row: SQLStatement) {
        position = row.uint64(0)
        publisher = row.int64(1)
        firstID = row.uuid(2)
        count = row.uint64(3)
        sequence = row.uint64(4)
        accepted = row.int64(5)
        hasIDs = row.uint64(6) & BatchRow.hasIDsFlag != 0
        bodyLength = row.uint64(7)
    }
}

extension StoredTopic {
    /// Counts a batch out. Damage may have made the counts too small; then they end at none.
    mutating func lost(events: UInt64, bytes: UInt64) {
        eventCount -= min(events, eventCount)
        batchCount -= min(1, batchCount)
        byteCount -= min(bytes, byteCount)
    }
}
