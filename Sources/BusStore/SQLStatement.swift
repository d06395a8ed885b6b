// One prepared statement, on SQLite's own interface.
//
// GRDB opens, configures, copies and closes the connections. What runs for every batch goes past it, on its
// `sqliteConnection`: GRDB takes arguments as an array of values and blobs as `Data`, which is an allocation for each,
// and here a batch's bytes are bound and read where they are. Confined to whoever holds the connection.

import BusWire
import GRDBSQLite

/// A statement prepared once and run many times.
final class SQLStatement {
    /// nil once finalized, which SQLite answers with an error.
    private var handle: OpaquePointer?
    private let connection: OpaquePointer
    private let sql: String

    /// Prepares `sql` for many runs.
    init(_ connection: OpaquePointer, _ sql: String) throws(StoreError) {
        var handle: OpaquePointer?
        let code = sqlite3_prepare_v3(connection, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &handle, nil)
        guard code == SQLITE_OK, let handle else { throw StoreError(connection, code, doing: sql) }
        self.handle = handle
        self.connection = connection
        self.sql = sql
    }

    deinit { finalize() }

    /// Lets go of the connection, which can't be closed before.
    func finalize() {
        sqlite3_finalize(handle)
        handle = nil
    }

    // MARK: Binding. Places count from 1, as in SQL.

    func bind(_ place: Int32, _ value: Int64) { sqlite3_bind_int64(handle, place, value) }

    /// Binds the number's bits: numbers that SQL compares are below 2^63.
    func bind(_ place: Int32, _ value: UInt64) { sqlite3_bind_int64(handle, place, Int64(bitPattern: value)) }

    func bind(_ place: Int32, _ text: String) {
        sqlite3_bind_text(handle, place, text, -1, copied)
    }

    func bind(_ place: Int32, _ value: Int64?) {
        if let value { bind(place, value) } else { sqlite3_bind_null(handle, place) }
    }

    /// Binds a copy of `bytes`.
    func bind(_ place: Int32, _ bytes: [UInt8]) {
        // A blob of no bytes needs a place that isn't nil, else it is NULL.
        bytes.withUnsafeBytes {
            _ = sqlite3_bind_blob(handle, place, $0.baseAddress ?? emptyBlob, Int32($0.count), copied)
        }
    }

    /// Binds `bytes` where they are: they must stay there until the statement is reset.
    func bind(_ place: Int32, inPlace bytes: UnsafeRawBufferPointer) {
        sqlite3_bind_blob(handle, place, bytes.baseAddress ?? emptyBlob, Int32(bytes.count), nil)
    }

    func bind(_ place: Int32, _ id: BusUUID) {
        withUnsafeBytes(of: (id.high.bigEndian, id.low.bigEndian)) {
            _ = sqlite3_bind_blob(handle, place, $0.baseAddress, 16, copied)
        }
    }

    // MARK: Running

    /// Goes to the next row; false when there is none, and the statement is reset then.
    func step() throws(StoreError) -> Bool {
        let code = sqlite3_step(handle)
        switch code {
        case SQLITE_ROW: return true
        case SQLITE_DONE:
            sqlite3_reset(handle)
            return false
        default:
            // The error must be read before the reset, which may change it.
            let error = StoreError(connection, code, doing: sql)
            sqlite3_reset(handle)
            throw error
        }
    }

    /// Runs it to its end, whatever rows it gives.
    func run() throws(StoreError) {
        while try step() {}
    }

    /// Ends a run before its last row.
    func reset() { sqlite3_reset(handle) }

    /// How many rows the last run changed.
    var changes: Int { Int(sqlite3_changes(connection)) }

    // MARK: Columns of the current row, counted from 0

    func int64(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    /// How long a blob is, or a text.
    func byteCount(_ column: Int32) -> Int { Int(sqlite3_column_bytes(handle, column)) }

    func uint64(_ column: Int32) -> UInt64 { UInt64(bitPattern: sqlite3_column_int64(handle, column)) }

    func optionalInt64(_ column: Int32) -> Int64? {
        sqlite3_column_type(handle, column) == SQLITE_NULL ? nil : int64(column)
    }

    func text(_ column: Int32) -> String {
        sqlite3_column_text(handle, column).map { String(cString: $0) } ?? ""
    }

    /// The column's bytes, valid until the next step.
    func withBlob<R>(_ column: Int32, _ body: (UnsafeRawBufferPointer) -> R) -> R {
        let count = Int(sqlite3_column_bytes(handle, column))
        return body(UnsafeRawBufferPointer(start: sqlite3_column_blob(handle, column), count: count))
    }

    func bytes(_ column: Int32) -> [UInt8] { withBlob(column) { [UInt8]($0) } }

    func sharedBytes(_ column: Int32) -> SharedBytes { withBlob(column) { SharedBytes(copying: $0) } }

    /// The id in this column; zero if there are not 16 bytes, which a checksum will notice.
    func uuid(_ column: Int32) -> BusUUID {
        withBlob(column) { bytes in
            guard bytes.count == 16 else { return .zero }
            let high = bytes.loadUnaligned(fromByteOffset: 0, as: UInt64.self)
            let low = bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
            return BusUUID(high: UInt64(bigEndian: high), low: UInt64(bigEndian: low))
        }
    }
}

extension StoreError {
    /// What `connection` says about `code`.
    init(_ connection: OpaquePointer, _ code: Int32, doing: String) {
        let extended = sqlite3_extended_errcode(connection)
        let exact = extended & 0xff == code & 0xff ? extended : code
        self = .sqlite(code: exact, message: String(cString: sqlite3_errmsg(connection)), doing: doing)
    }

    /// Whether SQLite ran out of space: its bound's or the file system's.
    var isFull: Bool { hasCode(SQLITE_FULL) }

    /// Whether the database can't be read as what it should be.
    var isCorruption: Bool {
        hasCode(SQLITE_CORRUPT) || hasCode(SQLITE_NOTADB)
    }

    private func hasCode(_ wanted: Int32) -> Bool {
        if case .sqlite(let code, _, _) = self { code & 0xff == wanted } else { false }
    }

    /// Whether another connection stands in the way for the moment.
    var isBusy: Bool {
        hasCode(SQLITE_BUSY) || hasCode(SQLITE_LOCKED)
    }
}

/// SQLITE_TRANSIENT, a macro that Swift doesn't see: the bytes are copied at once.
private let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)

/// A place for blobs of no bytes. Never read and never freed.
nonisolated(unsafe) private let emptyBlob =
    UnsafeRawPointer(UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1))
