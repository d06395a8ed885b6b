import CLinux
import Glibc
import SystemPackage
import Testing

@testable import BusTransport

@Suite struct SocketClaimTests {
    private func claim(_ path: String) throws(TransportError) {
        var claim = try SocketClaim(path)
        _ = try claim.listen(mode: [.ownerReadWrite], backlog: 1)
        claim.unlink()
    }

    @Test func `a symbolic link is not followed`() throws {
        try withDirectory { directory in
            let path = directory + "/link"
            symlink(directory + "/other", path)
            #expect(throws: TransportError.socketPathIsSymlink(path: path)) { try claim(path) }
        }
    }

    @Test func `a symbolic link in place of the lock is not followed`() throws {
        try withDirectory { directory in
            symlink(directory + "/other", directory + "/s.lock")
            #expect(throws: TransportError.socketPathIsSymlink(path: directory + "/s.lock")) {
                try claim(directory + "/s")
            }
        }
    }

    @Test func `a file is not replaced`() throws {
        try withDirectory { directory in
            let path = directory + "/other"
            Glibc.close(open(path, O_CREAT | O_WRONLY, 0o600))
            #expect(throws: TransportError.socketPathNotASocket(path: path)) { try claim(path) }
            var status = stat()
            #expect(lstat(path, &status) == 0)
            #expect(lstat(path + ".lock", &status) == -1)
        }
    }

    @Test func `another user's socket is not replaced`() throws {
        // Only root can give a file away.
        guard geteuid() == 0 else { return }
        try withDirectory { directory in
            let path = directory + "/s"
            _ = try SocketPath(path).bind(mode: [.ownerReadWrite])
            chown(path, 12345, 12345)
            #expect(throws: TransportError.socketForeignOwner(path: path, uid: 12345)) { try claim(path) }
        }
    }

    @Test func `a path with a live daemon is taken, with or without its lock`() throws {
        try withDirectory { directory in
            let path = directory + "/s"
            var first = try SocketClaim(path)
            let socket = try first.listen(mode: [.ownerReadWrite], backlog: 1)
            #expect(throws: TransportError.socketTaken(path: path)) { try claim(path) }
            unlink(path + ".lock")
            #expect(throws: TransportError.socketTaken(path: path)) { try claim(path) }
            _ = socket.borrowed
            first.unlink()
        }
    }

    @Test func `a dead daemon's socket is taken over`() throws {
        try withDirectory { directory in
            let path = directory + "/s"
            _ = try SocketPath(path).bind(mode: [.ownerReadWrite])
            #expect(try SocketPath(path).inspect() != nil)
            try claim(path)
            #expect(try SocketPath(path).inspect() == nil)
        }
    }

    @Test func `a socket made by somebody else in the meantime is not removed`() throws {
        try withDirectory { directory in
            let path = directory + "/s"
            var claim = try SocketClaim(path)
            _ = try claim.listen(mode: [.ownerReadWrite], backlog: 1)
            rename(path, directory + "/t")
            _ = try SocketPath(path).bind(mode: [.ownerReadWrite])
            claim.unlink()
            #expect(try SocketPath(path).inspect() != nil)
        }
    }
}
