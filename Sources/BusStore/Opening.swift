// Opening a store: is it ours, is it whole, what was lost.
//
// Nothing is changed before it is known that this is a store of ours and of a version this program knows. The reading
// connection comes first for that reason: it can't write, so the files can still be copied as they were found when the
// head file tells that commits are gone. Nothing here looks at all rows.

import BusWire
import CLinux
import GRDB
import GRDBSQLite
import Glibc

/// A store opened, before its threads start.
struct OpenedStore: ~Copyable {
    let lock: DirectoryLock
    let reader: ReaderCore
    let writer: WriterCore
    let report: OpeningReport
    let incarnation: BusUUID
}

/// The lock on the state directory: one process at a time. Held as long as the descriptor is open.
final class DirectoryLock: @unchecked Sendable {
    private var descriptor: Int32

    init(_ path: String) throws(StoreError) {
        descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .directory(path: path, errno: errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_uid == geteuid() || geteuid() == 0 else {
            close(descriptor)
            throw .directory(path: path, errno: EPERM)
        }
        guard linux_lock(descriptor) == 0 else {
            close(descriptor)
            throw .inUse(path: path)
        }
    }

    deinit { release() }

    /// Lets another process have the directory.
    func release() {
        guard descriptor >= 0 else { return }
        _ = linux_unlock(descriptor)
        close(descriptor)
        descriptor = -1
    }

    /// Makes what was created, renamed or removed in the directory durable.
    func sync() throws(StoreError) {
        guard fsync(descriptor) == 0 else { throw .file(path: ".", errno: errno, doing: "syncing") }
    }
}

/// The steps of opening.
struct Opening {
    let options: StoreOptions
    let schema: Schema
    private var damage: [StoreDamage] = []

    init(_ options: StoreOptions, schema: Schema) {
        self.options = options
        self.schema = schema
    }

    /// Opens the store, or makes it.
    mutating func run() throws(StoreError) -> OpenedStore {
        let lock = try DirectoryLock(options.directory)
        let isNew = try !exists(options.databasePath)
        if isNew {
            guard options.createsIfMissing, try !exists(options.headPath), try !exists(options.walPath) else {
                throw .databaseMissing(path: options.databasePath)
            }
            try Creation(options: options, schema: schema).run(lock)
        }
        try checkFile()
        let head = try HeadFile(options.headPath)
        let readerConnection = try Connection(reading: options.databasePath)
        let reader = ReaderCore(readerConnection)
        let writer = try readerConnection.use { () throws(StoreError) in try look(reader, head) }
        return try finish(lock, reader, writer, head, isNew: isNew)
    }

    // MARK: Is it ours

    private func exists(_ path: String) throws(StoreError) -> Bool {
        if access(path, F_OK) == 0 { return true }
        guard errno == ENOENT else { throw .file(path: path, errno: errno, doing: "looking for") }
        return false
    }

    /// Looks at the file's own header, before SQLite does.
    private func checkFile() throws(StoreError) {
        let path = options.databasePath
        let file = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { throw .file(path: path, errno: errno, doing: "opening") }
        // SQLite has no lock on it yet that closing could drop.
        defer { close(file) }
        var header = [UInt8](repeating: 0, count: 100)
        guard pread(file, &header, 100, 0) == 100, header.starts(with: Array("SQLite format 3".utf8) + [0]) else {
            throw .notAStore(path: path, found: "a file that isn't an SQLite database")
        }
        let id = header[68..<72].reduce(Int32(0)) { $0 << 8 | Int32($1) }
        guard id == Schema.applicationID else { throw .notAStore(path: path, found: "another program's database") }
    }

    // MARK: Is it whole

    /// What the reader sees, compared with the head; the writer, opened, when all that was told is there or its loss
    /// is known.
    private mutating func look(
        _ reader: ReaderCore, _ head: HeadFile
    ) throws(StoreError) -> (connection: Connection, meta: StoreMeta) {
        let version = Int(try reader.connection.integer("PRAGMA user_version"))
        guard version <= schema.version else { throw .newerSchema(found: version, supported: schema.version) }
        let last = head.read()
        var meta = try readMeta(reader, last)
        // A database whose making was interrupted has no head yet, and nothing in it that could be gone.
        if last == nil, meta.commit > 0 || !head.isBlank { damage.append(.headUnreadable) }
        if let last {
            guard last.incarnation == meta.incarnation else { throw .foreignHead(path: options.headPath) }
            if last.commit > meta.commit { try keepCopies(of: meta, last) }
        }
        let connection = try Connection(writing: options.databasePath)
        if let last, last.commit > meta.commit {
            try connection.use { () throws(StoreError) in try skip(&meta, to: last, on: connection) }
        }
        return (connection, meta)
    }

    private mutating func readMeta(_ reader: ReaderCore, _ head: Head?) throws(StoreError) -> StoreMeta {
        if let meta = try reader.meta() { return meta }
        guard let head else { throw .damaged("neither its own account nor the head file can be read") }
        // The head says where to go on; what else the account said is counted again.
        damage.append(.row(table: "meta", key: 1))
        var meta = StoreMeta(incarnation: head.incarnation)
        (meta.commit, meta.nextPosition) = (head.commit, head.nextPosition)
        // A head that is behind, of a process that went before it wrote it, mustn't have positions given again.
        for table in ["batches", "kept", "receipts"] {
            let end = try reader.connection.integer(
                "SELECT position + count FROM \(table) ORDER BY position DESC LIMIT 1")
            meta.nextPosition = max(meta.nextPosition, UInt64(clamping: end))
        }
        for (index, table) in StoreMeta.counted.enumerated() {
            // Of a version that hasn't got the table yet there is nothing to count.
            let found = "SELECT count(*) FROM sqlite_master WHERE type = 'table' AND name = '\(table.name)'"
            guard try reader.connection.integer(found) == 1 else { continue }
            meta.rowCounts[index] = UInt64(try reader.connection.integer("SELECT count(*) FROM \(table.name)"))
        }
        return meta
    }

