import BusTesting
import Glibc
import Testing

@testable import BusServer

/// The environment is one for all tests: nothing here runs beside another.
@Suite(.serialized) struct ServiceManagerTests {
    /// A manager made in an environment with these variables.
    private func manager(_ variables: [String: String]) -> ServiceManager {
        for (name, value) in variables { setenv(name, value, 1) }
        defer { for name in variables.keys { unsetenv(name) } }
        return ServiceManager()
    }

    @Test func `without systemd there is nothing, and telling does nothing`() {
        let manager = manager([:])
        #expect(manager.listeners.isEmpty && manager.credentials == nil && manager.stateDirectory == nil)
        manager.ready("listening")
    }

    @Test(arguments: ["0", "-1", "17", "x", "", "99999999999999999999"])
    func `a number of sockets that makes no sense is none`(count: String) {
        #expect(manager(["LISTEN_PID": "\(getpid())", "LISTEN_FDS": count]).listeners.isEmpty)
    }

    @Test func `sockets meant for another process are not ours`() {
        #expect(manager(["LISTEN_PID": "1", "LISTEN_FDS": "1"]).listeners.isEmpty)
        #expect(manager(["LISTEN_FDS": "1"]).listeners.isEmpty)
    }

    @Test func `the variables are gone afterwards`() {
        let names = [
            "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "CREDENTIALS_DIRECTORY", "STATE_DIRECTORY",
        ]
        for name in names { setenv(name, "1", 1) }
        _ = ServiceManager()
        for name in names { #expect(getenv(name) == nil, "\(name)") }
    }

    @Test func `the first state directory and the credentials are taken`() {
        let manager = manager(["STATE_DIRECTORY": "/var/lib/a:/var/lib/b", "CREDENTIALS_DIRECTORY": "/run/c"])
        #expect(manager.stateDirectory == "/var/lib/a" && manager.credentials == "/run/c")
    }

    @Test(arguments: [false, true]) func `the service's state reaches a socket, by path or abstract`(abstract: Bool)
        throws
    {
        let directory = try TemporaryDirectory()
        let name = abstract ? "@localbus-test-\(getpid())" : directory.path + "/notify"
        let descriptor = socket(AF_UNIX, CInt(SOCK_DGRAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(name.utf8)
        if abstract { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { bind(descriptor, $0, length) }
        }
        try #require(bound == 0)

        let manager = manager(["NOTIFY_SOCKET": name])
        func told() -> String {
            var buffer = [UInt8](repeating: 0, count: 1000)
            let count = recv(descriptor, &buffer, buffer.count, CInt(MSG_DONTWAIT))
            return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
        }
        manager.ready("listening on x")
        #expect(told() == "READY=1\nSTATUS=listening on x")
        manager.status("3 connections")
        #expect(told() == "STATUS=3 connections")
        manager.stopping("going down")
        #expect(told() == "STOPPING=1\nSTATUS=going down")
    }
}
