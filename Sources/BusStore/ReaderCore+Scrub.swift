// The whole check, in slices: every batch with its checksum, its place in its topic's chain and in the index, then
// every record of the other tables.

extension ReaderCore {
    /// The place at which batches are done and the other tables' turn comes: behind every position. From there on a place is
    /// a table and, in its lower bits, the key at which to go on.
    private static let recordsPlace = UInt64(1) << 63
    private static let keyBits: UInt64 = 58
    /// Rows of a slice: while one is looked at, other reads wait. Not tuned.
    static let scrubSlice = 4096
    /// The same of rows with bodies, which are long: as many as a page of batches has.
    private static let bodySlice = PageLimit(count: 256, bytes: 1 << 20)

    /// Looks at what is at `place`, and says where to go on.
    func scrub(from place: UInt64) throws(StoreError) -> ScrubReport {
        var report = ScrubReport()
        if place < ReaderCore.recordsPlace {
            let page = try page(
                place..<ReaderCore.recordsPlace, topics: nil, limit: ReaderCore.bodySlice)
            report.batches = UInt64(page.batches.count)
            for batch in page.batches { try checkIndex(batch) }
            report.next = page.isComplete ? ReaderCore.recordsPlace : page.next
        } else {
            let table = (place - ReaderCore.recordsPlace) >> ReaderCore.keyBits
            var key: UInt64? = place & (1 << ReaderCore.keyBits - 1)
            repeat {
                let slice = try scrub(table: table, from: key ?? 0)
                report.records += slice.count
                key = slice.next
                // A key no row should have: the rest of its table at once.
            } while key ?? 0 >= 1 << ReaderCore.keyBits
            if let key {
                report.next = ReaderCore.recordsPlace + table << ReaderCore.keyBits + key
            } else if table < ReaderCore.lastTable {
                report.next = ReaderCore.recordsPlace + (table + 1) << ReaderCore.keyBits
            }
        }
        report.damage = damage
        return report
    }

    private func checkIndex(_ batch: StoredBatch) throws(StoreError) {
        let select = try statements(
            "SELECT 1 FROM batches INDEXED BY batches_by_topic WHERE topic = ? AND position = ?")
        select.bind(1, batch.topic.rawValue)
        select.bind(2, batch.position)
        defer { select.reset() }
        if try !select.step() { note(.row(table: "batches_by_topic", key: batch.position)) }
    }

    /// A slice of a table: how many rows were as they were written, and the key to go on with.
    private typealias Slice = (count: UInt64, next: UInt64?)

    private static let lastTable: UInt64 = 12

    private func scrub(table: UInt64, from key: UInt64) throws(StoreError) -> Slice {
        switch table {
        case 0: try slice(of: TopicRow.self, from: key)
        case 1: try slice(of: SealRow.self, key: "number", from: key)
        case 2: try whole(StoredDeclaration.self, key: "0")
        case 3: try slice(of: SubscriptionRow.self, from: key)
        case 4: try slice(of: CursorRow.self, from: key)
        case 5: try slice(of: StoredDeadLetter.self, from: key)
        case 6: try slice(of: LedgerEntry.self, key: "number", from: key)
        case 7: try whole(StoredSecret.self, key: "epoch")
        case 8: try slice(of: UsageRow.self, from: key)
        case 9: try receipts("first_id, position, count", in: "receipts", from: key)
        case 10: try receipts("id, position, place", in: "explicit_ids", from: key)
        case 11: try kept(from: key)
        case ReaderCore.lastTable: try scheduled(from: key)
        default: (0, nil)
        }
    }

    /// One of the tables that an administrator fills: there is little in it.
    private func whole<R: Recorded>(_ type: R.Type, key: String) throws(StoreError) -> Slice {
        var count: UInt64 = 0
        try records(type, key: key) { _ in count += 1 }
        return (count, nil)
    }

