// What the ledger says of an event goes with the event: with its batch when that is removed, or when what kept it, a
// last value or a dead letter, no longer does. So nothing that stays, however old, keeps the lines of what is gone.

import BusWire

extension WriterCore {
    func put(_ entry: LedgerEntry) throws(StoreError) {
        let insert = try statements("INSERT INTO ledger (first, record) VALUES (?, ?)")
        insert.bind(1, entry.first)
        insert.bind(2, entry.record)
        try insert.run()
    }

    /// Removes some lines that begin before a position, but for those of events that are kept: what was written of an event
    /// after its batch had gone. Whether there may be more.
    func trimLedger(before position: UInt64, atMost count: Int) throws(StoreError) -> Bool {
        let delete = try statements(
            """
            DELETE FROM ledger WHERE number IN (
              SELECT number FROM ledger WHERE first < ? AND first >= coalesce(
                (SELECT position + count FROM kept WHERE position <= ledger.first ORDER BY position DESC LIMIT 1), 0)
              LIMIT ?)
            """)
        delete.bind(1, position)
        delete.bind(2, Int64(count))
        try delete.run()
        return delete.changes == count
    }

    /// A batch is gone: so are the lines that begin in it. One that reaches beyond it goes on with the first event behind
    /// it that is there.
    func forgetLedger(of batch: Range<UInt64>) throws(StoreError) {
        var lines: [(number: UInt64, entry: LedgerEntry)] = []
        let select = try statements("SELECT number, record FROM ledger WHERE first >= ? AND first < ?")
        select.bind(1, batch.lowerBound)
        select.bind(2, batch.upperBound)
        while try select.step() {
            // One that is damaged is found and put aside by who reads it.
            if let entry = try? LedgerEntry(record: select.bytes(1)) { lines.append((select.uint64(0), entry)) }
        }
        guard !lines.isEmpty else { return }
        var next: UInt64?
        for (number, entry) in lines {
            let end = entry.first + UInt64(entry.count)
            if end > batch.upperBound, next == nil { next = try firstStored(from: batch.upperBound) }
            guard end > batch.upperBound, let next, next < end else {
                let delete = try statements("DELETE FROM ledger WHERE number = ?")
                delete.bind(1, number)
                try delete.run()
                continue
            }
            var rest = entry
            (rest.first, rest.count) = (next, UInt32(end - next))
            let update = try statements("UPDATE ledger SET first = ?, record = ? WHERE number = ?")
            update.bind(1, rest.first)
            update.bind(2, rest.record)
            update.bind(3, number)
            try update.run()
        }
    }

    /// Where the first batch begins that is there at or behind a position; beyond all positions if there is none.
    private func firstStored(from position: UInt64) throws(StoreError) -> UInt64 {
        var first = UInt64(Int64.max)
        for table in ["batches", "kept"] {
            let select = try statements(
                "SELECT position FROM \(table) WHERE position >= ? ORDER BY position LIMIT 1")
            select.bind(1, position)
            defer { select.reset() }
            if try select.step() { first = min(first, select.uint64(0)) }
        }
        return first
    }
}
