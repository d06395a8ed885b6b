import CLinux
import Glibc
import SystemPackage
import Testing

@testable import BusTransport

/// Takes every connection and keeps it.
final class Host: ListenerOwner {
    let reactor: Reactor
    let peer = Peer()
    var connections: [Connection] = []
    var reports: [Int] = []

    init(_ reactor: Reactor) { self.reactor = reactor }

    func listener(_ listener: Listener, accepted descriptor: consuming OwnedDescriptor) -> Bool {
        do throws(TransportError) {
            connections.append(try Connection(adopting: descriptor, on: reactor, owner: peer))
        } catch {
            Issue.record(error)
        }
        return true
    }

    func listener(_ listener: Listener, turnedAway count: Int, because error: TransportError) {
        reports.append(count)
    }
}

@Suite struct ListenerTests {
    @Test func `a client and a server talk through a path`() throws {
        try withReactor { reactor in
            try withDirectory { directory in
                let host = Host(reactor)
                let path = directory + "/s"
                let listener = try Listener(path: path, mode: [.ownerReadWrite], on: reactor, owner: host)
                var status = stat()
                #expect(lstat(path, &status) == 0)
                #expect(status.st_mode & 0o777 == 0o600)

                let client = Peer()
                let connection = try Connection.connect(to: path, on: reactor, owner: client)
                connection.write([1, 2, 3])
                reactor.turn { host.peer.bytes == [1, 2, 3] }
                host.connections[0].write([4])
                reactor.turn { client.bytes == [4] }
                #expect(try connection.peerCredentials().uid == geteuid())
                #expect(try host.connections[0].peerCredentials().pid == getpid())

                listener.close()
                listener.close()
                #expect(lstat(path, &status) == -1)
            }
        }
    }

    @Test func `a stampede is accepted in bounded portions`() throws {
        try withReactor { reactor in
            try withDirectory { directory in
                let host = Host(reactor)
                let path = directory + "/s"
                _ = try Listener(path: path, mode: [.ownerReadWrite], on: reactor, owner: host)
                let clients = Peer()
                for _ in 0..<100 { _ = try Connection.connect(to: path, on: reactor, owner: clients) }
                reactor.turn(waitingAtMost: 0)
                // Fewer where accepting takes long: a round has a bound in time, too.
                #expect((1...Listener.acceptsPerRoundMax).contains(host.connections.count))
                reactor.turn { host.connections.count == 100 }
            }
        }
    }

    @Test func `while accepting is off connections wait`() throws {
        try withReactor { reactor in
            try withDirectory { directory in
                let host = Host(reactor)
                let path = directory + "/s"
                let listener = try Listener(path: path, mode: [.ownerReadWrite], on: reactor, owner: host)
                listener.isAccepting = false
                _ = try Connection.connect(to: path, on: reactor, owner: Peer())
                reactor.turn(waitingAtMost: 0)
                #expect(host.connections.isEmpty)
                listener.isAccepting = true
                reactor.turn { host.connections.count == 1 }
            }
        }
    }

    @Test func `an inherited socket is taken over and its path left alone`() throws {
        try withReactor { reactor in
            try withDirectory { directory in
                let path = directory + "/s"
                let socket = try SocketPath(path).bind(mode: [.ownerReadWrite])
                #expect(Glibc.listen(socket.borrowed.rawValue, 1) == 0)
                let host = Host(reactor)
                let listener = try Listener(adopting: socket, on: reactor, owner: host)
                _ = try Connection.connect(to: path, on: reactor, owner: Peer())
                reactor.turn { host.connections.count == 1 }
                listener.close()
                #expect(try SocketPath(path).inspect() != nil)
            }
        }
    }

    @Test func `an inherited descriptor that does not listen is refused`() throws {
        try withReactor { reactor in
            let (near, _) = try socketPair()
            let number = near.fd
            let descriptor = try near.take()
            do throws(TransportError) {
                _ = try Listener(adopting: descriptor, on: reactor, owner: Host(reactor))
                Issue.record("it was taken")
            } catch {
                #expect(error == .inheritedDescriptorUnsuitable(descriptor: number))
            }
        }
    }

    @Test func `with a full descriptor table peers are told, the owner is told once, and nothing spins`() async {
        await #expect(processExitsWith: .success) {
            try withReactor { reactor in
                try withDirectory { directory in
                    let host = Host(reactor)
                    let path = directory + "/s"
                    let listener = try Listener(path: path, mode: [.ownerReadWrite], on: reactor, owner: host)
                    listener.refusal = Array("full".utf8)
                    let clients = Peer()
                    let waiting = try (0..<5).map { _ in
                        try Connection.connect(to: path, on: reactor, owner: clients)
                    }
                    // The next descriptor is one too many; those there are stay.
                    let next = dup(0)
                    Glibc.close(next)
                    try #require(linux_set_descriptor_limit(UInt64(next)) == 0)
                    reactor.turn { clients.reasons.count == 5 }
                    #expect(clients.bytes == Array(repeating: Array("full".utf8), count: 5).flatMap { $0 })
                    #expect(host.connections.isEmpty)
                    #expect(host.reports == [5])
                    #expect(waiting.allSatisfy { $0.descriptor == nil })

                    // Now there is room again, and everything is as before.
                    _ = try Connection.connect(to: path, on: reactor, owner: clients)
                    reactor.turn { host.connections.count == 1 }
                }
            }
        }
    }
}
