// Which ids are known, and with which receipt. A batch that is there answers for its ids through an index; what is
// removed while its duplicates may still come leaves a line in `receipts`. So storing costs no row for this. An id is known
// on its topic: on another one, of the same name even, the same id is another event's.

import BusWire

extension WriterCore {
    /// Bytes of batches, or of events that wait, after which no more are looked at, where something was found. Not tuned.
    static let lookUpLengthMax = 4 << 20

    /// The runs of `asked` that are known of `publisher` on a topic, each with its first receipt.
    ///
    /// A batch is read whole before it answers for its ids, and everybody's writes wait meanwhile: of more than some
    /// megabytes the first are told. A publish of which some is known isn't taken, and says what is; the rest is asked for
    /// anew.
    func known(
        _ asked: [EventIDs], of publisher: StoredPublisher, on topic: TopicID, _ includesWaiting: Bool
    ) throws(StoreError) -> [KnownIDs] {
        var found = includesWaiting ? try waiting(asked, of: publisher.uid, on: topic) : []
        guard let number = try findNumber(of: publisher) else { return found }
        var bytes = 0
        for ids in asked {
            var index: UInt32 = 0
            while index < ids.count, bytes < WriterCore.lookUpLengthMax || found.isEmpty,
                let id = ids.first.advanced(by: UInt64(index))
            {
                guard let run = try run(of: id, atMost: ids.count - index, on: topic, publisher: number, &bytes) else {
                    // Neighbours of an unknown id are looked at too, but not one by one through a large gap.
                    guard let last = ids.first.advanced(by: UInt64(ids.count - 1)),
                        let next = try nextKnown(after: id, through: last, on: topic, publisher: number),
                        let distance = next.distance(from: ids.first)
                    else { break }
                    index = UInt32(distance)
                    continue
                }
                found.append(run)
                index += run.ids.count
            }
        }
        return found
    }

    /// The run of known ids that begins with `id`; nil if it isn't known.
    ///
    /// - Parameter bytes: of bodies read for it, added.
    private func run(
        of id: BusUUID, atMost count: UInt32, on topic: TopicID, publisher: Int64, _ bytes: inout Int
    ) throws(StoreError) -> KnownIDs? {
        for table in ["batches", "receipts"] {
            let select = try statements(
                """
                SELECT publisher, first_id, position, count, topic, sequence, accepted, sum FROM \(table)
                WHERE publisher = ? AND first_id >= ? AND first_id <= ? AND topic = ? \(counting(table))
                ORDER BY first_id DESC LIMIT 1
                """)
            select.bind(1, publisher)
            // No batch that has it begins before: what others hold of the same ids is walked over, and no more.
            select.bind(2, id.receded(by: UInt64(Limits.batchEventCountMax - 1)))
            select.bind(3, id)
            select.bind(4, topic.rawValue)
            defer { select.reset() }
            guard try select.step() else { continue }
            let receipt = ReceiptRow(select)
            guard let offset = id.distance(from: receipt.id), offset < receipt.count else { continue }
            // Somebody is told that an event was stored: by a row that is whole, or not at all.
            guard try table == "batches" ? isWhole(batch: receipt.position, &bytes) : receipt.isWhole else { continue }
            let length = UInt32(min(UInt64(count), receipt.count - offset))
            return KnownIDs(
                ids: EventIDs(first: id, count: length), topic: topic, firstSequence: receipt.sequence + offset,
                accepted: receipt.accepted)
        }
        let select = try statements(
            """
            SELECT publisher, id, position, place, topic, sequence, accepted, sum FROM explicit_ids
            WHERE publisher = ? AND id = ? AND topic = ?
            """)
        select.bind(1, publisher)
        select.bind(2, id)
        select.bind(3, topic.rawValue)
        defer { select.reset() }
        guard try select.step() else { return nil }
        let receipt = ReceiptRow(select)
        guard receipt.isWhole else { return nil }
        return KnownIDs(
            ids: EventIDs(first: id, count: 1), topic: topic, firstSequence: receipt.sequence,
            accepted: receipt.accepted)
    }

    /// Leaves out rows whose events have ids of their own: they say nothing by their first. In a table of batches it is the
    /// index's condition, word for word, or SQLite would look at all of them.
    private func counting(_ table: String) -> String {
        switch table {
        case "batches": "AND flags < \(BatchRow.hasIDsFlag)"
        case "receipts": "AND first_id <> zeroblob(16)"
        default: ""
        }
    }

