// A copy of the store as a store: while it is open, or of one that isn't. The copy gets an incarnation of its own,
// because what comes after it will differ from what came after in the original.

import BusWire
import Glibc

/// A copy from one state directory to another.
struct Backup {
    let from: StoreOptions
    let to: StoreOptions

    func run() throws(StoreError) {
        guard mkdir(to.directory, 0o700) == 0 || errno == EEXIST else {
            throw .directory(path: to.directory, errno: errno)
        }
        let lock = try DirectoryLock(to.directory)
        guard access(to.databasePath, F_OK) != 0 else { throw .exists(path: to.databasePath) }
        let unfinished = to.databasePath + ".new"
        for name in [unfinished, unfinished + "-wal", unfinished + "-shm", unfinished + "-journal"] { unlink(name) }
        // A connection of its own: the copy takes as long as it takes, and readers go on meanwhile.
        let source = try Connection(reading: from.databasePath)
        try backUp(source, to: unfinished)
        try source.close()
        let head = try Backup.makeItsOwn(unfinished)
        guard rename(unfinished, to.databasePath) == 0 else {
            throw .file(path: to.databasePath, errno: errno, doing: "naming")
        }
        try HeadFile(to.headPath).writeSynced(head)
        try lock.sync()
    }

    /// Gives a copy an incarnation of its own, and the head that belongs to it.
    static func makeItsOwn(_ path: String) throws(StoreError) -> Head {
        let connection = try Connection(writing: path)
        let meta = try connection.use { () throws(StoreError) in
            let select = try SQLStatement(connection.handle, "SELECT record FROM meta WHERE id = 1")
            guard try select.step(), var meta = try? StoreMeta(record: select.bytes(0)) else {
                throw StoreError.damaged("the copy has no account of itself")
            }
            select.reset()
            meta.incarnation = .random()
            meta.checkpointed = meta.nextPosition
            let update = try SQLStatement(connection.handle, "UPDATE meta SET record = ? WHERE id = 1")
            update.bind(1, meta.record)
            try update.run()
            return meta
        }
        try connection.closeWhole()
        return Head(incarnation: meta.incarnation, commit: meta.commit, nextPosition: meta.nextPosition)
    }
}
