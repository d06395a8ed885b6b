import BusCrypto
import BusTesting
import Glibc
import Testing

@testable import BusServer

@Suite struct StateDirectoryTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/state" }

    init() throws { directory = try TemporaryDirectory() }

    /// What opening the directory is refused with.
    private func refusal(location: SourceLocation = #_sourceLocation) -> String {
        do throws(ServerError) {
            _ = try StateDirectory(path: path)
            Issue.record("it opened", sourceLocation: location)
            return ""
        } catch {
            return error.description
        }
    }

    @Test func `an empty directory gets a root key and a keyring, for its owner alone`() throws {
        let state = try StateDirectory(path: path)
        #expect(state.isNew)
        for (name, mode) in [("", 0o700), ("/root.key", 0o600), ("/keyring", 0o600), ("/lock", 0o600)] {
            var status = stat()
            #expect(lstat(path + name, &status) == 0)
            #expect(Int(status.st_mode) & 0o777 == mode, "\(name)")
        }
        #expect(TemporaryDirectory.read(path + "/root.key").count == 32)
    }

    @Test func `opened again it has the same key`() throws {
        let id = try { try StateDirectory(path: path).rootKey.id }()
        let again = try StateDirectory(path: path)
        #expect(!again.isNew)
        #expect(again.rootKey.id == id)
    }

    @Test func `without its key it names the key it wants, and makes no new one`() throws {
        let id = try { try StateDirectory(path: path).rootKey.id }()
        unlink(path + "/root.key")
        #expect(refusal().contains("\(id)"))
        #expect(access(path + "/root.key", F_OK) != 0)
    }

    @Test func `without its keyring it makes no new one where something is stored`() throws {
        do { _ = try StateDirectory(path: path) }
        #expect(rename(path + "/keyring", path + "/elsewhere") == 0)
        do { _ = try StateDirectory(path: path) }
        #expect(rename(path + "/elsewhere", path + "/keyring") == 0)
        directory.write("state/store.db", [])
        #expect(unlink(path + "/keyring") == 0)
        let said = refusal()
        #expect(said.contains("keyring is missing") && said.contains("store"))
        #expect(access(path + "/keyring", F_OK) != 0)
    }

    @Test func `with another key it names both`() throws {
        let id = try { try StateDirectory(path: path).rootKey.id }()
        directory.write("state/root.key", [UInt8](repeating: 9, count: 32))
        let other = try [UInt8](repeating: 9, count: 32).withUnsafeBytes { try RootKey($0).id }
        let text = refusal()
        #expect(text.contains("\(id)") && text.contains("\(other)"))
    }

    @Test(arguments: [mode_t(0o640), 0o604, 0o660]) func `a key that others can read is refused`(mode: mode_t) throws {
        _ = try StateDirectory(path: path)
        chmod(path + "/root.key", mode)
        #expect(refusal().contains("can be read by others"))
    }

    @Test(arguments: [0, 31, 33, 5000]) func `a key of another length is refused`(length: Int) throws {
        _ = try StateDirectory(path: path)
        directory.write("state/root.key", [UInt8](repeating: 9, count: length))
        #expect(refusal().contains("\(length) bytes"))
    }

    @Test func `a key that is a symbolic link is refused`() throws {
        _ = try StateDirectory(path: path)
        rename(path + "/root.key", directory.path + "/elsewhere")
        symlink(directory.path + "/elsewhere", path + "/root.key")
        #expect(refusal().contains("root.key"))
    }

    @Test func `a directory with somebody else's files is refused, and nothing is left in it`() throws {
        mkdir(path, 0o700)
        directory.write("state/thesis.txt", [1])
        #expect(refusal().contains("thesis.txt"))
        #expect(access(path + "/root.key", F_OK) != 0)
        #expect(access(path + "/keyring", F_OK) != 0)
    }

    @Test func `a directory that others can write to, or that is none, is refused`() throws {
        mkdir(path, 0o700)
        chmod(path, 0o777)
        #expect(refusal().contains("chmod go-w"))
        rmdir(path)
        directory.write("state", [1])
        #expect(refusal().contains("not a directory"))
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a directory away"))
    func `a directory or a key of somebody else is refused`() throws {
        _ = try StateDirectory(path: path)
        chown(path + "/root.key", 65534, 65534)
        #expect(refusal().contains("belongs to uid 65534"))
        chown(path + "/root.key", 0, 0)
        chown(path, 65534, 65534)
        #expect(refusal().contains("belongs to uid 65534"))
    }

    @Test func `a directory in use is refused, and free when its user is gone`() throws {
        do {
            let first = try StateDirectory(path: path)
            #expect(refusal().contains("another daemon"))
            _ = first.path
        }
        let second = try StateDirectory(path: path)
        second.unlock()
        _ = try StateDirectory(path: path)
    }

    @Test func `an attempt that fails leaves nothing locked`() throws {
        _ = try StateDirectory(path: path)
        chmod(path + "/root.key", 0o644)
        _ = refusal()
        chmod(path + "/root.key", 0o600)
        _ = try StateDirectory(path: path)
    }

    @Test func `what is released is free, though a child between fork and exec has it open still`() throws {
        let lock = directory.path + "/lock"
        let own = try StateLock(lock)
        // Another descriptor of the same opening, as a fork leaves one.
        let copies = (3..<1024).filter { number in
            var (here, there) = (stat(), stat())
            return fstat(CInt(number), &here) == 0 && stat(lock, &there) == 0 && here.st_ino == there.st_ino
                && here.st_dev == there.st_dev
        }.map { dup(CInt($0)) }
        defer { for copy in copies { close(copy) } }
        #expect(!copies.isEmpty)
        own.release()
        _ = try StateLock(lock)
    }

    @Test func `a credential is taken before a file of our own, and must be the right one`() throws {
        let id = try { try StateDirectory(path: path).rootKey.id }()
        let key = TemporaryDirectory.read(path + "/root.key")
        unlink(path + "/root.key")
        mkdir(directory.path + "/credentials", 0o700)
        // systemd hands credentials over readable by root's group.
        directory.write("credentials/root.key", key, mode: 0o440)
        let state = try StateDirectory(path: path, credentials: directory.path + "/credentials")
        #expect(state.rootKey.id == id && !state.isNew)
    }
}
