// What each user's batches hold in the store, in bytes of their bodies. Kept in the commits that change it, so that it is
// exact after a crash and nothing is counted at start. What is removed but kept for a dead letter or as a last value goes
// on counting until it goes; what was put aside as damaged doesn't.

import BusWire

extension WriterCore {
    /// A user has a batch more.
    func charge(_ uid: UInt32, _ bytes: UInt64) throws(StoreError) {
        let entry = try usage(of: uid)
        entry.row.batchCount += 1
        entry.row.byteCount += bytes
        markDirty(entry)
    }

    /// The user a publisher's number stands for has a batch less.
    func giveBack(publisher number: Int64, _ bytes: UInt64) throws(StoreError) {
        guard let uid = try uid(of: number) else { return }
        let entry = try usage(of: uid)
        // A count that damage made too small ends at none.
        entry.row.batchCount -= min(1, entry.row.batchCount)
        entry.row.byteCount -= min(bytes, entry.row.byteCount)
        markDirty(entry)
    }

    /// Writes down what changed, and tells it.
    func writeUsages() throws(StoreError) {
        for entry in dirtyUsages {
            entry.isDirty = false
            let row = entry.row
            answers.usage.append(StoredUsage(uid: row.uid, byteCount: row.byteCount))
            if row.batchCount == 0 {
                try remove(.usage) { $0.bind(1, Int64(row.uid)) }
                usages[row.uid] = nil
            } else {
                try put(row) { $0.bind($1, Int64(row.uid)) }
            }
        }
        dirtyUsages.removeAll(keepingCapacity: true)
        if usages.count > WriterCore.cacheMax { usages.removeAll(keepingCapacity: true) }
        if uids.count > WriterCore.cacheMax { uids.removeAll(keepingCapacity: true) }
    }

    private func markDirty(_ entry: UsageEntry) {
        guard !entry.isDirty else { return }
        entry.isDirty = true
        dirtyUsages.append(entry)
    }

    private func usage(of uid: UInt32) throws(StoreError) -> UsageEntry {
        if let known = usages[uid] { return known }
        let select = try statements("SELECT record FROM usage WHERE id = ?")
        select.bind(1, Int64(uid))
        defer { select.reset() }
        var row = UsageRow(uid: uid)
        if try select.step(), let found = try? UsageRow(record: select.bytes(0)), found.uid == uid { row = found }
        let entry = UsageEntry(row)
        usages[uid] = entry
        return entry
    }

    private func uid(of number: Int64) throws(StoreError) -> UInt32? {
        if let known = uids[number] { return known }
        guard let uid = try publisher(number)?.uid else { return nil }
        uids[number] = uid
        return uid
    }
}

/// A user's row in the writer's memory.
final class UsageEntry {
    var row: UsageRow
    var isDirty = false

    init(_ row: UsageRow) { self.row = row }
}

/// What one user's batches hold.
struct UsageRow: Equatable {
    let uid: UInt32
    var batchCount: UInt64 = 0
    var byteCount: UInt64 = 0
}

extension UsageRow: Recorded {
    static var table: RecordTable { .usage }

    func encode(into record: inout RecordWriter) {
        record.put(uid)
        record.put(batchCount)
        record.put(byteCount)
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        uid = try record.integer()
        batchCount = try record.integer()
        byteCount = try record.integer()
    }

    /// Counts what is there, for a store of before anybody did. All rows are looked at, which takes as long as copying
    /// them did a moment ago.
    static func fill(_ connection: Connection) throws(StoreError) {
        let select = try SQLStatement(
            connection.handle,
            """
            SELECT uid, count(*), sum(length) FROM
              (SELECT publisher, length(body) AS length FROM batches
               UNION ALL SELECT publisher, length(body) FROM kept)
            JOIN publishers ON id = publisher GROUP BY uid
            """)
        let insert = try SQLStatement(connection.handle, "INSERT INTO usage (id, record) VALUES (?, ?)")
        do throws(StoreError) {
            while try select.step() {
                guard let uid = UInt32(exactly: select.int64(0)) else { continue }
                insert.bind(1, Int64(uid))
                insert.bind(2, UsageRow(uid: uid, batchCount: select.uint64(1), byteCount: select.uint64(2)).record)
                try insert.run()
            }
        } catch {
            // Damage is found and told where batches are read. Too little counted refuses nobody.
            guard error.isCorruption else { throw error }
        }
    }
}
