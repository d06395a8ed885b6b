// A relay between one subscriber and the daemon that keeps what passes: the wire, seen from the middle.

import BusTransport
import BusWire
import Glibc
import Synchronization

/// Listens on a socket of its own and passes everything on to the daemon's, and back.
final class WireTap: ListenerOwner, Sendable {
    let socket: String
    private let daemon: String
    private let reactor: Reactor
    private let passed = Mutex(Passed())

    /// What passed, by direction.
    struct Passed {
        var toDaemon: [UInt8] = []
        var toSubscriber: [UInt8] = []
    }

    /// What passed so far.
    var recording: Passed { passed.withLock { $0 } }

    init(_ socket: String, before daemon: String) throws {
        self.socket = socket
        self.daemon = daemon
        reactor = try Reactor(name: "wire tap")
        // The reactor keeps it, and it keeps us, until `stop`.
        _ = try Listener(path: socket, mode: [], on: reactor, owner: self)
        chmod(socket, 0o600)
        reactor.start()
    }

    /// Closes everything and removes the socket.
    func stop() {
        reactor.stop()
        reactor.waitUntilStopped()
        // The listener leaves the path's lock, since others might hold it; here are no others.
        unlink(socket + ".lock")
    }

    func listener(_ listener: Listener, accepted descriptor: consuming OwnedDescriptor) -> Bool {
        let fromSubscriber = Leg { [self] bytes in passed.withLock { $0.toDaemon += bytes } }
        let fromDaemon = Leg { [self] bytes in passed.withLock { $0.toSubscriber += bytes } }
        guard let far = try? Connection.connect(to: daemon, on: reactor, owner: fromDaemon) else { return false }
        guard let near = try? Connection(adopting: descriptor, on: reactor, owner: fromSubscriber) else {
            far.close(flushing: false)
            return false
        }
        fromSubscriber.other = far
        fromDaemon.other = near
        return true
    }

    func listener(_ listener: Listener, turnedAway count: Int, because error: TransportError) {}
}

/// One direction. Confined to the reactor.
private final class Leg: ConnectionOwner {
    var other: Connection?
    private let record: ([UInt8]) -> Void

    init(_ record: @escaping ([UInt8]) -> Void) { self.record = record }

    func connection(_ connection: Connection, received bytes: SharedBytes) -> Consumption {
        record(bytes.array)
        other?.write(bytes)
        return Consumption(consumed: bytes.count)
    }

    func connectionDrained(_ connection: Connection, afterBlocking: Bool) {}

    func connectionBlocked(_ connection: Connection) {}

    func connectionClosed(_ connection: Connection, reason: CloseReason) {
        other?.close(flushing: true)
        other = nil
    }
}
