import BusCrypto
import BusTesting
import Glibc
import Testing

@testable import BusServer
@testable import BusStore

/// What is done to a state directory offline.
@Suite struct StateCareTests {
    private let directory: TemporaryDirectory
    private var state: String { directory.path + "/state" }
    private var backup: String { directory.path + "/backup" }

    init() throws { directory = try TemporaryDirectory() }

    /// A state with a store, and a backup of it; what it has in its keyring.
    @discardableResult
    private func makeBackup(withKey: Bool) throws -> RootKeyID {
        var kept = try StateDirectory(path: state)
        kept.keyring.wrapped[.init(namespace: Array("jobs".utf8), epoch: 1)] =
            [UInt8](repeating: 1, count: RootKey.wrappedCount)
        try kept.save()
        let store = try Store(
            StoreOptions(directory: state), onCommit: { _ in }, onDamage: { _ in }, onFailure: { _ in })
        try store.backup(to: backup)
        try store.close()
        for name in ["keyring"] + (withKey ? ["root.key"] : []) {
            directory.write("backup/" + name, TemporaryDirectory.read(state + "/" + name))
        }
        kept.unlock()
        return kept.rootKey.id
    }

    private func entries(_ path: String) throws -> Set<String> { Set(try StateDirectory.entries(of: path)) }

    private func refusal(location: SourceLocation = #_sourceLocation, _ body: () throws -> String) -> String {
        do {
            Issue.record("not refused: \(try body())", sourceLocation: location)
            return ""
        } catch {
            return "\(error)"
        }
    }

    @Test func `a backup with its key becomes a state that opens`() throws {
        let id = try makeBackup(withKey: true)
        let other = directory.path + "/other"
        let said = try StateCare.restore(backup, to: other)
        #expect(said.contains(other) && said.contains("1 namespaces") && said.contains("\(id)"))
        let opened = try StateDirectory(path: other)
        #expect(opened.rootKey.id == id && !opened.isNew && opened.keyring.wrapped.count == 1)
        // A store of its own.
        let stores = try [state, other].map { path in
            let store = try Store(
                StoreOptions(directory: path), onCommit: { _ in }, onDamage: { _ in }, onFailure: { _ in })
            defer { try? store.close() }
            return store.incarnation
        }
        #expect(stores[0] != stores[1])
    }

    @Test func `without its key it names the one it wants, and takes the right one that is put there`() throws {
        let id = try makeBackup(withKey: false)
        let other = directory.path + "/other"
        let text = refusal { try StateCare.restore(backup, to: other) }
        #expect(text.contains("\(id)") && text.contains("--with-key"))
        #expect(try entries(other).isSubset(of: ["lock"]))
        directory.write("other/root.key", [UInt8](repeating: 9, count: 32))
        #expect(refusal { try StateCare.restore(backup, to: other) }.contains("the backup wants \(id)"))
        directory.write("other/root.key", TemporaryDirectory.read(state + "/root.key"))
        #expect(try StateCare.restore(backup, to: other).contains("\(id)"))
    }

    @Test func `a credential is as good as a key that is put there`() throws {
        let id = try makeBackup(withKey: false)
        let other = directory.path + "/other"
        mkdir(directory.path + "/credentials", 0o700)
        directory.write("credentials/root.key", TemporaryDirectory.read(state + "/root.key"))
        #expect(
            try StateCare.restore(backup, to: other, credentials: directory.path + "/credentials").contains("\(id)"))
        #expect(access(other + "/root.key", F_OK) != 0)
    }

    @Test func `nothing is restored over what is there, nor from what is no backup`() throws {
        try makeBackup(withKey: true)
        let before = try entries(state)
        #expect(refusal { try StateCare.restore(backup, to: state) }.contains("isn't empty"))
        #expect(try entries(state) == before)
        let empty = directory.path + "/empty"
        mkdir(empty, 0o700)
        #expect(
            refusal { try StateCare.restore(empty, to: directory.path + "/other") }.contains("not a backup of ours"))
    }

    @Test func `what an attempt left that was cut short is no reason to refuse the next one`() throws {
        let id = try makeBackup(withKey: true)
        let other = directory.path + "/other"
        mkdir(other, 0o700)
        directory.write("other/keyring", TemporaryDirectory.read(backup + "/keyring"))
        directory.write("other/root.key", TemporaryDirectory.read(backup + "/root.key"))
        for name in ["store.db.new", "store.db.new-journal", "keyring.new"] { directory.write("other/" + name, [1]) }
        #expect(try StateCare.restore(backup, to: other).contains("\(id)"))
    }

    @Test func `a rollback without a copy of before says so, and changes nothing`() throws {
        try makeBackup(withKey: true)
        let before = try entries(state)
        #expect(!refusal { try StateCare.rollback(state) }.isEmpty)
        #expect(try entries(state) == before)
        #expect(refusal { try StateCare.rollback(directory.path + "/nowhere") }.contains("/nowhere"))
    }

    @Test func `a factory reset removes what is ours, and leaves alone what isn't`() throws {
        try makeBackup(withKey: true)
        directory.write("state/notes.txt", [1])
        mkdir(state + "/damaged-1-2", 0o700)
        directory.write("state/damaged-1-2/store.db", [1])
        let said = try StateCare.factoryReset(state)
        #expect(said.contains("notes.txt"))
        #expect(try entries(state).subtracting(["lock"]) == ["notes.txt"])
        unlink(state + "/notes.txt")
        #expect(try StateDirectory(path: state).isNew)
    }

    @Test func `a factory reset of somebody else's directory removes nothing`() throws {
        mkdir(state, 0o700)
        directory.write("state/store.db", [1])
        #expect(refusal { try StateCare.factoryReset(state) }.contains("no keyring"))
        #expect(access(state + "/store.db", F_OK) == 0)
    }

    @Test func `nothing is done while a daemon has the state`() throws {
        try makeBackup(withKey: true)
        let held = try StateDirectory(path: state)
        defer { held.unlock() }
        #expect(!refusal { try StateCare.rollback(state) }.isEmpty)
        #expect(!refusal { try StateCare.factoryReset(state) }.isEmpty)
        #expect(try KeyringFile(StateFile(path: state + "/keyring")) != nil)
    }
}
