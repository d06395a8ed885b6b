// Dead letters, the ledger, and events by their id.

import BusWire

extension ReaderCore {
    func deadLetters(
        of subscription: UInt64?, after: UInt64, countMax: Int
    ) throws(StoreError) -> [StoredDeadLetter] {
        let condition = subscription == nil ? "?2 = ?2" : "subscription = ?2"
        let select = try statements(
            "SELECT record, id FROM dead_letters WHERE id > ?1 AND \(condition) ORDER BY id LIMIT ?3")
        select.bind(1, after)
        select.bind(2, subscription ?? 0)
        select.bind(3, Int64(countMax))
        return try letters(select)
    }

    /// Those whose batch may hold the event at a position.
    func deadLetters(near position: UInt64, countMax: Int) throws(StoreError) -> [StoredDeadLetter] {
        let select = try statements(
            "SELECT record, id FROM dead_letters WHERE position > ?1 AND position <= ?2 ORDER BY id LIMIT ?3")
        // The longest batch that can reach it.
        select.bind(1, Int64(clamping: position) - Int64(Limits.batchEventCountMax))
        select.bind(2, position)
        select.bind(3, Int64(countMax))
        return try letters(select)
    }

    /// The rows of a selection of records and ids; damaged ones are noted and left out.
    private func letters(_ select: SQLStatement) throws(StoreError) -> [StoredDeadLetter] {
        var letters: [StoredDeadLetter] = []
        while try select.step() {
            if let letter = try? StoredDeadLetter(record: select.bytes(0)), letter.id == select.uint64(1) {
                letters.append(letter)
            } else {
                let id = select.uint64(1)
                note(.row(table: "dead_letters", key: id), .record(table: .deadLetters, key: id))
            }
        }
        return letters
    }

    func ledger(in range: Range<UInt64>, countMax: Int) throws(StoreError) -> [LedgerEntry] {
        let select = try statements(
            "SELECT record, number FROM ledger WHERE first > ? AND first < ? ORDER BY number")
        defer { select.reset() }
        // The longest entry that can reach into the range.
        select.bind(1, Int64(clamping: range.lowerBound) - Int64(LedgerEntry.countMax))
        select.bind(2, range.upperBound)
        var entries: [LedgerEntry] = []
        // Lines that end before the range don't count.
        while entries.count < countMax, try select.step() {
            guard let entry = try? LedgerEntry(record: select.bytes(0)) else {
                let number = select.uint64(1)
                note(.row(table: "ledger", key: number), .record(table: .ledger, key: number))
                continue
            }
            if entry.first + UInt64(entry.count) > range.lowerBound { entries.append(entry) }
        }
        return entries
    }

    func lostPositions() throws(StoreError) -> [LostPositions] {
        let select = try statements("SELECT record FROM quarantine WHERE tbl = 'positions' ORDER BY key")
        defer { select.reset() }
        var lost: [LostPositions] = []
        while try select.step() {
            if let record = try? LostPositions(record: select.bytes(0)) { lost.append(record) }
        }
        return lost
    }

    // MARK: Events by id

    func places(of id: BusUUID) throws(StoreError) -> [EventPlace] {
        var places: [EventPlace] = []
        // Ids are looked up by publisher, of whom there are few.
        let select = try statements("SELECT id FROM publishers")
        var numbers: [Int64] = []
        while try select.step() { numbers.append(select.int64(0)) }
        for number in numbers {
            guard let publisher = try publisher(number) else { continue }
            for table in ["batches", "kept", "receipts", "explicit_ids"] {
                let found = try self.places(of: id, in: table, number, publisher)
                places += found
                if !found.isEmpty { break }
            }
        }
        return places
    }

    /// How many rows before an id are looked at for others that hold it, too: it was used again. Not tuned.
    private static let againCountMax: Int64 = 16

    private func places(
        of id: BusUUID, in table: String, _ number: Int64, _ publisher: StoredPublisher
    ) throws(StoreError) -> [EventPlace] {
        let isExplicit = table == "explicit_ids"
        let columns = isExplicit ? "id, 1, position + place" : "first_id, count, position"
        let key = isExplicit ? "id" : "first_id"
        let own = table == "batches" || table == "kept" ? "AND flags < \(BatchRow.hasIDsFlag)" : ""
        let select = try statements(
            """
            SELECT \(columns), topic, sequence, accepted FROM \(table)
            WHERE publisher = ? AND \(key) <= ? \(own) ORDER BY \(key) DESC LIMIT ?
            """)
        select.bind(1, number)
        select.bind(2, id)
        select.bind(3, ReaderCore.againCountMax)
        defer { select.reset() }
        var places: [EventPlace] = []
        while try select.step() {
            guard let topic = select.topicID(3), let offset = id.distance(from: select.uuid(0)),
                offset < select.uint64(1)
            else { continue }
            // Columns that no checksum was compared for: numbers below 1 are nobody's, nor are batches as long as this.
            guard select.int64(2) > 0, select.int64(4) > 0, offset < 1 << 32 else {
                note(.row(table: table, key: select.uint64(2)))
                continue
            }
            places.append(
                EventPlace(
                    position: select.uint64(2) + offset, topic: topic, sequence: select.uint64(4) + offset,
                    accepted: select.int64(5), publisher: publisher, isStored: table == "batches" || table == "kept"))
        }
        return places.sorted { $0.position < $1.position }
    }
}
