// The whole check, in slices: every batch with its checksum, its place in its topic's chain and in the index, then
// every record of the other tables.

extension ReaderCore {
    /// The place at which batches are done and the other tables' turn comes; behind every position.
    private static let recordsPlace = UInt64(Int64.max)

    /// Looks at what is at `place`, and says where to go on.
    func scrub(from place: UInt64) throws(StoreError) -> ScrubReport {
        var report = ScrubReport()
        if place < ReaderCore.recordsPlace {
            let page = try page(
                place..<ReaderCore.recordsPlace, topics: nil, limit: PageLimit(count: 256, bytes: 1 << 20))
            report.batches = UInt64(page.batches.count)
            for batch in page.batches { try checkIndex(batch) }
            report.next = page.isComplete ? ReaderCore.recordsPlace : page.next
        } else {
            report.records = try scrubRecords()
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

    private func scrubRecords() throws(StoreError) -> UInt64 {
        var count: UInt64 = 0
        try records(TopicRow.self) { _ in count += 1 }
        try records(SealRow.self, key: "number") { _ in count += 1 }
        try records(StoredDeclaration.self, key: "0") { _ in count += 1 }
        try records(SubscriptionRow.self) { _ in count += 1 }
        try records(CursorRow.self) { _ in count += 1 }
        try records(StoredDeadLetter.self) { _ in count += 1 }
        try records(LedgerEntry.self, key: "number") { _ in count += 1 }
        try records(StoredSecret.self, key: "epoch") { _ in count += 1 }
        count += try scrubScheduled()
        for (table, place) in [("receipts", "count"), ("explicit_ids", "place")] {
            let key = table == "receipts" ? "first_id" : "id"
            let select = try statements(
                "SELECT publisher, \(key), position, \(place), topic, sequence, accepted, sum FROM \(table)")
            while try select.step() {
                count += 1
                if !ReceiptRow(select).isWhole { note(.row(table: table, key: select.uint64(2))) }
            }
        }
        let kept = try statements("SELECT \(Schema.batchColumns) FROM kept")
        while try kept.step() {
            count += 1
            let row = try BatchRow(kept) { (number) throws(StoreError) in try self.publisher(number) }
            if row == nil { note(.row(table: "kept", key: kept.uint64(0))) }
        }
        return count
    }
}
