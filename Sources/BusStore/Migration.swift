// From one schema version to the next, with a copy of before, and back to it.

import BusWire
import GRDB
import Glibc

/// The way from the version found to the one this program writes.
struct Migration {
    let options: StoreOptions
    let schema: Schema

    func run(_ connection: Connection, _ meta: inout StoreMeta, _ lock: DirectoryLock) throws(StoreError) {
        var version = try connection.use { () throws(StoreError) in
            Int(try connection.integer("PRAGMA user_version"))
        }
        guard version >= 1 else { throw .damaged("its schema has no version") }
        while version < schema.version {
            try copy(connection, to: options.copyPath(before: version + 1), lock)
            try connection.use { () throws(StoreError) in
                try connection.execute("BEGIN IMMEDIATE")
                do throws(StoreError) {
                    try schema.steps[version].run(connection)
                    try connection.execute("PRAGMA user_version = \(version + 1)")
                    try connection.execute("COMMIT")
                } catch {
                    try? connection.execute("ROLLBACK")
                    throw error
                }
            }
            version += 1
        }
    }

    /// Written beside and renamed, so that a copy is whole or not there.
    private func copy(_ connection: Connection, to path: String, _ lock: DirectoryLock) throws(StoreError) {
        let unfinished = path + ".new"
        for name in [unfinished, unfinished + "-wal", unfinished + "-shm", unfinished + "-journal"] { unlink(name) }
        try backUp(connection, to: unfinished)
        guard rename(unfinished, path) == 0 else { throw .file(path: path, errno: errno, doing: "naming") }
        try lock.sync()
    }
}

extension StoreOptions {
    /// The copy that was made before this version came.
    func copyPath(before version: Int) -> String { directory + "/store.before-v\(version)" }
}

/// Copies the database as it is now to a new file, in one file when it is done.
func backUp(_ connection: Connection, to path: String) throws(StoreError) {
    do {
        let target = try DatabaseQueue(path: path)
        try connection.queue.backup(to: target)
        try target.close()
    } catch {
        throw StoreError(error, doing: "copying to " + path)
    }
    guard chmod(path, 0o600) == 0 else { throw .file(path: path, errno: errno, doing: "protecting") }
}
