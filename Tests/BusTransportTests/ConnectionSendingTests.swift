import BusWire
import CLinux
import Glibc
import Testing

@testable import BusTransport

@Suite struct ConnectionSendingTests {
    @Test func `all writes of a round leave in one call, in order`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            var expected: [UInt8] = []
            for index in 0..<100 {
                let prefix = pattern(20, seed: UInt8(index))
                let body = pattern(index.isMultiple(of: 2) ? 600 : 100, seed: UInt8(index))
                connection.write(prefix)
                connection.write(SharedBytes(body))
                expected += prefix + body
            }
            #expect(connection.pendingBytes == expected.count)
            reactor.turn(waitingAtMost: 0)
            #expect(reactor.counters.sendCalls == 1)
            #expect(far.receiveAvailable() == expected)
            #expect(connection.bytesAccepted == UInt64(expected.count))
            #expect(peer.drained == [false])
        }
    }

    @Test func `a partial write is accounted to the byte, and draining is told`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            connection.setSendBuffer(32 << 10)
            let bytes = pattern(1 << 20)
            connection.write(pattern(10, seed: 3))
            connection.write(SharedBytes(bytes))
            let expected = pattern(10, seed: 3) + bytes
            reactor.turn(waitingAtMost: 0)
            #expect(connection.isBlocked)
            #expect(peer.blockedCount == 1)
            #expect(connection.pendingBytes > 0)
            #expect(connection.bytesAccepted == UInt64(expected.count - connection.pendingBytes))
            #expect(peer.drained.isEmpty)

            var back: [UInt8] = []
            reactor.turn {
                let taken = Int(connection.bytesAccepted)
                back += far.receiveAvailable()
                #expect(back.count == taken)
                return back.count == expected.count && !connection.isBlocked
            }
            #expect(back == expected)
            #expect(peer.drained == [true])
            #expect(peer.blockedCount == 1)
            #expect(connection.heldBytes == 0)
        }
    }

    @Test func `while blocked nothing is tried, and little is pinned`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            connection.setSendBuffer(8 << 10)
            connection.write(SharedBytes(pattern(100_000)))
            reactor.turn(waitingAtMost: 0)
            let calls = reactor.counters.sendCalls
            let large = ByteStorage(capacity: 256 << 10)
            let text = pattern(1000, seed: 5)
            text.withUnsafeBytes { large.base.copyMemory(from: $0.baseAddress!, byteCount: 1000) }
            connection.write([1, 2, 3])
            connection.write(SharedBytes(storage: large, offset: 0, count: 1000))
            reactor.turn(waitingAtMost: 0)
            #expect(reactor.counters.sendCalls == calls)
            #expect(connection.heldBytes < 110_000)

            var back: [UInt8] = []
            reactor.turn {
                back += far.receiveAvailable()
                return back.count == 101_003
            }
            #expect(back == pattern(100_000) + [1, 2, 3] + text)
        }
    }

    @Test func `more vectors than one call takes go in the next round without waiting`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            connection.setSendBuffer(4 << 20)
            let body = SharedBytes(pattern(600))
            for _ in 0..<1500 {
                connection.write([7])
                connection.write(body)
            }
            var back = 0
            reactor.turn {
                back += far.receiveAvailable().count
                return back == 1500 * 601
            }
            #expect(connection.bytesAccepted == 1500 * 601)
        }
    }

    @Test func `a peer that vanishes mid-write ends the connection without a signal`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            connection.setSendBuffer(8 << 10)
            connection.write(SharedBytes(pattern(1 << 20)))
            reactor.turn(waitingAtMost: 0)
            #expect(connection.isBlocked)
            _ = far.receiveOnce()
            far.close()
            connection.write([1])
            reactor.turn { !peer.reasons.isEmpty }
            // The kernel says reset because the peer left bytes unread.
            #expect(peer.reasons.count == 1)
            #expect([.peerReset, .peerClosed(incompleteBytes: 0)].contains(peer.reasons[0]))
            #expect(connection.descriptor == nil)
            connection.write([1])
            #expect(connection.pendingBytes == 0)
        }
    }

    @Test func `what a peer sent before it went is still read after a write has failed`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            _ = far.send([1, 2, 3])
            far.close()
            connection.isReading = false
            connection.write([9])
            reactor.turn { connection.isWriteClosed }
            connection.isReading = true
            reactor.turn { !peer.reasons.isEmpty }
            #expect(peer.bytes == [1, 2, 3])
        }
    }

    @Test func `storage is used again from round to round`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            let storage = ObjectIdentifier(reactor.prefixes.storage)
            for _ in 0..<5000 {
                connection.write(pattern(100))
                reactor.turn(waitingAtMost: 0)
                _ = far.receiveAvailable()
            }
            #expect(ObjectIdentifier(reactor.prefixes.storage) == storage)
            #expect(reactor.prefixes.position <= 100)
        }
    }

    @Test func `a prefix larger than the shared storage has one of its own`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            connection.write(pattern(100_000))
            var back: [UInt8] = []
            reactor.turn {
                back += far.receiveAvailable()
                return back.count == 100_000
            }
            #expect(back == pattern(100_000))
        }
    }
}
