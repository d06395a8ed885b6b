// Care of a state directory that no daemon uses: a backup becomes a state, a store goes back to the schema of before, a
// machine that will be copied forgets its keys. The daemon's own program does it, since it alone knows these files, and
// holds the lock while it does.

import BusCrypto
import BusStore
import Glibc

/// What can be done to a state directory offline. All of it blocks.
public enum StateCare {
    /// Makes a backup the state in `state`, which must have no store. The store gets an incarnation of its own.
    ///
    /// The root key is the backup's (`--with-key`), else the one that was put there before, or is a credential; it must
    /// be the one that the backup's keyring wants.
    ///
    /// - Returns: a sentence for people.
    public static func restore(
        _ backup: String, to state: String, credentials: String? = nil
    ) throws(ServerError) -> String {
        try StateDirectory.make(state)
        let lock = try StateLock(state + "/lock")
        defer { lock.release() }
        guard let keyring = try KeyringFile(StateFile(path: backup + "/keyring")) else {
            throw .state("\(backup) has no keyring: it is not a backup of ours")
        }
        let others = try StateDirectory.entries(of: state).filter {
            !["root.key", "machine", "keyring.new"].contains($0) && !$0.hasPrefix("store.db.new")
        }
        // What an attempt that was cut short left is of this backup, and is no reason to refuse the next one.
        let isOurs = others == ["keyring"] ? try same(keyring, in: state) : false
        guard others.isEmpty || isOurs else {
            throw .state(
                "\(state) isn't empty (\(others.prefix(3).joined(separator: ", "))): a backup is restored into an empty "
                    + "state directory; move this one away, or choose another with --state")
        }
        try provideKey(keyring.keyID, from: backup, to: state, credentials)
        try StateFile(path: state + "/keyring").write(keyring.text)
        do throws(StoreError) {
            try Store.restore(StoreOptions(directory: state), from: backup)
        } catch {
            unlink(state + "/keyring")
            throw .state(error.description)
        }
        return "\(backup) is restored to \(state): \(keyring.wrapped.count) namespaces, root key \(keyring.keyID)"
    }

    private static func same(_ keyring: KeyringFile, in state: String) throws(ServerError) -> Bool {
        try KeyringFile(StateFile(path: state + "/keyring"))?.text == keyring.text
    }

    /// Sees to it that the state has the root key `wanted`.
    private static func provideKey(
        _ wanted: RootKeyID, from backup: String, to state: String, _ credentials: String?
    ) throws(ServerError) {
        if let credentials,
            let key = try StateDirectory.readKey(StateFile(path: credentials + "/root.key"), mustBeOwn: false),
            key.id == wanted
        {
            return
        }
        let own = StateFile(path: state + "/root.key")
        if let key = try StateDirectory.readKey(own, mustBeOwn: true) {
            guard key.id == wanted else {
                throw .state(
                    "\(own.path) is the root key \(key.id), the backup wants \(wanted): put the right one there")
            }
            return
        }
        let theirs = StateFile(path: backup + "/root.key")
        guard let key = try StateDirectory.readKey(theirs, mustBeOwn: true) else {
            throw .state(
                "the backup wants the root key \(wanted) and doesn't have it: put that file to \(own.path) first "
                    + "(`bus admin backup --with-key` takes it along)")
        }
        guard key.id == wanted else {
            throw .state("\(theirs.path) is the root key \(key.id), the backup's keyring wants \(wanted)")
        }
        guard var content = try theirs.read(lengthMax: 4096) else { return }
        defer { for i in content.bytes.indices { content.bytes[i] = 0 } }
        try own.write(content.bytes)
    }

    /// Goes back to the copy of the store that was made before a newer program changed its schema.
    ///
    /// - Returns: a sentence for people, with what it cost.
    public static func rollback(_ state: String) throws(ServerError) -> String {
        let lock = try existing(state)
        defer { lock.release() }
        do throws(StoreError) {
            let report = try Store.rollback(StoreOptions(directory: state), to: Store.schemaVersion)
            return "the store is as it was before the upgrade: \(report.lostEvents) events that were stored since are "
                + "not in it; they lie in \(report.putAside)"
        } catch {
            throw .state(error.description)
        }
    }

    /// Removes keys and everything stored, so that the next start makes new ones: for images, and for machines that are
    /// copies of others.
    ///
    /// - Returns: a sentence for people.
    public static func factoryReset(_ state: String) throws(ServerError) -> String {
        let lock = try existing(state)
        defer { lock.release() }
        let isOurs = try KeyringFile(StateFile(path: state + "/keyring")) != nil
        let names = try StateDirectory.entries(of: state)
        guard isOurs || names.isEmpty else {
            lock.undo()
            throw .state(
                "\(state) has no keyring (but \(names.prefix(3).joined(separator: ", "))): it is not a state directory "
                    + "of ours, and nothing was removed")
        }
        var left: [String] = []
        // The keyring goes last: while it is there, the rest is known to be ours.
        for name in names where name != "keyring" {
            if isOurFile(name) { try remove(state + "/" + name) } else { left.append(name) }
        }
        unlink(state + "/root.key.new")
        if isOurs { try remove(state + "/keyring") }
        let rest = left.isEmpty ? "" : "; left alone, since it isn't ours: \(left.joined(separator: ", "))"
        return "\(state) is as on the first day: keys and store are gone\(rest)"
    }

    private static func isOurFile(_ name: String) -> Bool {
        ["root.key", "machine", "keyring.new", "machine.new"].contains(name) || name.hasPrefix("store.")
            || name.hasPrefix("damaged-")
    }

    /// Files, and directories of files: copies of what was found damaged.
    private static func remove(_ path: String) throws(ServerError) {
        if unlink(path) == 0 || errno == ENOENT { return }
        guard errno == EISDIR || errno == EPERM else { throw failure("remove", path) }
        for name in try StateDirectory.entries(of: path) where unlink(path + "/" + name) != 0 {
            throw failure("remove", path + "/" + name)
        }
        guard rmdir(path) == 0 else { throw failure("remove", path) }
    }

    /// The lock of a directory that must be there.
    private static func existing(_ state: String) throws(ServerError) -> StateLock {
        guard access(state, F_OK) == 0 else { throw failure("find", state) }
        try StateDirectory.make(state)
        return try StateLock(state + "/lock")
    }

    private static func failure(_ what: String, _ path: String) -> ServerError {
        .state("can't \(what) \(path): \(String(cString: strerror(errno)))")
    }
}