    // MARK: What was lost

    /// Copies the files as they were found; nothing has written to them yet.
    private mutating func keepCopies(of meta: StoreMeta, _ head: Head) throws(StoreError) {
        let copies = options.directory + "/damaged-\(meta.commit)-\(head.commit)"
        guard mkdir(copies, 0o700) == 0 || errno == EEXIST else {
            throw .file(path: copies, errno: errno, doing: "making")
        }
        for (from, name) in [
            (options.databasePath, "store.db"), (options.walPath, "store.db-wal"), (options.headPath, "store.head"),
        ] where try exists(from) {
            try copyFile(from, to: copies + "/" + name)
        }
        damage.append(
            .behindHead(
                commit: meta.commit, headCommit: head.commit,
                lostPositions: meta.nextPosition..<max(meta.nextPosition, head.nextPosition), copies: copies))
    }

    /// Goes on behind everything that was told, so that no position and no sequence is given twice. How many of the
    /// lost positions were on which topic is gone with them: each topic skips them all.
    private func skip(_ meta: inout StoreMeta, to head: Head, on connection: Connection) throws(StoreError) {
        let lost = max(head.nextPosition, meta.nextPosition) - meta.nextPosition
        let positions = meta.nextPosition..<meta.nextPosition + lost
        meta.nextPosition += lost
        meta.commit = head.commit
        try connection.execute("BEGIN IMMEDIATE")
        let select = try SQLStatement(connection.handle, "SELECT record FROM topics")
        let update = try SQLStatement(connection.handle, "UPDATE topics SET record = ? WHERE id = ?")
        var rows: [TopicRow] = []
        while try select.step() {
            if let row = try? TopicRow(record: select.bytes(0)) { rows.append(row) }
        }
        for var row in rows {
            row.topic.lastSequence += lost
            update.bind(1, row.record)
            update.bind(2, row.topic.id.rawValue)
            try update.run()
        }
        let lastTopic = rows.map(\.topic.id.rawValue).max() ?? 0
        try remember(LostPositions(positions: positions, lastTopic: TopicID(rawValue: lastTopic)), on: connection)
        let putMeta = try SQLStatement(connection.handle, "UPDATE meta SET record = ? WHERE id = 1")
        putMeta.bind(1, meta.record)
        try putMeta.run()
        try connection.execute("COMMIT")
    }

    /// Whoever reads over them is to be told, also by a daemon that begins later.
    private func remember(_ lost: LostPositions, on connection: Connection) throws(StoreError) {
        guard !lost.positions.isEmpty else { return }
        let insert = try SQLStatement(
            connection.handle,
            "INSERT OR IGNORE INTO quarantine (tbl, key, found, record) VALUES ('positions', ?, ?, ?)")
        insert.bind(1, lost.positions.lowerBound)
        insert.bind(2, Int64(time(nil)))
        insert.bind(3, lost.record)
        try insert.run()
    }

    // MARK: Ready

    private mutating func finish(
        _ lock: DirectoryLock, _ reader: ReaderCore, _ opened: (connection: Connection, meta: StoreMeta),
        _ head: HeadFile, isNew: Bool
    ) throws(StoreError) -> OpenedStore {
        let (connection, meta) = opened
        var meta2 = meta
        try Migration(options: options, schema: schema).run(connection, &meta2, lock)
        reserveLog()
        var tail = TailCheck()
        let readerResult = try reader.connection.use { () throws(StoreError) in
            try reader.transaction { (reader) throws(StoreError) in try tail.run(reader, meta2) }
        }
        let (found, rows) = readerResult
        damage += found
        let (core, committed) = try connection.use { () throws(StoreError) in
            let core = try WriterCore(
                connection: connection, options: options, head: head, meta: meta2, removals: tail.removals)
            return (core, try core.transact(rows.map(SubmittedWrite.putAside), from: 1))
        }
        damage += committed.damage
        let report = OpeningReport(
            isNew: isNew, nextPosition: core.meta.nextPosition, commit: core.meta.commit,
            bytesUsed: core.space.bytesUsed, tailChecked: tail.checked, damage: damage)
        return OpenedStore(
            lock: lock, reader: reader, writer: core, report: report, incarnation: meta2.incarnation)
    }

    /// Takes the log's space now, beyond its end: a full disk is then no reason why what makes room can't be written.
    private func reserveLog() {
        let file = open(options.walPath, O_RDWR | O_CLOEXEC | O_NOFOLLOW)
        guard file >= 0 else { return }
        defer { close(file) }
        // Where the file system can't, the ballast alone has to do.
        _ = linux_reserve(file, Int64(2 * options.checkpointBytes))
    }
}

/// Copies a file and syncs the copy.
func copyFile(_ from: String, to: String) throws(StoreError) {
    let source = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
    guard source >= 0 else { throw .file(path: from, errno: errno, doing: "opening") }
    defer { close(source) }
    let target = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0o600)
    guard target >= 0 else { throw .file(path: to, errno: errno, doing: "making") }
    defer { close(target) }
    var buffer = [UInt8](repeating: 0, count: 1 << 18)
    while true {
        let count = read(source, &buffer, buffer.count)
        guard count >= 0 else { throw .file(path: from, errno: errno, doing: "reading") }
        if count == 0 { break }
        guard write(target, buffer, count) == count else { throw .file(path: to, errno: errno, doing: "writing") }
    }
    guard fsync(target) == 0 else { throw .file(path: to, errno: errno, doing: "syncing") }
}
