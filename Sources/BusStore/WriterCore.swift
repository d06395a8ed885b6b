// What the writer does in one transaction. Confined to the writer's thread.
//
// A transaction is carried out from the writes alone, so it can be rolled back and done again: when there is no space
// its appends are refused and everything else is tried once more. Whatever is kept in memory between transactions is
// either derived and thrown away at a rollback, or put back as it was.

import BusWire
import GRDBSQLite

/// The writing side of an open store.
final class WriterCore {
    let connection: Connection
    let options: StoreOptions
    let head: HeadFile
    let statements: StatementCache
    var meta: StoreMeta
    var space: Space
    var answers = Committed()

    /// Topics touched lately, and those changed in this transaction.
    var topics: [TopicID: TopicEntry] = [:]
    var dirtyTopics: [TopicEntry] = []
    var publishers: [StoredPublisher: Int64] = [:]
    /// What users hold, of those touched lately, and of those changed in this transaction; and whose a publisher is.
    var usages: [UInt32: UsageEntry] = [:]
    var dirtyUsages: [UsageEntry] = []
    var uids: [Int64: UInt32] = [:]
    /// Topics with batches below their floor, in the order in which they are worked off.
    var removals: [TopicID]
    /// Topics that were trimmed in this transaction.
    var trimmed: [TopicID] = []
    /// Topics some seals of which are still to be looked at, each with the number behind which to go on.
    var sealPlaces: [TopicID: UInt64] = [:]
    /// Removing met a page that can't be read: it is left alone until the next start.
    private(set) var removesNothing = false
    /// Receipts of before this time, and lines of the ledger before this position, are to be forgotten: in slices, as
    /// batches are removed. What is left at the end is asked for again by the next process.
    var receiptsDue: Int64?
    var ledgerDue: UInt64?
    /// Last batch of every seal that is open, so that writing it down can wait until the seal is closed.
    var openSeals: [UInt64: UInt64] = [:]
    /// Those closed in this transaction, to be open again when it is rolled back.
    var closedSeals: [(number: UInt64, lastUsed: UInt64)] = []
    /// The topic whose batch was refused last: what was to be retained of it is as little stored as the batch.
    var topicRefused: TopicID?
    /// Seals that nobody wrote down belong to an earlier process, and were last used before this.
    let startPosition: UInt64
    var refusal: StoreRefusal?
    var shredsSecrets = false
    private var walPages: UnsafeMutablePointer<Int32>
    private var checkpointed: UInt64

    private let insertBatch: SQLStatement
    private let begin: SQLStatement
    private let commitStatement: SQLStatement
    private let putMeta: SQLStatement

    /// How many topics and publishers are remembered before all are forgotten.
    static let cacheMax = 4096

