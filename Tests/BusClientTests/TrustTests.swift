import BusTesting
import BusTransport
import Glibc
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct TrustTests {
    @Test func `a directory that others can write to is not trusted`() async throws {
        let bus = try TestBus()
        chmod(bus.directory.path, 0o777)
        await #expect { try await bus.connect() } throws: { "\($0)".contains("others can write to") }
        chmod(bus.directory.path, 0o770)
        await #expect { try await bus.connect() } throws: { "\($0)".contains("chmod go-w") }
        chmod(bus.directory.path, 0o755)
        await (try bus.connect()).close()
    }

    @Test(.enabled(if: geteuid() == 0, "only root can give a directory away"))
    func `a directory of somebody else is not trusted unless that user is named`() async throws {
        let bus = try TestBus()
        chown(bus.directory.path, 65534, 65534)
        await #expect { try await bus.connect() } throws: { "\($0)".contains("belongs to uid 65534") }
        await (try bus.connect { $0.trustedUID = 65534 }).close()
    }

    @Test func `where nobody listens is said with what to do, and leaves no thread behind`() async throws {
        let directory = try TemporaryDirectory()
        var options = ConnectOptions(address: BusAddress(path: directory.path + "/none"))
        await #expect { try await BusConnection.connect(options) } throws: { error in
            if case .unreachable(_, .socketMissing) = error as? BusError { true } else { false }
        }
        options.address = BusAddress(path: String(repeating: "x", count: 200))
        await #expect { try await BusConnection.connect(options) } throws: { error in
            if case .unreachable(_, .socketPathTooLong) = error as? BusError { true } else { false }
        }
    }

    @Test func `somebody who listens and says nothing is given up on`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, frame in
            direction == .toClient ? [] : frame
        }
        defer { relay.stop() }
        await #expect { try await bus.connect(through: relay.path) { $0.welcomeTime = .milliseconds(30) } } throws: {
            "\($0)".contains("no welcome within")
        }
        let connecting = Task { try await bus.connect(through: relay.path) }
        connecting.cancel()
        await #expect { try await connecting.value } throws: {
            if case .cancelled = $0 as? BusError { true } else { false }
        }
    }
}
