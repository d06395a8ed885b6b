import BusWire
import Testing

@testable import BusTransport

@Suite struct ReactorTurnsTests {
    /// Connections of one principal, each with a byte to be read, whose reading takes `cost`.
    private func readers(
        _ count: Int, of principal: UInt32, costing cost: Int64, on reactor: Reactor, _ peer: Peer
    ) throws -> [RawSocket] {
        peer.answer = { _, bytes in
            reactor.turns.note(cost, by: principal)
            return Consumption(consumed: bytes.count)
        }
        return try (0..<count).map { _ in
            let (connection, far) = try connected(reactor, peer)
            connection.principal = principal
            #expect(far.send([1]) == 1)
            return far
        }
    }

    @Test func `a principal that takes long lets the others go first, and goes on in the next round`() throws {
        try withReactor { reactor in
            let (greedy, modest) = (Peer(), Peer())
            let held = try readers(5, of: 1, costing: FairTurns.quantum, on: reactor, greedy)
            let other = try readers(1, of: 2, costing: 0, on: reactor, modest)
            reactor.turn(waitingAtMost: 0)
            #expect(greedy.bytes.count == 1 && modest.bytes.count == 1)
            for _ in 0..<4 { reactor.turn(waitingAtMost: 0) }
            #expect(greedy.bytes.count == 5 && modest.bytes.count == 1)
            #expect(held.count + other.count == 6)
        }
    }

    @Test func `alone, a principal is read from as fast as it goes`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let held = try readers(5, of: 1, costing: FairTurns.quantum, on: reactor, peer)
            reactor.turn(waitingAtMost: 0)
            #expect(peer.bytes.count == held.count)
        }
    }

    @Test func `what came of a read later is charged, too, and makes the next ones shorter`() throws {
        try withReactor { reactor in
            let (greedy, modest) = (Peer(), Peer())
            let far = try readers(1, of: 1, costing: 0, on: reactor, greedy)[0]
            let other = try readers(1, of: 2, costing: 0, on: reactor, modest)[0]
            greedy.answer = { connection, bytes in
                connection.charge(nanoseconds: 16 * FairTurns.quantum)
                return Consumption(consumed: bytes.count)
            }
            reactor.turn(waitingAtMost: 0)
            #expect(greedy.bytes.count == 1 && modest.bytes.count == 1)
            // It owes fifteen quanta; meanwhile the other one is read from, round after round.
            #expect(far.send([UInt8](repeating: 2, count: 100_000)) == 100_000)
            for round in 2..<17 {
                #expect(other.send([1]) == 1)
                reactor.turn(waitingAtMost: 0)
                #expect(greedy.bytes.count == 1 && modest.bytes.count == round)
            }
            #expect(other.send([1]) == 1)
            reactor.turn(waitingAtMost: 0)
            #expect(greedy.bytes.count > 1 && greedy.bytes.count <= 1 + (256 << 10) / 16)
        }
    }

    @Test func `who is gone is no principal any more`() throws {
        try withReactor { reactor in
            let peer = Peer()
            let (first, _) = try connected(reactor, peer)
            let (second, _) = try connected(reactor, peer)
            first.principal = 1
            second.principal = 2
            #expect(reactor.principals == [1: 1, 2: 1])
            second.principal = 1
            #expect(reactor.principals == [1: 2])
            first.close(flushing: false)
            second.close(flushing: false)
            #expect(reactor.principals.isEmpty)
        }
    }
}
