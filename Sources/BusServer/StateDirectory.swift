// What the daemon keeps between its lives: the root key, and the keyring with the wrapped namespace secrets and the
// seal numbers given out.
//
//   lock      held while a daemon runs, so that no two share one state
//   root.key  32 bytes, mode 0600, the daemon's own; made when, and only when, the directory is empty
//   keyring   text: which root key it wants, the next seal number, one wrapped secret a namespace and epoch
//   machine   which machine the root key was used on last (MachineMark.swift)
//   store.*   what is stored (BusStore)
//
// A keyring without its key is refused, naming the key id it wants: guessing a new one would make everything stored
// unreadable in silence.

import BusCrypto
import Glibc

/// An opened state directory, locked for this process.
struct StateDirectory {
    let path: String
    let rootKey: RootKey
    /// Whether the root key was made just now.
    let isNew: Bool
    var keyring: KeyringFile
    private let lock: StateLock

    /// Opens `path`, making it (mode 0700, its parent must exist) and its root key where they are missing.
    ///
    /// - Parameter credentials: a directory of systemd credentials that may hold `root.key` instead.
    init(path: String, credentials: String? = nil) throws(ServerError) {
        self.path = path
        try StateDirectory.make(path)
        lock = try StateLock(path + "/lock")
        let stored = try KeyringFile(StateFile(path: path + "/keyring"))
        let own = StateFile(path: path + "/root.key")
        var key: RootKey?
        if let credentials {
            key = try StateDirectory.readKey(StateFile(path: credentials + "/root.key"), mustBeOwn: false)
        }
        if key == nil { key = try StateDirectory.readKey(own, mustBeOwn: true) }
        if let key {
            guard stored != nil || !StateDirectory.hasStore(path) else {
                throw .state(
                    "\(path): the keyring is missing, and there is a store that nothing can read without it: "
                        + "restore that file, or move store.* away to begin anew")
            }
            rootKey = key
            isNew = false
        } else if let stored {
            throw .state(
                "\(path): root.key is missing; the keyring wants the key with id \(stored.keyID): restore that file")
        } else {
            let others = try StateDirectory.entries(of: path)
            guard others.isEmpty else {
                lock.undo()
                throw .state(
                    "\(path) has no root.key and isn't empty (\(others.prefix(3).joined(separator: ", "))): "
                        + "it is not a state directory of ours; choose another one with --state")
            }
            rootKey = try StateDirectory.makeKey(own)
            isNew = true
        }
        if let stored, stored.keyID != rootKey.id {
            throw .state(
                "\(path): the keyring wants the root key with id \(stored.keyID), root.key is \(rootKey.id): "
                    + "restore the right file")
        }
        keyring = stored ?? KeyringFile(keyID: rootKey.id)
        if stored == nil { try save() }
    }

    /// Writes the keyring.
    func save() throws(ServerError) { try StateFile(path: path + "/keyring").write(keyring.text) }

    /// Lets another daemon have the directory.
    func unlock() { lock.release() }

    static func make(_ path: String) throws(ServerError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST {
            throw .state("can't make the state directory \(path): \(String(cString: strerror(errno)))")
        }
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            throw .state("\(path) is not a directory: choose another one with --state")
        }
        guard status.st_uid == geteuid() else {
            throw .state(
                "\(path) belongs to uid \(status.st_uid), not to us (\(geteuid())): choose another one with --state")
        }
        guard status.st_mode & 0o022 == 0 else {
            throw .state("\(path) can be written by others: chmod go-w \(path), or choose another one with --state")
        }
    }

    static func readKey(_ file: StateFile, mustBeOwn: Bool) throws(ServerError) -> RootKey? {
        guard var content = try file.read(lengthMax: 4096) else { return nil }
        // The only reference to these bytes, so that they are overwritten where they are.
        defer { for i in content.bytes.indices { content.bytes[i] = 0 } }
        let facts = content.facts
        guard !mustBeOwn || facts.owner == geteuid() else {
            throw .state("\(file.path) belongs to uid \(facts.owner), not to us (\(geteuid())): chown it")
        }
        guard facts.mode & 0o077 == 0 || !mustBeOwn else {
            let mode = String(facts.mode, radix: 8)
            throw .state(
                "\(file.path) can be read by others (mode \(mode)): chmod 600 \(file.path), and consider it known")
        }
        guard facts.length == RootKey.byteCount else {
            throw .state(
                "\(file.path) has \(facts.length) bytes, a root key has \(RootKey.byteCount): restore the right file")
        }
        do {
            return try content.bytes.withUnsafeBytes { try RootKey($0) }
        } catch {
            throw .state("\(file.path): \(error)")
        }
    }

    private static func makeKey(_ file: StateFile) throws(ServerError) -> RootKey {
        do {
            let key = try RootKey.random()
            try write(key, to: file)
            return key
        } catch let error as ServerError {
            throw error
        } catch {
            throw .state("can't make a root key: \(error)")
        }
    }

    /// Whether something is stored that needs the keyring's secrets.
    private static func hasStore(_ path: String) -> Bool { access(path + "/store.db", F_OK) == 0 }

    /// Writes a root key, for its owner alone.
    static func write(_ key: RootKey, to file: StateFile) throws {
        var bytes = try key.withUnsafeBytes { [UInt8]($0) }
        defer { for i in bytes.indices { bytes[i] = 0 } }
        try file.write(bytes)
    }

    /// What lies in the directory beside our own lock.
    static func entries(of path: String) throws(ServerError) -> [String] {
        guard let directory = opendir(path) else {
            throw .state("can't list \(path): \(String(cString: strerror(errno)))")
        }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            if ![".", "..", "lock", "root.key.new", "lost+found"].contains(name) { names.append(name) }
        }
        return names.sorted()
    }
}

/// The lock of a state directory: held until released, or until nobody refers to it, so that an attempt that failed
/// half way leaves nothing locked.
final class StateLock {
    private var descriptor: CInt
    private let path: String
    /// Whether this one made the file.
    private let isNew: Bool

    init(_ path: String) throws(ServerError) {
        self.path = path
        isNew = access(path, F_OK) != 0
        descriptor = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .state("can't open \(path): \(String(cString: strerror(errno)))") }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw .state(
                "another daemon uses this state directory (\(path) is locked): stop it, or choose another --state")
        }
    }

    deinit { release() }

    /// Releases it and takes the file away again if it is new: of a directory that isn't ours nothing is changed.
    func undo() {
        if isNew, descriptor >= 0 { unlink(path) }
        release()
    }

    func release() {
        guard descriptor >= 0 else { return }
        // Closing alone would leave it locked for as long as a child between fork and exec has a copy.
        flock(descriptor, LOCK_UN)
        close(descriptor)
        descriptor = -1
    }
}
