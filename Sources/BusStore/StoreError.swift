// Everything that can go wrong with the store, closed: what SQLite and the system say is translated where it happens.

import Glibc

/// Why the store can't do what was asked, or can't go on.
public enum StoreError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The state directory can't be used.
    case directory(path: String, errno: Int32)
    /// Another process has this store open.
    case inUse(path: String)
    /// There is a file where the database should be, and it isn't ours. Nothing was changed.
    case notAStore(path: String, found: String)
    /// The database was written by a newer program. Nothing was changed.
    case newerSchema(found: Int, supported: Int)
    /// The head file, or a write-ahead log, is there but not the database they belong to. Nothing was changed.
    case databaseMissing(path: String)
    /// The head file belongs to another store. Nothing was changed.
    case foreignHead(path: String)
    /// SQLite doesn't do what durability stands on: the setting and what it says.
    case setting(String, found: String)
    /// A file of ours can't be read or written.
    case file(path: String, errno: Int32, doing: String)
    /// SQLite failed.
    case sqlite(code: Int32, message: String, doing: String)
    /// What must be there to serve anything is damaged.
    case damaged(String)
    /// There is no copy of before the migration to this version.
    case noCopy(version: Int)
    /// The copy would overwrite something.
    case exists(path: String)
    /// The store has stopped.
    case stopped

    /// What happened, and where it helps, what to do.
    public var description: String {
        switch self {
        case .directory(let path, let errno): "can't use the directory \(path): \(reason(errno))"
        case .inUse(let path): "\(path) is in use by another process"
        case .notAStore(let path, let found): "\(path) is not a LocalBus store: it is \(found); nothing was changed"
        case .newerSchema(let found, let supported):
            "the store has schema version \(found), this program knows versions up to \(supported); nothing was changed: "
                + "start the newer busd, or go back to before its upgrade with `busd --rollback`"
        case .databaseMissing(let path):
            "\(path) is missing, but files that belong to it are there: put it back, or move them away to begin anew"
        case .foreignHead(let path): "\(path) belongs to another store; nothing was changed"
        case .setting(let setting, let found): "SQLite has \(setting) = \(found), on which durability can't be built"
        case .file(let path, let errno, let doing): "\(doing) \(path): \(reason(errno))"
        case .sqlite(let code, let message, let doing): "\(doing): \(message) (SQLite error \(code))"
        case .damaged(let what): "the store is damaged: \(what)"
        case .noCopy(let version): "there is no store.before-v\(version) to go back to"
        case .exists(let path): "\(path) is there already"
        case .stopped: "the store has stopped"
        }
    }
}

private func reason(_ errno: Int32) -> String { String(cString: strerror(errno)) }
