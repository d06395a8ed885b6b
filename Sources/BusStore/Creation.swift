// Making a store: under another name first, so that there is a whole one or none.

import BusWire
import GRDB
import Glibc

/// The making of a new database.
struct Creation {
    let options: StoreOptions
    let schema: Schema

    func run(_ lock: DirectoryLock) throws(StoreError) {
        let path = options.databasePath + ".new"
        for name in [path, path + "-wal", path + "-shm", path + "-journal"] { unlink(name) }
        let meta = StoreMeta(incarnation: .random())
        let connection = try Connection(writing: path)
        try connection.use { () throws(StoreError) in
            try connection.execute("PRAGMA page_size = \(Space.pageSize)")
            try connection.execute("BEGIN IMMEDIATE")
            try connection.execute("PRAGMA application_id = \(Schema.applicationID)")
            for step in schema.steps { try step.run(connection) }
            try connection.execute("PRAGMA user_version = \(schema.version)")
            let insert = try SQLStatement(connection.handle, "INSERT INTO meta (id, record) VALUES (1, ?)")
            insert.bind(1, meta.record)
            try insert.run()
            try connection.execute("COMMIT")
        }
        try connection.closeWhole()
        guard chmod(path, 0o600) == 0 else { throw .file(path: path, errno: errno, doing: "protecting") }
        let head = try HeadFile(options.headPath + ".new")
        try head.writeSynced(Head(incarnation: meta.incarnation, commit: 0, nextPosition: meta.nextPosition))
        // The database first: without its head it is a store, the other way round it would be a store that was lost.
        for (from, to) in [(path, options.databasePath), (options.headPath + ".new", options.headPath)] {
            guard rename(from, to) == 0 else { throw .file(path: to, errno: errno, doing: "naming") }
            try lock.sync()
        }
    }
}
