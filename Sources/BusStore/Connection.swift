// The two connections, opened and configured by GRDB, checked by reading back what durability stands on.

import GRDB
import GRDBSQLite

/// A connection to the database. What runs on it runs inside `use`, on the calling thread, one at a time.
final class Connection: @unchecked Sendable {
    let queue: DatabaseQueue
    /// SQLite's handle; only inside `use`.
    let handle: OpaquePointer

    private init(_ queue: DatabaseQueue) throws(StoreError) {
        self.queue = queue
        let handle = queue.inDatabase { $0.sqliteConnection }
        guard let handle else { throw .stopped }
        self.handle = handle
    }

    /// The connection that writes and checkpoints. The database is made a write-ahead logging one.
    convenience init(writing path: String) throws(StoreError) {
        var configuration = Connection.configuration
        // GRDB asks for WAL and then sets `synchronous = NORMAL`, which loses rows that were told when power fails.
        configuration.journalMode = .wal
        try self.init(Connection.open(path, configuration))
        try use { () throws(StoreError) in
            for pragma in [
                "synchronous = FULL", "wal_autocheckpoint = 0", "cache_size = -4096",
                // What is removed is zeroed where the page is written anyway; secrets are removed with ON.
                "secure_delete = FAST", "journal_size_limit = -1",
            ] {
                try execute("PRAGMA " + pragma)
            }
            try expect("journal_mode", "wal")
            try expect("synchronous", "2")
        }
    }

    /// A connection that only reads.
    convenience init(reading path: String) throws(StoreError) {
        var configuration = Connection.configuration
        configuration.readonly = true
        try self.init(Connection.open(path, configuration))
        try use { () throws(StoreError) in try execute("PRAGMA cache_size = -2048") }
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.foreignKeysEnabled = false
        // Transactions begin and end with statements of our own.
        configuration.allowsUnsafeTransactions = true
        configuration.prepareDatabase { db in
            // Damage is found where it is met and not where it has spread to; temporary things never touch the disk.
            try db.execute(sql: "PRAGMA cell_size_check = ON; PRAGMA trusted_schema = OFF; PRAGMA temp_store = MEMORY")
        }
        return configuration
    }

    private static func open(_ path: String, _ configuration: Configuration) throws(StoreError) -> DatabaseQueue {
        do { return try DatabaseQueue(path: path, configuration: configuration) } catch {
            throw StoreError(error, doing: "opening " + path)
        }
    }

    /// Runs `body` alone on this connection, on the calling thread.
    func use<R, E: Error>(_ body: () throws(E) -> R) throws(E) -> R {
        // GRDB rethrows untyped; what comes out is what went in.
        let result: Result<R, E> = queue.inDatabase { _ in
            do throws(E) { return .success(try body()) } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Runs `sql`, which gives no rows that anybody wants.
    func execute(_ sql: String) throws(StoreError) { try SQLStatement(handle, sql).run() }

    /// The first column of the first row of `sql`.
    func text(_ sql: String) throws(StoreError) -> String {
        let statement = try SQLStatement(handle, sql)
        return try statement.step() ? statement.text(0) : ""
    }

    /// The first column of the first row of `sql`; 0 without a row.
    func integer(_ sql: String) throws(StoreError) -> Int64 {
        let statement = try SQLStatement(handle, sql)
        return try statement.step() ? statement.int64(0) : 0
    }

    /// Closes it; every statement must be gone.
    func close() throws(StoreError) {
        do { try queue.close() } catch { throw StoreError(error, doing: "closing") }
    }

    /// Closes a database that is to be one file. Closing alone would keep quiet about a log that could not be copied.
    func closeWhole() throws(StoreError) {
        try use { () throws(StoreError) in
            guard try integer("PRAGMA wal_checkpoint(TRUNCATE)") == 0 else { throw StoreError.inUse(path: queue.path) }
        }
        try close()
    }

    private func expect(_ setting: String, _ wanted: String) throws(StoreError) {
        let found = try text("PRAGMA " + setting)
        guard found == wanted else { throw .setting(setting, found: found) }
    }
}

extension StoreError {
    /// What GRDB threw.
    init(_ error: any Error, doing: String) {
        if let error = error as? StoreError {
            self = error
        } else if let error = error as? DatabaseError {
            self = .sqlite(code: error.extendedResultCode.rawValue, message: error.message ?? "", doing: doing)
        } else {
            self = .sqlite(code: SQLITE_ERROR, message: "\(error)", doing: doing)
        }
    }
}