    private func isWhole(batch position: UInt64, _ bytes: inout Int) throws(StoreError) -> Bool {
        let select = try statements("SELECT \(Schema.batchColumns) FROM batches WHERE position = ?")
        select.bind(1, position)
        defer { select.reset() }
        guard try select.step() else { return false }
        let row = try BatchRow(select) { (number) throws(StoreError) in try self.publisher(number) }
        bytes += row?.batch.body.count ?? 0
        return row != nil
    }

    func publisher(_ number: Int64) throws(StoreError) -> StoredPublisher? {
        let select = try statements("SELECT uid, unit FROM publishers WHERE id = ?")
        select.bind(1, number)
        defer { select.reset() }
        guard try select.step(), let uid = UInt32(exactly: select.int64(0)) else { return nil }
        return StoredPublisher(uid: uid, unit: select.bytes(1))
    }

    private func nextKnown(
        after id: BusUUID, through last: BusUUID, on topic: TopicID, publisher: Int64
    ) throws(StoreError) -> BusUUID? {
        var next: BusUUID?
        for (table, column) in [("batches", "first_id"), ("receipts", "first_id"), ("explicit_ids", "id")] {
            let select = try statements(
                """
                SELECT \(column) FROM \(table)
                WHERE publisher = ? AND \(column) > ? AND \(column) <= ? AND topic = ? \(counting(table))
                ORDER BY \(column) LIMIT 1
                """)
            select.bind(1, publisher)
            select.bind(2, id)
            select.bind(3, last)
            select.bind(4, topic.rawValue)
            defer { select.reset() }
            guard try select.step() else { continue }
            let found = select.uuid(0)
            next = min(next ?? found, found)
        }
        return next
    }

    // MARK: Ids of their own, and receipts

    func insertIDs(_ ids: [BusUUID], of batch: StoredBatch, publisher: Int64) throws(StoreError) {
        let insert = try statements("INSERT OR REPLACE INTO explicit_ids VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        for (place, id) in ids.enumerated() {
            let row = ReceiptRow(
                publisher: publisher, id: id, position: batch.position, count: UInt64(place),
                topic: batch.topic.rawValue, sequence: batch.firstSequence + UInt64(place), accepted: batch.accepted)
            row.bind(to: insert)
            try insert.run()
        }
    }

    func removeIDs(of position: UInt64) throws(StoreError) {
        let delete = try statements("DELETE FROM explicit_ids WHERE position = ?")
        delete.bind(1, position)
        try delete.run()
    }

    func insertReceipt(_ batch: BatchOutline, topic: TopicID) throws(StoreError) {
        let insert = try statements("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?, ?, ?, ?, ?, ?)")
        // One with ids of its own is found by them; the row is there so that they are forgotten in time.
        let row = ReceiptRow(
            publisher: batch.publisher, id: batch.hasIDs ? .zero : batch.firstID, position: batch.position,
            count: batch.count, topic: topic.rawValue, sequence: batch.sequence, accepted: batch.accepted)
        row.bind(to: insert)
        try insert.run()
    }

    /// Forgets some receipts of before `time`, with the ids that are rows of their own; whether there may be more. They lie in
    /// the order of positions, in which times hardly ever go back.
    func trimReceipts(before time: Int64, atMost rowsMax: Int) throws(StoreError) -> Bool {
        let select = try statements(
            "SELECT position, accepted, first_id = zeroblob(16), count FROM receipts ORDER BY position LIMIT ?")
        select.bind(1, Int64(rowsMax))
        var through: UInt64?
        var (withIDs, rows): ([UInt64], UInt64) = ([], 0)
        while rows < rowsMax, try select.step(), select.int64(1) < time {
            rows += 1
            through = select.uint64(0)
            guard select.int64(2) != 0 else { continue }
            withIDs.append(select.uint64(0))
            rows += min(select.uint64(3), UInt64(Limits.batchEventCountMax))
        }
        select.reset()
        guard let through else { return false }
        for position in withIDs { try removeIDs(of: position) }
        let delete = try statements("DELETE FROM receipts WHERE position <= ?")
        delete.bind(1, through)
        try delete.run()
        return rows >= rowsMax
    }
}

extension BusUUID {
    /// How far this id is behind `first` when counting up from it; nil if it isn't within 2^32 of it.
    func distance(from first: BusUUID) -> UInt64? {
        let distance = (low &- first.low) & (1 << 62 - 1)
        return distance < 1 << 32 && first.advanced(by: distance) == self ? distance : nil
    }
}
