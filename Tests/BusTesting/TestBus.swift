// A real bus for tests: a server on a reactor thread of this process, in a directory of its own, that can be killed
// and started again on the same socket with the same state.

package import BusClient
package import BusServer
package import BusTransport
import Glibc
import Logging

/// A daemon in this process.
package final class TestBus: @unchecked Sendable {
    package let directory: TemporaryDirectory
    package let settings: DaemonConfiguration
    private var running: (reactor: Reactor, server: BusServer)?

    package init(_ settings: DaemonConfiguration = DaemonConfiguration()) throws {
        directory = try TemporaryDirectory()
        self.settings = settings
        try start()
    }

    deinit { kill() }

    package var socket: String { directory.path + "/bus.sock" }
    package var state: String { directory.path + "/state" }
    /// The reactor that serves now.
    package var reactor: Reactor? { running?.reactor }

    package func start() throws {
        precondition(running == nil, "it runs")
        let reactor = try Reactor(name: "test busd")
        do {
            let server = try BusServer(
                settings: settings, state: state, socket: .path(socket, mode: 0o600), on: reactor,
                log: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            running = (reactor, server)
            reactor.start()
        } catch {
            // A reactor that never ran lets go of what was made on it when it is stopped.
            reactor.stop()
            reactor.waitUntilStopped()
            throw error
        }
    }

    /// Ends it without a word to anybody, as SIGKILL does.
    package func kill() {
        guard let running else { return }
        running.reactor.stop()
        running.reactor.waitUntilStopped()
        self.running = nil
    }

    /// Ends it as SIGTERM does.
    package func shutDown() async {
        guard let running else { return }
        let reactor = running.reactor
        await onReactor { server in
            server.whenStopped = { reactor.stop() }
            server.shutDown()
        }
        reactor.waitUntilStopped()
        self.running = nil
    }

    /// Runs `body` where the server lives.
    package func onReactor<R: Sendable>(_ body: @escaping @Sendable (BusServer) -> R) async -> R {
        guard let running else { preconditionFailure("it doesn't run") }
        nonisolated(unsafe) let server = running.server
        return await Task(executorPreference: running.reactor) { body(server) }.value
    }

    // MARK: Its clients

    package func options(_ name: String = "test", through path: String? = nil) -> ConnectOptions {
        var options = ConnectOptions(address: BusAddress(path: path ?? socket), name: name)
        options.backoffMin = .milliseconds(2)
        options.backoffMax = .milliseconds(50)
        return options
    }

    package func connect(
        _ name: String = "test", through path: String? = nil, _ change: (inout ConnectOptions) -> Void = { _ in }
    ) async throws -> BusConnection {
        var options = options(name, through: path)
        change(&options)
        return try await BusConnection.connect(options)
    }
}
