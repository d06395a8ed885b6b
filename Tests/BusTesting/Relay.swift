// Somebody in the middle: passes bytes on between clients and a bus, in random pieces, changed, or no more.

package import BusTransport
import BusWire
import Glibc
import SystemPackage

/// A socket that leads to another one.
package final class Relay: @unchecked Sendable {
    package enum Direction: Sendable { case toServer, toClient }

    package let path: String
    private let target: String
    private let reactor: Reactor
    private let pieceMax: Int?
    private let change: (@Sendable (Direction, [UInt8]) -> [UInt8])?
    private var listener: Listener?
    private var sides: [Side] = []
    private var generator = SystemRandomNumberGenerator()

    /// Leads from `path` to `target`.
    ///
    /// - Parameters:
    ///   - pieceMax: bytes of the longest piece that is passed on at once; nil for whatever comes.
    ///   - change: called for every whole frame, in place of passing bytes.
    package init(
        _ path: String, to target: String, pieceMax: Int? = nil,
        change: (@Sendable (Direction, [UInt8]) -> [UInt8])? = nil
    ) throws {
        self.path = path
        self.target = target
        self.pieceMax = pieceMax
        self.change = change
        reactor = try Reactor(name: "test relay")
        listener = try Listener(path: path, mode: [.ownerReadWrite], on: reactor, owner: self)
        reactor.addObserver(self)
        reactor.start()
    }

    /// Must be called: it lives on its thread until then.
    package func stop() {
        reactor.stop()
        reactor.waitUntilStopped()
    }

    /// Whether new connections get through; else they wait.
    package func setAccepting(_ isAccepting: Bool) async {
        await Task(executorPreference: reactor) { [self] in listener?.isAccepting = isAccepting }.value
    }

    /// Closes all connections that go through it; new ones may come.
    package func cut() async {
        await Task(executorPreference: reactor) { [self] in
            for side in sides { side.connection?.close(flushing: false) }
        }.value
    }

    /// One end of a relayed connection.
    private final class Side: ConnectionOwner {
        let relay: Relay
        let direction: Direction
        var connection: Connection?
        var other: Side?
        var pending: [UInt8] = []
        private var unframed: [UInt8] = []

        init(_ relay: Relay, _ direction: Direction) {
            self.relay = relay
            self.direction = direction
        }

        func connection(_ connection: Connection, received bytes: SharedBytes) -> Consumption {
            guard let change = relay.change else {
                other?.pending += bytes.array
                relay.reactor.requestRound()
                return Consumption(consumed: bytes.count)
            }
            unframed += bytes.array
            while unframed.count >= Limits.frameHeaderLength {
                let body = unframed.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) }
                let length = Limits.frameHeaderLength + Int(body)
                guard unframed.count >= length else { break }
                other?.pending += change(direction, Array(unframed.prefix(length)))
                unframed.removeFirst(length)
            }
            relay.reactor.requestRound()
            return Consumption(consumed: bytes.count)
        }

        func connectionDrained(_ connection: Connection, afterBlocking: Bool) {}
        func connectionBlocked(_ connection: Connection) {}

        func connectionClosed(_ connection: Connection, reason: CloseReason) {
            self.connection = nil
            relay.sides.removeAll { $0 === self }
            guard let other, let beyond = other.connection else { return }
            self.other = nil
            other.pending.withUnsafeBytes { beyond.write(copying: $0) }
            other.pending = []
            beyond.close(flushing: true)
        }
    }
}

extension Relay: ListenerOwner {
    package func listener(_ listener: Listener, accepted descriptor: consuming OwnedDescriptor) -> Bool {
        do {
            let near = Side(self, .toServer)
            let far = Side(self, .toClient)
            let inner = try Connection.connect(to: target, on: reactor, owner: far)
            far.connection = inner
            near.connection = try Connection(adopting: descriptor, on: reactor, owner: near)
            near.other = far
            far.other = near
            sides += [near, far]
            return true
        } catch {
            // Nobody beyond: the descriptor is closed, which is what the client is to see.
            return false
        }
    }

    package func listener(_ listener: Listener, turnedAway count: Int, because error: TransportError) {}
}

extension Relay: RoundObserver {
    package func roundWillEnd(_ reactor: Reactor) {
        for side in sides where !side.pending.isEmpty {
            let count = pieceMax.map { Int.random(in: 1...$0, using: &generator) } ?? side.pending.count
            side.pending.prefix(count).withUnsafeBytes { side.connection?.write(copying: $0) }
            side.pending.removeFirst(min(count, side.pending.count))
            if !side.pending.isEmpty { reactor.requestRound() }
        }
    }
}
