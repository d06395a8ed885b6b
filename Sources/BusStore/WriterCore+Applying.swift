// One write, carried out within the transaction under way.

import BusWire

extension WriterCore {
    /// Carries out `write`; a refusal or an answer goes into `answers`.
    func apply(_ write: StoreWrite, ticket: UInt64) throws(StoreError) {
        switch write {
        case .append(let batch, let ids):
            let reason = try append(batch, ids: ids)
            topicRefused = reason == nil ? nil : batch.topic
            if let reason { answers.refused.append((ticket, reason)) }
        case .schedule(let event):
            if let reason = try schedule(event) { answers.refused.append((ticket, reason)) }
        case .unschedule(let number): try unschedule(number)
        case .setAsideScheduled(let number): try setAside(scheduled: number)
        case .publishScheduled(let number, let batch, let ids):
            let reason = try publish(scheduled: number, batch, ids: ids)
            topicRefused = reason == nil ? nil : batch.topic
            if let reason { answers.refused.append((ticket, reason)) }
        case .known(let publisher, let ids, let topic, let includesWaiting):
            answers.known.append((ticket, try known(ids, of: publisher, on: topic, includesWaiting)))
        case .receiptsTrim(let time): receiptsDue = max(receiptsDue ?? time, time)
        case .topic(let topic): try create(topic)
        case .topicDeleted(let id): try delete(id)
        case .trim(let id, let position, let since): try trim(id, before: position, receiptsSince: since)
        case .retain(let id, let position): if topicRefused != id { try retain(id, position) }
        case .seal(let seal): try put(seal)
        case .sealClosed(let number): try close(seal: number)
        default: try applyRecord(write)
        }
    }

    private func applyRecord(_ write: StoreWrite) throws(StoreError) {
        switch write {
        case .declaration(let declaration):
            try put(declaration) { $0.bind($1, declaration.filter) }
        case .declarationRemoved(let filter):
            try remove(.declarations) { $0.bind(1, filter) }
        case .subscription(let subscription):
            let row = SubscriptionRow(id: subscription.id, name: subscription.name, options: subscription.options)
            try put(row) { $0.bind($1, subscription.id) }
            try put(CursorRow(subscription: subscription.id, cursor: subscription.cursor)) {
                $0.bind($1, subscription.id)
            }
            try forgetMark(before: subscription.id)
        case .cursor(let id, let cursor):
            try put(CursorRow(subscription: id, cursor: cursor)) { $0.bind($1, id) }
        case .subscriptionRemoved(let id):
            try remove(.subscriptions) { $0.bind(1, id) }
            try removeCursor(of: id)
        case .deadLetter(let letter): try put(letter)
        case .deadLetterRemoved(let id, let events): try removeDeadLetter(id, events)
        case .ledger(let entry):
            // Nobody is promised a line of it; the rest of the headroom is for what makes room.
            if space.admitsLedger() { try put(entry) }
        case .ledgerTrim(let position): ledgerDue = max(ledgerDue ?? position, position)
        case .secret(let secret):
            try shred { () throws(StoreError) in
                try self.put(secret) { statement, place in
                    statement.bind(place, secret.namespace)
                    statement.bind(place + 1, Int64(secret.epoch))
                }
            }
        case .secretRemoved(let namespace, let epoch):
            try shred { () throws(StoreError) in
                try self.remove(.secrets) {
                    $0.bind(1, namespace)
                    $0.bind(2, Int64(epoch))
                }
            }
        default: preconditionFailure("apply handles every other kind, and hands on the ones above")
        }
    }

    // MARK: Subscriptions' numbers

    /// Removes a deleted subscription's cursor; the one with the highest number stays, as the mark that it was given:
    /// dead letters and the ledger would be taken for another one's.
    private func removeCursor(of id: UInt64) throws(StoreError) {
        let select = try statements("SELECT max(id) FROM cursors")
        let highest = try select.step() ? select.uint64(0) : 0
        select.reset()
        guard id == highest else { return try remove(.cursors) { $0.bind(1, id) } }
        try put(CursorRow(subscription: id, cursor: StoredCursor(next: 1))) { $0.bind($1, id) }
    }

    /// There is a higher number than the last mark's.
    private func forgetMark(before id: UInt64) throws(StoreError) {
        let select = try statements(
            """
            SELECT id FROM (SELECT max(id) AS id FROM cursors WHERE id < ?)
            WHERE id NOT IN (SELECT id FROM subscriptions)
            """)
        select.bind(1, id)
        let mark = try select.step() ? select.uint64(0) : 0
        select.reset()
        if mark > 0 { try remove(.cursors) { $0.bind(1, mark) } }
    }

    // MARK: Tables of records

    /// Puts a record under its key, in place of the one that is there.
    ///
    /// - Parameter bindKey: binds the key from this place on.
    func put<R: Recorded>(_ value: R, bindKey: (SQLStatement, Int32) -> Void) throws(StoreError) {
        let sql = R.table.sql
        let update = try statements(sql.update)
        update.bind(1, value.record)
        bindKey(update, 2)
        try update.run()
        guard update.changes == 0 else { return }
        let insert = try statements(sql.insert)
        insert.bind(1, value.record)
        bindKey(insert, 2)
        try insert.run()
        count(R.table, by: 1)
    }

