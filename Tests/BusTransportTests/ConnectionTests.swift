import BusWire
import CLinux
import Glibc
import Testing

@testable import BusTransport

@Suite struct ConnectionTests {
    @Test func `an idle connection is one small object and holds nothing`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            _ = far.send([1])
            connection.write(pattern(2000))
            reactor.turn { peer.bytes.count == 1 && peer.drained == [false] }
            #expect(connection.heldBytes == 0)
            #expect(connection.outbox == nil)
            #expect(malloc_usable_size(Unmanaged.passUnretained(connection).toOpaque()) <= 256)
        }
    }

    @Test func `closing with a flush waits until the kernel has everything`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            connection.setSendBuffer(8 << 10)
            let bytes = pattern(300_000)
            connection.write(SharedBytes(bytes))
            connection.close(flushing: true)
            connection.write([1])
            var back: [UInt8] = []
            reactor.turn {
                back += far.receiveAvailable()
                return !peer.reasons.isEmpty
            }
            back += far.receiveAvailable()
            #expect(back == bytes)
            #expect(peer.reasons == [.closedByOwner])
            #expect(far.receiveOnce() == 0)
        }
    }

    @Test func `a flush that takes too long is cut short by closing again`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, _) = try connected(reactor, peer)
            connection.write(SharedBytes(pattern(4 << 20)))
            connection.close(flushing: true)
            reactor.turn(waitingAtMost: 0)
            #expect(peer.reasons.isEmpty)
            connection.close(flushing: false)
            #expect(peer.reasons.isEmpty, "never from inside a call of the owner's")
            reactor.turn(waitingAtMost: 0)
            #expect(peer.reasons == [.closedByOwner])
            connection.close(flushing: false)
            reactor.turn(waitingAtMost: 0)
            #expect(peer.reasons.count == 1)
        }
    }

    @Test func `closing from inside a callback is safe, also for others in the same batch`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (first, farA) = try connected(reactor, peer)
            let (second, farB) = try connected(reactor, peer)
            peer.answer = { _, bytes in
                first.close(flushing: false)
                second.close(flushing: false)
                return Consumption(consumed: 0)
            }
            _ = farA.send([1])
            _ = farB.send([1])
            reactor.turn { peer.reasons.count == 2 }
            #expect(reactor.counters.receiveCalls == 1)
        }
    }

    @Test func `the owner is let go when it has been told`() throws {
        try withReactor { reactor in
            weak var seen: Peer?
            do {
                let peer = Peer()
                seen = peer
                let (connection, _) = try connected(reactor, peer)
                connection.close(flushing: false)
                reactor.turn(waitingAtMost: 0)
            }
            #expect(seen == nil)
        }
    }

    @Test func `connecting says what is wrong with the path`() throws {
        try withReactor { reactor in
            try withDirectory { directory in
                let peer = Peer()
                let missing = directory + "/s"
                #expect(throws: TransportError.socketMissing(path: missing)) {
                    try Connection.connect(to: missing, on: reactor, owner: peer)
                }
                let long = "/" + String(repeating: "x", count: 129)
                #expect(throws: TransportError.socketPathTooLong(path: long, length: 130, limit: 107)) {
                    try Connection.connect(to: long, on: reactor, owner: peer)
                }
            }
        }
    }
}
