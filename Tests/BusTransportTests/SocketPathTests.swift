import Glibc
import SystemPackage
import Testing

@testable import BusTransport

@Suite struct SocketPathTests {
    @Test func `107 bytes fit, 108 do not`() throws {
        _ = try SocketPath(String(repeating: "x", count: 107))
        let long = String(repeating: "x", count: 108)
        #expect(throws: TransportError.socketPathTooLong(path: long, length: 108, limit: 107)) {
            try SocketPath(long)
        }
    }

    @Test func `an empty path or one with a zero byte is refused`() {
        #expect(throws: TransportError.socketPathInvalid(path: "")) { try SocketPath("") }
        #expect(throws: TransportError.socketPathInvalid(path: "a\0b")) { try SocketPath("a\0b") }
    }

    @Test func `a socket nobody listens on refuses`() throws {
        try withDirectory { directory in
            let path = try SocketPath(directory + "/s")
            _ = try path.bind(mode: [.ownerReadWrite])
            do throws(TransportError) {
                _ = try path.connect()
                Issue.record("it connected")
            } catch {
                #expect(error == .connectionRefused(path: path.string))
            }
        }
    }

    @Test func `a full backlog is busy, not broken`() throws {
        try withDirectory { directory in
            let path = try SocketPath(directory + "/s")
            let socket = try path.bind(mode: [.ownerReadWrite])
            #expect(Glibc.listen(socket.borrowed.rawValue, 0) == 0)
            let first = try path.connect()
            do throws(TransportError) {
                _ = try path.connect()
                Issue.record("it connected")
            } catch {
                #expect(error == .serverBusy(path: path.string))
            }
            _ = first.borrowed
        }
    }
}
