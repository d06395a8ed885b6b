import BusWire
import CLinux
import Glibc
import Testing

@testable import BusTransport

@Suite struct ConnectionReceivingTests {
    @Test func `bytes come back as an echo`() throws {
        try withReactor { reactor in
            let echo = Peer()
            echo.answer = { connection, bytes in
                connection.write(bytes)
                return Consumption(consumed: bytes.count)
            }
            let (_, far) = try connected(reactor, echo)
            for length in [1, 511, 512, 513, 70_000] {
                let sent = pattern(length)
                #expect(far.send(sent) == length)
                var back: [UInt8] = []
                reactor.turn {
                    back += far.receiveAvailable()
                    return back.count == length
                }
                #expect(back == sent)
            }
        }
    }

    @Test func `a frame of a megabyte in pieces arrives whole, in storage of exactly its length`() throws {
        try withReactor { reactor in
            var frames: [SharedBytes] = []
            let peer = Peer()
            peer.answer = framed { frames.append($0) }
            let (connection, far) = try connected(reactor, peer)
            let sent = frame(1 << 20)
            var position = 0
            reactor.turn {
                let count = far.send(Array(sent[position..<min(position + 37_003, sent.count)]))
                position += max(0, count)
                return !frames.isEmpty
            }
            #expect(frames.map(\.array) == [sent])
            #expect(frames[0].storage.capacity == sent.count)
            #expect(connection.heldBytes == 0)
        }
    }

    @Test func `small frames cut anywhere arrive whole`() throws {
        try withReactor { reactor in
            var frames: [[UInt8]] = []
            let peer = Peer()
            peer.answer = framed { frames.append($0.array) }
            let (connection, far) = try connected(reactor, peer)
            let sent = (0..<40).map { frame(10 + $0 * 7, seed: UInt8($0)) }
            for byte in sent.joined() {
                _ = far.send([byte])
                reactor.turn(waitingAtMost: 0)
            }
            reactor.turn { frames.count == sent.count }
            #expect(frames == sent)
            #expect(connection.heldBytes == 0)
        }
    }

    @Test func `storage somebody still looks at is not written again`() throws {
        try withReactor { reactor in
            let peer = Peer()
            peer.keepsWindows = true
            let (_, far) = try connected(reactor, peer)
            let sent = (0..<30).map { pattern(50_000, seed: UInt8($0)) }
            for (index, bytes) in sent.enumerated() {
                #expect(far.send(bytes) == bytes.count)
                reactor.turn { peer.bytes.count == (index + 1) * 50_000 }
            }
            #expect(Array(peer.windows.map(\.array).joined()) == Array(sent.joined()))
            #expect(Set(peer.windows.map { ObjectIdentifier($0.storage) }).count > 1)
        }
    }

    @Test func `storage nobody looks at is used from its beginning again`() throws {
        try withReactor { reactor in
            var places: Set<UnsafeRawPointer> = []
            let peer = Peer()
            peer.answer = { _, bytes in
                places.insert(bytes.base)
                return Consumption(consumed: bytes.count)
            }
            let (_, far) = try connected(reactor, peer)
            for index in 1...20 {
                _ = far.send(pattern(1000))
                reactor.turn { peer.bytes.count == index * 1000 }
            }
            #expect(places.count == 1)
        }
    }

    @Test func `one read a round, so that a flood does not starve others`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (_, far) = try connected(reactor, peer)
            _ = far.send(pattern(100_000))
            reactor.turn(waitingAtMost: 0)
            #expect(reactor.counters.receiveCalls == 1)
        }
    }

    @Test func `while reading is off nothing is shown, then what was left comes first`() throws {
        try withReactor { reactor in
            let peer = Peer()
            peer.answer = { connection, bytes in
                connection.isReading = false
                return Consumption(consumed: min(1, bytes.count))
            }
            let (connection, far) = try connected(reactor, peer)
            _ = far.send([1, 2, 3])
            reactor.turn { peer.bytes.count == 1 }
            _ = far.send([4])
            for _ in 0..<5 { reactor.turn(waitingAtMost: 0) }
            #expect(peer.bytes == [1])

            connection.isReading = true
            reactor.turn(waitingAtMost: 0)
            #expect(peer.bytes == [1, 2])
            peer.answer = { _, bytes in Consumption(consumed: bytes.count) }
            connection.isReading = true
            reactor.turn { peer.bytes.count == 4 }
            #expect(peer.bytes == [1, 2, 3, 4])
        }
    }

    @Test func `a peer that goes while reading is off neither spins nor loses what it sent`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            connection.isReading = false
            _ = far.send([1, 2, 3])
            far.close()
            reactor.turn(waitingAtMost: 0)
            #expect(reactor.poller.wait(nanoseconds: 0) == 0)
            #expect(peer.bytes.isEmpty)

            connection.isReading = true
            reactor.turn { !peer.reasons.isEmpty }
            #expect(peer.bytes == [1, 2, 3])
            #expect(peer.reasons == [.peerClosed(incompleteBytes: 0)])
        }
    }

    @Test func `a half-closed peer gets its answer, then the connection ends`() throws {
        try withReactor { reactor in
            let peer = Peer()
            peer.answer = { connection, bytes in
                connection.write([9])
                return Consumption(consumed: 2)
            }
            let (_, far) = try connected(reactor, peer)
            _ = far.send([1, 2, 3])
            shutdown(far.fd, CInt(SHUT_WR))
            reactor.turn { !peer.reasons.isEmpty }
            #expect(peer.reasons == [.peerClosed(incompleteBytes: 1)])
            #expect(far.receiveAvailable() == [9])
            #expect(far.receiveOnce() == 0)
        }
    }

    @Test func `an owner that finds no frame in too many bytes loses the connection`() throws {
        try withReactor { reactor in
            let peer = Peer()
            peer.answer = { _, _ in Consumption(consumed: 0) }
            let (_, far) = try connected(reactor, peer)
            _ = far.send(pattern(Connection.assembledFrameMin + 1))
            reactor.turn { !peer.reasons.isEmpty }
            #expect(peer.reasons == [.unframed])
        }
    }

    @Test func `descriptors sent along are closed by the kernel`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (_, far) = try connected(reactor, peer)
            let (kept, sent) = try socketPair()
            #expect(linux_send_descriptors(far.fd, [7], 1, [sent.fd], 1) == 1)
            sent.close()
            reactor.turn { peer.bytes == [7] }
            // Its last copy was in the message, so what it was connected with is at the end.
            #expect(kept.receiveOnce() == 0)
        }
    }
}
