import SystemPackage
import Testing

@testable import BusTransport

@Suite struct TransportErrorTests {
    @Test func `an error says what, where and what to do`() {
        #expect(
            TransportError.socketPathTooLong(path: "/x", length: 130, limit: 107).description
                == "socket path is 130 bytes, at most 107 fit: choose a shorter --socket than /x")
        #expect(
            TransportError.system(operation: "bind", path: "/x", .readOnlyFileSystem).description
                == "bind /x: Read-only file system")
    }

    @Test func `the system's numbers become names where there is one`() {
        #expect(TransportError.from(-24, operation: "socket") == .descriptorTableFull(operation: "socket"))
        #expect(TransportError.from(-13, operation: "bind", path: "/x") == .permissionDenied(path: "/x"))
        #expect(TransportError.from(-5, operation: "bind") == .system(operation: "bind", path: nil, .ioError))
    }

    @Test func `each reason has one word`() {
        let reasons: [CloseReason] = [
            .peerClosed(incompleteBytes: 0), .peerReset, .closedByOwner, .unframed, .reactorStopped, .system(.ioError),
        ]
        #expect(Set(reasons.map(\.name)).count == reasons.count)
    }
}