    private func slice<R: Recorded>(of type: R.Type, key: String = "id", from: UInt64) throws(StoreError) -> Slice {
        let table = R.table.name
        let select = try statements("SELECT record, \(key) FROM \(table) WHERE \(key) >= ? ORDER BY \(key) LIMIT ?")
        return try slice(select, keyAt: 1, from: from) { (row) throws(StoreError) in
            if (try? R(record: row.bytes(0))) != nil { return true }
            self.note(.row(table: table, key: row.uint64(1)), .record(table: R.table, key: row.uint64(1)))
            return false
        }
    }

    private func receipts(_ columns: String, in table: String, from: UInt64) throws(StoreError) -> Slice {
        let select = try statements(
            """
            SELECT publisher, \(columns), topic, sequence, accepted, sum FROM \(table)
            WHERE position >= ? ORDER BY position LIMIT ?
            """)
        return try slice(select, keyAt: 2, from: from, isUnique: table == "receipts") { (row) throws(StoreError) in
            if ReceiptRow(row).isWhole { return true }
            self.note(.row(table: table, key: row.uint64(2)))
            return false
        }
    }

    private func kept(from: UInt64) throws(StoreError) -> Slice {
        let select = try statements(
            "SELECT \(Schema.batchColumns) FROM kept WHERE position >= ? ORDER BY position LIMIT ?")
        return try slice(select, keyAt: 0, bodyAt: 12, from: from) { (row) throws(StoreError) in
            let batch = try BatchRow(row) { (number) throws(StoreError) in try self.publisher(number) }
            if batch != nil { return true }
            self.note(.row(table: "kept", key: row.uint64(0)))
            return false
        }
    }

    private func scheduled(from: UInt64) throws(StoreError) -> Slice {
        let select = try statements(
            "SELECT record, id, due, topic, seal FROM scheduled WHERE id >= ? ORDER BY id LIMIT ?")
        return try slice(select, keyAt: 1, bodyAt: 0, from: from) { (row) throws(StoreError) in
            guard let event = self.scheduledEvent(row) else { return false }
            try self.checkIndex(event)
            return true
        }
    }

    /// What is due is looked for in an index: a row that isn't in it would wait for ever.
    private func checkIndex(_ event: StoredScheduled) throws(StoreError) {
        let select = try statements("SELECT 1 FROM scheduled INDEXED BY scheduled_by_due WHERE due = ? AND id = ?")
        select.bind(1, event.due)
        select.bind(2, event.number)
        defer { select.reset() }
        if try !select.step() { note(.row(table: "scheduled_by_due", key: event.number)) }
    }

    /// Rows by ascending key. Where several may have the same, at most as many as a slice has, the last of them are looked
    /// at once more with the next slice.
    ///
    /// - Parameter body: the column with the row's body, where it has one: a slice ends by their bytes, too.
    private func slice(
        _ select: SQLStatement, keyAt column: Int32, bodyAt body: Int32? = nil, from: UInt64, isUnique: Bool = true,
        _ isWhole: (SQLStatement) throws(StoreError) -> Bool
    ) throws(StoreError) -> Slice {
        // Keys below 0 are nobody's, and damage.
        select.bind(1, from == 0 ? Int64.min : Int64(clamping: from))
        let countMax = body == nil ? ReaderCore.scrubSlice : ReaderCore.bodySlice.count
        select.bind(2, Int64(countMax))
        defer { select.reset() }
        var (count, rows, bytes, last): (UInt64, Int, Int, Int64) = (0, 0, 0, 0)
        while bytes < ReaderCore.bodySlice.bytes, try select.step() {
            rows += 1
            last = select.int64(column)
            if let body { bytes += select.byteCount(body) }
            if try isWhole(select) { count += 1 }
        }
        guard rows == countMax || bytes >= ReaderCore.bodySlice.bytes else { return (count, nil) }
        let next = UInt64(clamping: last)
        return (count, isUnique || next <= from ? max(next, from) + 1 : next)
    }
}