    /// Removes the record of a key, if there is one.
    func remove(_ table: RecordTable, bindKey: (SQLStatement) -> Void) throws(StoreError) {
        let delete = try statements(table.sql.delete)
        bindKey(delete)
        try delete.run()
        count(table, by: -delete.changes)
    }

    /// Keeps the count by which a row that vanished is noticed.
    func count(_ table: RecordTable, by difference: Int) {
        guard let index = StoreMeta.counted.firstIndex(of: table) else { return }
        // A count that damage made too small ends at none.
        meta.rowCounts[index] = UInt64(clamping: Int64(clamping: meta.rowCounts[index]) + Int64(difference))
    }

    /// Runs `body` so that nothing of what it replaces or removes stays in the database or its log.
    private func shred(_ body: () throws(StoreError) -> Void) throws(StoreError) {
        try connection.execute("PRAGMA secure_delete = ON")
        defer { try? connection.execute("PRAGMA secure_delete = FAST") }
        try body()
        shredsSecrets = true
    }

    // MARK: Dead letters

    private func put(_ letter: StoredDeadLetter) throws(StoreError) {
        let insert = try statements(
            "INSERT OR REPLACE INTO dead_letters (id, subscription, position, record) VALUES (?, ?, ?, ?)")
        insert.bind(1, letter.id)
        insert.bind(2, letter.subscription)
        insert.bind(3, letter.position)
        insert.bind(4, letter.record)
        try insert.run()
    }

    private func removeDeadLetter(_ id: UInt64, _ events: [UInt8]) throws(StoreError) {
        let select = try statements("SELECT position, record FROM dead_letters WHERE id = ?")
        select.bind(1, id)
        guard try select.step() else { return }
        let (position, record) = (select.uint64(0), select.bytes(1))
        select.reset()
        if let letter = try? StoredDeadLetter(record: record), let rest = letter.without(events) {
            return try put(rest)
        }
        try remove(.deadLetters) { $0.bind(1, id) }
        try dropIfUnneeded(position)
    }

    // MARK: Seals

    private func put(_ seal: StoredSeal) throws(StoreError) {
        // One that is there may have been of a topic that is deleted, and whose name has come back.
        let (update, insert) = (
            try statements("UPDATE seals SET topic = ?2, record = ?3 WHERE number = ?1"),
            try statements("INSERT INTO seals (number, topic, record) VALUES (?1, ?2, ?3)")
        )
        for statement in [update, insert] {
            statement.bind(1, seal.number)
            statement.bind(2, seal.topic.rawValue)
            statement.bind(3, SealRow(seal: seal, lastUsed: nil).record)
        }
        try update.run()
        if update.changes == 0 {
            try insert.run()
            count(.seals, by: 1)
        }
        openSeals[seal.number] = meta.nextPosition
    }

    private func close(seal number: UInt64) throws(StoreError) {
        let known = openSeals.removeValue(forKey: number)
        if let known { closedSeals.append((number, known)) }
        let lastUsed = known ?? startPosition - 1
        let select = try statements("SELECT record FROM seals WHERE number = ?")
        select.bind(1, number)
        guard try select.step() else { return }
        let record = select.bytes(0)
        select.reset()
        guard var row = try? SealRow(record: record) else { return }
        row.lastUsed = lastUsed
        try put(row) { $0.bind($1, number) }
        // Its topic may have been emptied before, or be gone.
        if let entry = try topic(row.seal.topic) {
            guard !entry.row.topic.isRemoving else { return }
            try removeIfUnneeded(row, floor: entry.row.topic.floor)
        } else if try !hasBatches(row.seal.topic) {
            try removeIfUnneeded(row, floor: .max)
        }
    }

    /// Whether there are batches of a topic that isn't there itself, or can't be read.
    private func hasBatches(_ id: TopicID) throws(StoreError) -> Bool {
        let select = try statements("SELECT 1 FROM batches WHERE topic = ? LIMIT 1")
        select.bind(1, id.rawValue)
        defer { select.reset() }
        return try select.step()
    }
}

/// How a table's records are written: put together once, since some are in every commit.
private struct RecordSQL: Sendable {
    let update: String
    let insert: String
    let delete: String

    static let all = Dictionary(uniqueKeysWithValues: RecordTable.allCases.map { ($0, RecordSQL($0)) })

    init(_ table: RecordTable) {
        let key = table.keyColumns
        let condition = key.map { $0 + " = ?" }.joined(separator: " AND ")
        let places = key.map { _ in ", ?" }.joined()
        update = "UPDATE \(table.name) SET record = ? WHERE \(condition)"
        insert = "INSERT INTO \(table.name) (record, \(key.joined(separator: ", "))) VALUES (?\(places))"
        delete = "DELETE FROM \(table.name) WHERE \(condition)"
    }
}

extension RecordTable {
    fileprivate var sql: RecordSQL { RecordSQL.all[self] ?? RecordSQL(self) }

    fileprivate var keyColumns: [String] {
        switch self {
        case .declarations: ["filter"]
        case .secrets: ["namespace", "epoch"]
        case .seals: ["number"]
        default: ["id"]
        }
    }
}