    init(
        connection: Connection, options: StoreOptions, head: HeadFile, meta: StoreMeta, removals: [TopicID]
    ) throws(StoreError) {
        self.connection = connection
        self.options = options
        self.head = head
        self.meta = meta
        self.removals = removals
        startPosition = meta.nextPosition
        checkpointed = meta.checkpointed
        statements = StatementCache(connection.handle)
        space = try Space(connection: connection, statements: statements, options: options)
        let columns = Schema.batchColumns
        insertBatch = try statements(
            "INSERT INTO batches (\(columns)) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
        begin = try statements("BEGIN IMMEDIATE")
        commitStatement = try statements("COMMIT")
        putMeta = try statements("UPDATE meta SET record = ? WHERE id = 1")
        walPages = .allocate(capacity: 1)
        walPages.initialize(to: 0)
        // Called within COMMIT, on this thread.
        sqlite3_wal_hook(
            connection.handle,
            { context, _, _, pages in
                context?.assumingMemoryBound(to: Int32.self).pointee = pages
                return SQLITE_OK
            }, walPages)
    }

    deinit { walPages.deallocate() }

    /// Whether there is something to do without a new write.
    var hasWork: Bool { hasRemovals || shredsSecrets }
    /// Whether that is a transaction.
    var hasRemovals: Bool {
        !removesNothing && (!removals.isEmpty || receiptsDue != nil || ledgerDue != nil)
    }

    // MARK: A transaction

    /// Carries out `writes` and makes them durable; what it says may be told.
    ///
    /// - Parameter ticket: of the first of them.
    func transact(_ writes: [SubmittedWrite], from ticket: UInt64) throws(StoreError) -> Committed {
        try space.recover()
        refusal = space.isDiskFull ? .diskFull : nil
        do {
            return try attemptRemoving(writes, from: ticket)
        } catch {
            guard error.isFull else { throw error }
        }
        try space.makeRoom()
        refusal = space.refusalWhenFull
        do {
            return try attemptRemoving(writes, from: ticket)
        } catch {
            guard error.isFull else { throw error }
        }
        // Not even that: with all the room there is, the writes alone, and removing another time.
        space.giveUpBallast()
        refusal = space.refusalWhenFull
        return try attempt(writes, from: ticket, removing: false)
    }

    /// Removes besides, unless that meets what can't be read: then what is to be removed stays, and the rest is served.
    private func attemptRemoving(_ writes: [SubmittedWrite], from ticket: UInt64) throws(StoreError) -> Committed {
        guard !removesNothing else { return try attempt(writes, from: ticket, removing: false) }
        do {
            return try attempt(writes, from: ticket, removing: true)
        } catch {
            guard error.isCorruption else { throw error }
        }
        // SQLite writes nothing more in a transaction that met such a page: the next one must not.
        removesNothing = true
        var committed = try attempt(writes, from: ticket, removing: false)
        committed.damage.append(.unremovable(topic: removals.first))
        return committed
    }

    private func attempt(
        _ writes: [SubmittedWrite], from ticket: UInt64, removing: Bool
    ) throws(StoreError) -> Committed {
        let (metaBefore, removalsBefore, refusalBefore) = (meta, removals, refusal)
        let dueBefore = (receiptsDue, ledgerDue)
        let topicRefusedBefore = topicRefused
        answers = Committed()
        do {
            try begin.run()
            var number = ticket
            for write in writes {
                switch write {
                case .write(let write):
                    try apply(write, ticket: number)
                    number += 1
                case .putAside(let damaged): try putAside(damaged)
                }
            }
            if removing {
                try removeSlice()
                try trimSlice()
            }
            answers.through = number - 1
            try finish()
            try commitStatement.run()
        } catch {
            // SQLite has rolled back by itself after some errors; then this one fails, and that is fine.
            try? SQLStatement(connection.handle, "ROLLBACK").run()
            (meta, removals, refusal) = (metaBefore, removalsBefore, refusalBefore)
            topicRefused = topicRefusedBefore
            (receiptsDue, ledgerDue) = dueBefore
            for seal in closedSeals { openSeals[seal.number] = seal.lastUsed }
            closedSeals.removeAll()
            topics.removeAll()
            trimmed.removeAll()
            dirtyTopics.removeAll()
            publishers.removeAll()
            usages.removeAll()
            dirtyUsages.removeAll()
            uids.removeAll()
            throw error
        }
        closedSeals.removeAll()
        try head.write(Head(incarnation: meta.incarnation, commit: meta.commit, nextPosition: meta.nextPosition))
        answers.commit = meta.commit
        answers.nextPosition = meta.nextPosition
        answers.bytesUsed = space.bytesUsed
        return answers
    }

    /// What is written once, however many writes there were.
    private func finish() throws(StoreError) {
        try answerTrims()
        for entry in dirtyTopics { try write(entry) }
        dirtyTopics.removeAll(keepingCapacity: true)
        try writeUsages()
        if topics.count > WriterCore.cacheMax { topics.removeAll(keepingCapacity: true) }
        if publishers.count > WriterCore.cacheMax { publishers.removeAll(keepingCapacity: true) }
        meta.commit += 1
        meta.checkpointed = checkpointed
        putMeta.bind(1, meta.record)
        try putMeta.run()
        try space.measure()
    }

    // MARK: Appending

    /// Stores a batch, or says why not.
    func append(_ batch: StoredBatch, ids: [BusUUID]) throws(StoreError) -> StoreRefusal? {
        if let refusal { return refusal }
        guard let entry = try topic(batch.topic), !entry.row.topic.isDeleted else { return .unknownTopic }
        guard batch.position >= meta.nextPosition, batch.firstSequence > entry.row.topic.lastSequence, batch.count > 0,
            batch.position < UInt64(Int64.max) - UInt64(batch.count)
        else { return .outOfOrder }
        guard space.admits(batch.body.count + 48 * ids.count) else {
            // And everything behind it in this commit: a publisher's next batch must not overtake this one.
            refusal = .storeFull
            return refusal
        }
        let row = BatchRow(batch, previous: entry.row.topic.lastPosition, hasIDs: !ids.isEmpty)
        let publisher = try number(of: batch.publisher)
        try batch.body.withUnsafeBytes { (body) throws(StoreError) in
            row.bind(to: insertBatch, publisher: publisher, body: body)
            try insertBatch.run()
        }
        try charge(batch.publisher.uid, UInt64(batch.body.count))
        if !ids.isEmpty { try insertIDs(ids, of: batch, publisher: publisher) }
        entry.row.topic.took(batch)
        markDirty(entry)
        openSeals[batch.seal] = batch.position
        meta.nextPosition = batch.position + UInt64(batch.count)
        return nil
    }

    /// The number that stands for a publisher in rows.
    func number(of publisher: StoredPublisher) throws(StoreError) -> Int64 {
        if let known = publishers[publisher] { return known }
        let number: Int64
        if let found = try findNumber(of: publisher) {
            number = found
        } else {
            let insert = try statements("INSERT INTO publishers (uid, unit) VALUES (?, ?)")
            insert.bind(1, Int64(publisher.uid))
            insert.bind(2, publisher.unit)
            try insert.run()
            number = sqlite3_last_insert_rowid(connection.handle)
        }
        publishers[publisher] = number
        return number
    }

    /// The number that stands for a publisher, if it ever stored anything.
    func findNumber(of publisher: StoredPublisher) throws(StoreError) -> Int64? {
        let find = try statements("SELECT id FROM publishers WHERE uid = ? AND unit = ?")
        find.bind(1, Int64(publisher.uid))
        find.bind(2, publisher.unit)
        guard try find.step() else { return nil }
        defer { find.reset() }
        return find.int64(0)
    }

    // MARK: Topics

    /// A topic as it is in this transaction; nil if there is none, or none that can be read.
    func topic(_ id: TopicID) throws(StoreError) -> TopicEntry? {
        if let known = topics[id] { return known }
        let select = try statements("SELECT record FROM topics WHERE id = ?")
        select.bind(1, id.rawValue)
        guard try select.step() else { return nil }
        defer { select.reset() }
        guard let row = try? TopicRow(record: select.bytes(0)), row.topic.id == id else { return nil }
        let entry = TopicEntry(row)
        topics[id] = entry
        return entry
    }

    func markDirty(_ entry: TopicEntry) {
        guard !entry.isDirty else { return }
        entry.isDirty = true
        dirtyTopics.append(entry)
    }

    private func write(_ entry: TopicEntry) throws(StoreError) {
        entry.isDirty = false
        let update = try statements("UPDATE topics SET record = ? WHERE id = ?")
        update.bind(1, entry.row.record)
        update.bind(2, entry.row.topic.id.rawValue)
        try update.run()
    }

    // MARK: The log

    /// Copies the log into the database if it is long enough. Called when the commit was told: what waits for it by
    /// now is the next transaction.
    func checkpointIfDue() throws(StoreError) {
        if shredsSecrets { return try emptyLog() }
        guard Int(walPages.pointee) * Space.pageSize >= options.checkpointBytes else { return }
        _ = try checkpoint(SQLITE_CHECKPOINT_PASSIVE)
    }

    /// Copies all of the log that no reader holds into the database; whether that was all.
    func checkpoint(_ mode: Int32) throws(StoreError) -> Bool {
        var (pages, copied): (Int32, Int32) = (-1, -1)
        let code = sqlite3_wal_checkpoint_v2(connection.handle, "main", mode, &pages, &copied)
        guard code == SQLITE_OK else {
            let error = StoreError(connection.handle, code, doing: "checkpoint")
            // No space for the database to grow: the log stays, and is copied when there is some again.
            if error.isFull { try space.makeRoom() }
            guard error.isFull || error.isBusy else { throw error }
            return false
        }
        guard pages == copied else { return false }
        checkpointed = meta.nextPosition
        walPages.pointee = 0
        return true
    }

    /// A removed secret must not be left in the log either. A reader may still hold it: then later.
    private func emptyLog() throws(StoreError) {
        sqlite3_busy_timeout(connection.handle, 100)
        defer { sqlite3_busy_timeout(connection.handle, 0) }
        if try checkpoint(SQLITE_CHECKPOINT_TRUNCATE) { shredsSecrets = false }
    }

    /// Leaves the database as it should be found: all of it in one file, once the connection is closed.
    func end() throws(StoreError) {
        _ = try checkpoint(SQLITE_CHECKPOINT_PASSIVE)
        if meta.checkpointed != checkpointed { _ = try attempt([], from: 1, removing: false) }
        statements.removeAll()
    }
}

/// A topic in the writer's memory.
final class TopicEntry {
    var row: TopicRow
    var isDirty = false

    init(_ row: TopicRow) { self.row = row }
}

extension StoredTopic {
    /// Counts a batch in.
    mutating func took(_ batch: StoredBatch) {
        if lastPosition < floor || lastPosition == 0 { firstSequence = batch.firstSequence }
        lastSequence = batch.firstSequence + UInt64(batch.count) - 1
        lastTime = max(lastTime, batch.accepted)
        lastPosition = batch.position
        eventCount += UInt64(batch.count)
        batchCount += 1
        byteCount += UInt64(batch.body.count)
    }
}
