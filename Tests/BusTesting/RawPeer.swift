// A peer made of plain system calls, that sends what no client would.

import BusCrypto
package import BusWire
import CLinux
import Glibc
package import Testing

/// A blocking socket to a bus, with frames by hand.
package final class RawPeer {
    package let descriptor: CInt
    private var buffered: [UInt8] = []
    private var decoder = FrameDecoder(from: .server, frameLengthMax: 4 << 20)

    package init(_ path: String) throws {
        descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue), 0)
        let result = path.withCString { linux_connect(descriptor, $0, path.utf8.count) }
        try #require(result == 0, "connect: \(result)")
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close() }

    private var isClosed = false

    package func close() {
        guard !isClosed else { return }
        isClosed = true
        Glibc.close(descriptor)
    }

    /// Says that no more will come.
    package func finishWriting() { shutdown(descriptor, CInt(SHUT_WR)) }

    /// Whether everything went out.
    @discardableResult
    package func send(_ bytes: [UInt8]) -> Bool {
        Glibc.send(descriptor, bytes, bytes.count, CInt(MSG_NOSIGNAL)) == bytes.count
    }

    @discardableResult
    package func send(_ frame: Frame) -> Bool { send(frame.encoded) }

    /// The next frame; nil at the end of the stream.
    package func next() throws -> Frame? {
        while true {
            if !buffered.isEmpty {
                switch try decoder.next(in: SharedBytes(buffered), at: 0) {
                case .frame(let frame, let length):
                    buffered.removeFirst(length)
                    return frame
                case .skipped(let length):
                    buffered.removeFirst(length)
                    continue
                case .incomplete: break
                }
            }
            var chunk = [UInt8](repeating: 0, count: 65536)
            let count = recv(descriptor, &chunk, chunk.count, 0)
            if count == 0 || count < 0 && Glibc.errno == ECONNRESET { return nil }
            try #require(count > 0, "nothing came within ten seconds")
            buffered += chunk[0..<count]
        }
    }

    /// The error that comes next, and that the stream ends behind it if it is fatal.
    package func expectError(_ reason: Reason, fatal: Bool = true, location: SourceLocation = #_sourceLocation) throws {
        let frame = try next()
        guard case .error(let error) = frame else {
            Issue.record("expected the error \(reason), not \(String(describing: frame))", sourceLocation: location)
            return
        }
        #expect(error.reason == reason, "\(error.message)", sourceLocation: location)
        #expect(error.isFatal == fatal, sourceLocation: location)
        #expect(!error.message.isEmpty, sourceLocation: location)
        if fatal { #expect(try next() == nil, sourceLocation: location) }
    }

    /// A hello with a fresh key.
    package static func hello(versions: ClosedRange<UInt16> = Limits.versions, key: [UInt8]? = nil) throws -> Frame {
        let fresh = try HandshakeKey().publicKey
        return .hello(
            Hello(versions: versions, publicKey: key ?? fresh, nonce: [UInt8](repeating: 7, count: 32), name: "raw"))
    }

    /// Says hello and waits for the welcome.
    @discardableResult
    package func greet() throws -> Welcome {
        send(try RawPeer.hello())
        guard case .welcome(let welcome) = try next() else { throw NoWelcome() }
        return welcome
    }

    private struct NoWelcome: Error {}
}
