import BusWire
import Testing

@testable import BusTransport

private final class Observer: RoundObserver {
    var body: () -> Void = {}
    var count = 0
    func roundWillEnd(_ reactor: Reactor) {
        count += 1
        body()
    }
}

@Suite struct ReactorTests {
    @Test func `what an observer writes leaves in the flush of the same round`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (connection, far) = try connected(reactor, peer)
            let observer = Observer()
            observer.body = { connection.write([1, 2]) }
            reactor.addObserver(observer)
            connection.write([0])
            reactor.turn(waitingAtMost: 0)
            #expect(far.receiveAvailable() == [0, 1, 2])
            #expect(reactor.counters.sendCalls == 1)
            reactor.removeObserver(observer)
            reactor.turn(waitingAtMost: 0)
            #expect(observer.count == 1)
        }
    }

    @Test func `a round that leaves work behind is followed by one that does not wait`() throws {
        try withReactor { reactor in
            reactor.inbox.begin()
            reactor.requestRound()
            let before = MonotonicInstant.now()
            reactor.turn(waitingAtMost: 60_000_000_000)
            #expect(MonotonicInstant.now() - before < .seconds(30))
        }
    }

    @Test func `a write made in answer to a result leaves in the next round`() throws {
        final class Chain: ConnectionOwner {
            var left = 3
            func connection(_ connection: Connection, received bytes: SharedBytes) -> Consumption {
                Consumption(consumed: bytes.count)
            }
            func connectionDrained(_ connection: Connection, afterBlocking: Bool) {
                left -= 1
                if left > 0 { connection.write([UInt8(left)]) }
            }
            func connectionBlocked(_ connection: Connection) {}
            func connectionClosed(_ connection: Connection, reason: CloseReason) {}
        }
        try withReactor { reactor in
            reactor.inbox.begin()
            let chain = Chain()
            let (connection, far) = try connected(reactor, chain)
            connection.write([3])
            for _ in 0..<3 { reactor.turn(waitingAtMost: 60_000_000_000) }
            #expect(far.receiveAvailable() == [3, 2, 1])
            #expect(reactor.counters.sendCalls == 3)
        }
    }
}
