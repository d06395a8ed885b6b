import CLinux
import Glibc
import SystemPackage
import Testing

@testable import BusTransport

@Suite struct PeerCredentialsTests {
    @Test func `the peer of a pair is this process`() throws {
        let (near, _) = try socketPair()
        let credentials = try PeerCredentials(of: FileDescriptor(rawValue: near.fd))
        #expect(credentials.uid == geteuid())
        #expect(credentials.gid == getegid())
        #expect(credentials.pid == getpid())
        var groups = [gid_t](repeating: 0, count: 1024)
        let count = Int(getgroups(1024, &groups))
        #expect(credentials.groups.sorted() == groups.prefix(count).sorted())
    }

    @Test func `a pidfd names the peer where the kernel has them`() throws {
        let (near, _) = try socketPair()
        guard let pidfd = PeerCredentials.openPidfd(of: FileDescriptor(rawValue: near.fd)) else { return }
        #expect(pidfd.borrowed.rawValue >= 0)
    }

    @Test func `what is no socket has no peer`() throws {
        let file = OwnedDescriptor(raw: linux_open("/dev/null", O_RDONLY, 0))
        let descriptor = file.borrowed
        #expect(throws: TransportError.system(operation: "SO_PEERCRED", path: nil, .notSocket)) {
            try PeerCredentials(of: descriptor)
        }
    }
}
