// A real bus for tests: a daemon on a thread of this process, with a socket and state of its own, that can be killed and
// started again. No ports, no files left behind, nothing mocked: what a test sees is what a service will.
//
//     @Test func `an order is answered`() async throws {
//         let bus = try TestBus()
//         let shop = try await bus.connect("shop")
//         …
//     }

public import BusClient
package import BusServer
package import BusTransport
import Glibc
import Logging

/// A daemon in this process. It ends with its last reference, its state and socket with it.
///
/// Durable topics are on a real disk: what was receipted before `kill` is there after `start`.
///
///     let bus = try TestBus(configuration: "topics: {'orders.>': {kind: durable}}")
///     …
///     bus.kill()
///     try bus.start()
public final class TestBus: @unchecked Sendable {
    package let directory: TemporaryDirectory
    /// Its state directory: the key, and all that is stored.
    public let state: String
    package let settings: DaemonConfiguration
    private var running: (reactor: Reactor, server: BusServer)?

    /// Starts a bus.
    ///
    /// - Parameters:
    ///   - configuration: what would stand in busd.yaml, such as `"quotas: {connections: 2}"`.
    ///   - state: a state directory to go on with, such as a restored backup; it stays. nil for a new one, which goes
    ///     with the bus.
    /// - Throws: `TestBusError`, when the configuration is wrong or no bus can be started here.
    public convenience init(configuration: String = "", state: String? = nil) throws {
        var settings = DaemonConfiguration()
        do throws(ServerError) {
            try settings.read(yaml: configuration, from: "configuration")
            try settings.checkAll()
        } catch {
            throw TestBusError(description: error.description)
        }
        try self.init(settings, state: state)
    }

    package init(_ settings: DaemonConfiguration, state: String? = nil) throws {
        directory = try TemporaryDirectory()
        self.state = state ?? directory.path + "/state"
        self.settings = settings
        try start()
    }

    deinit { kill() }

    /// The path of its socket, for `LOCALBUS_SOCKET` of a program under test.
    public var socket: String { directory.path + "/bus.sock" }
    /// The reactor that serves now.
    package var reactor: Reactor? { running?.reactor }

    /// Starts it again after `kill` or `shutDown`, on the same socket with the same state.
    public func start() throws {
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
            throw TestBusError(description: "\(error)")
        }
    }

    /// Ends it without a word to anybody, as SIGKILL does: what wasn't on its way to the disk is lost.
    public func kill() {
        guard let running else { return }
        running.reactor.stop()
        running.reactor.waitUntilStopped()
        self.running = nil
    }

    /// Ends it as SIGTERM does: what is queued is delivered, everybody is told.
    public func shutDown() async {
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

    /// How to connect to it: like any service, but back within milliseconds after `kill` and `start`.
    ///
    /// - Parameters:
    ///   - name: what the client calls itself.
    ///   - path: another socket, of something in between.
    public func options(_ name: String = "test", through path: String? = nil) -> ConnectOptions {
        var options = ConnectOptions(address: BusAddress(path: path ?? socket), name: name)
        options.backoffMin = .milliseconds(2)
        options.backoffMax = .milliseconds(50)
        return options
    }

    /// A client of it, as `options` and then `change` make it.
    public func connect(
        _ name: String = "test", through path: String? = nil, _ change: (inout ConnectOptions) -> Void = { _ in }
    ) async throws -> BusConnection {
        var options = options(name, through: path)
        change(&options)
        return try await BusConnection.connect(options)
    }
}

/// Why there is no bus for a test.
public struct TestBusError: Error, Sendable, CustomStringConvertible {
    /// What was wrong and where.
    public let description: String
}
