// Putting aside what a reader found damaged: out of the way of the next reader, and never deleted.

import Glibc

extension WriterCore {
    /// Moves a damaged row to quarantine; what isn't there, or can't be read at all, is only written down.
    func putAside(_ damaged: DamagedRow) throws(StoreError) {
        switch damaged {
        case .batch(let position):
            try writeDown("batches", position, record: nil)
            try tolerating {
                () throws(StoreError) in
                try self.countOut(position)
                try self.move(position, to: "quarantine_batches")
                let delete = try self.statements("DELETE FROM batches WHERE position = ?")
                delete.bind(1, position)
                try delete.run()
            }
        case .record(let table, let key):
            // Tables keyed by bytes keep the row where it is: it is left out whenever they are read.
            guard let column = numericKey(table) else { return }
            try tolerating {
                () throws(StoreError) in
                let select = try self.statements("SELECT record FROM \(table.name) WHERE \(column) = ?")
                select.bind(1, key)
                guard try select.step() else { return }
                let record = select.bytes(0)
                select.reset()
                try self.writeDown(table.name, key, record: record)
                if table == .scheduled { try self.tellSetAside(scheduled: key) }
                let delete = try self.statements("DELETE FROM \(table.name) WHERE \(column) = ?")
                delete.bind(1, key)
                try delete.run()
                self.count(table, by: -delete.changes)
            }
        }
    }

    /// Takes a damaged batch out of its topic's counts, as far as its row can be believed.
    private func countOut(_ position: UInt64) throws(StoreError) {
        let select = try statements(
            "SELECT topic, count, length(body), publisher FROM batches WHERE position = ?")
        select.bind(1, position)
        guard try select.step() else { return }
        let (topicID, count, length) = (select.topicID(0), select.uint64(1), select.uint64(2))
        let publisher = select.int64(3)
        select.reset()
        try giveBack(publisher: publisher, length)
        guard let id = topicID, let entry = try topic(id) else { return }
        entry.row.topic.lost(events: count, bytes: length)
        markDirty(entry)
    }

    private func writeDown(_ table: String, _ key: UInt64, record: [UInt8]?) throws(StoreError) {
        let insert = try statements("INSERT OR IGNORE INTO quarantine (tbl, key, found, record) VALUES (?, ?, ?, ?)")
        insert.bind(1, table)
        insert.bind(2, key)
        insert.bind(3, Int64(time(nil)))
        if let record { insert.bind(4, record) } else { insert.bind(4, nil as Int64?) }
        try insert.run()
    }

    /// What can't be reached because the table itself is damaged stays where it is.
    private func tolerating(_ body: () throws(StoreError) -> Void) throws(StoreError) {
        do throws(StoreError) { try body() } catch { guard error.isCorruption else { throw error } }
    }

    private func numericKey(_ table: RecordTable) -> String? {
        switch table {
        case .topics, .subscriptions, .cursors, .deadLetters, .usage, .scheduled: "id"
        case .seals, .ledger: "number"
        default: nil
        }
    }
}
