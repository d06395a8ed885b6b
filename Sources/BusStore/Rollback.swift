// Back to the copy that was made before a migration, for a program that knows no newer schema; and a backup put where
// a store should be. Both work on a store that nobody has open.

import BusWire
import CLinux
import Glibc

/// What going back cost.
public struct RollbackReport: Sendable, Equatable {
    /// Events stored since the copy was made, which are not in it.
    public var lostEvents: UInt64
    /// Where the database lies that was gone back from.
    public var putAside: String
}

extension Store {
    /// The newest schema this program knows.
    public static var schemaVersion: Int { Schema.current.version }

    /// Replaces the database in `options.directory` with the copy of before it had more than `version`. Blocks.
    public static func rollback(_ options: StoreOptions, to version: Int) throws(StoreError) -> RollbackReport {
        let lock = try DirectoryLock(options.directory)
        let copy = options.copyPath(before: version + 1)
        guard access(copy, F_OK) == 0 else { throw .noCopy(version: version + 1) }
        let unfinished = options.databasePath + ".new"
        try copyFile(copy, to: unfinished)
        let head = try Backup.makeItsOwn(unfinished)
        let (found, lost) = try account(of: options.databasePath, since: head.nextPosition)
        let aside = options.directory + "/store.rolled-back-v\(found)"
        // One that was cut short has named it already.
        let isAside = access(aside, F_OK) == 0
        guard !isAside || isSameFile(aside, options.databasePath) else { throw .exists(path: aside) }
        // The head goes first and comes last: a database without one is a store, one with another's is none.
        unlink(options.headPath)
        try lock.sync()
        guard isAside || link(options.databasePath, aside) == 0, rename(unfinished, options.databasePath) == 0 else {
            throw .file(path: options.databasePath, errno: errno, doing: "replacing")
        }
        unlink(options.walPath)
        unlink(options.sharedMemoryPath)
        try lock.sync()
        try HeadFile(options.headPath).writeSynced(head)
        try lock.sync()
        return RollbackReport(lostEvents: lost, putAside: aside)
    }

    private static func isSameFile(_ one: String, _ other: String) -> Bool {
        var (first, second) = (stat(), stat())
        guard lstat(one, &first) == 0, lstat(other, &second) == 0 else { return false }
        return (first.st_dev, first.st_ino) == (second.st_dev, second.st_ino)
    }

    /// Makes the backup in `directory` the store of `options`, which must not have one. Blocks.
    public static func restore(_ options: StoreOptions, from directory: String) throws(StoreError) {
        try Backup(from: StoreOptions(directory: directory), to: options).run()
    }

    /// Schema version, and how many events begin at or behind `position`. Leaves the database in one file.
    private static func account(
        of path: String, since position: UInt64
    ) throws(StoreError) -> (version: Int, events: UInt64) {
        let connection = try Connection(writing: path)
        let account = try connection.use { () throws(StoreError) in
            let version = try connection.integer("PRAGMA user_version")
            let events = try connection.integer(
                "SELECT coalesce(sum(count), 0) FROM batches WHERE position >= \(position)")
            return (Int(version), UInt64(clamping: events))
        }
        // What is put aside is to be all there is of it: nothing of its log may meet another database.
        try connection.closeWhole()
        return account
    }
}
