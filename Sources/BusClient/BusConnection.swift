// A connection to the bus: what applications hold.

import BusTransport
public import BusWire
import Synchronization

/// A connection to a bus, which comes back by itself.
///
/// An actor whose executor is its reactor: calls from outside change thread once, calls from inside `run` are plain
/// calls. Close it when done; `BusConnection.with` does.
///
///     let bus = try await BusConnection.connect(ConnectOptions(name: "billing"))
///     let receipt = try await bus.publish("42 EUR", to: "billing.invoice.created")
///     for try await arrival in try await bus.subscribe("billing.>") { … }
public actor BusConnection {
    nonisolated let core: ClientCore

    private init(_ core: ClientCore) { self.core = core }

    /// Forgotten rather than closed: the reactor holds the core and would for ever.
    deinit {
        let core = core
        guard !core.isOver.load(ordering: .acquiring) else { return }
        Task(executorPreference: core.reactor) { core.end(.closed) }
    }

    /// The reactor's thread.
    nonisolated public var unownedExecutor: UnownedSerialExecutor {
        core.reactor.asUnownedSerialExecutor()
    }

    /// Connects and shakes hands.
    ///
    /// - Throws: `BusError.unreachable` when there is no daemon, `.untrusted` when it isn't one to trust, `.refused`
    ///   when it doesn't admit this user.
    public static func connect(_ options: ConnectOptions = ConnectOptions()) async throws(BusError) -> BusConnection {
        let connection = BusConnection(try ClientCore(options))
        try await connection.open()
        return connection
    }

    /// Connects, runs `body`, sends what is still to be sent, and closes.
    public static func with<R: Sendable>(
        _ options: ConnectOptions = ConnectOptions(), _ body: (BusConnection) async throws -> R
    ) async throws -> R {
        let connection = try await connect(options)
        do {
            let result = try await body(connection)
            await connection.drain()
            await connection.close()
            return result
        } catch {
            await connection.close()
            throw error
        }
    }

    private func open() async throws(BusError) {
        let will = try core.options.will.map { (will) throws(BusError) in try checked(will) }
        try await core.open()
        guard let will else { return }
        do throws(BusError) { try await set(will) } catch {
            core.end(error)
            throw error
        }
    }

    /// Runs `body` on the connection's executor, where publishing and iterating are plain calls.
    public func run<R: Sendable>(_ body: @Sendable (isolated BusConnection) async throws -> R) async rethrows -> R {
        try await body(self)
    }

    /// Waits until everything published so far has its receipt or its refusal, or until the task is cancelled.
    public func drain() async { await core.publishing.waitUntilIdle() }

    /// Says goodbye and ends. What has no receipt yet fails with `BusError.closed`; `drain` first to wait for it.
    public func close() async { await core.leave() }

    /// What the daemon tells about itself: named values, as `bus status` shows them.
    public func status() async throws(BusError) -> [InspectedValue] {
        try await core.inspecting.ask(.status).first ?? []
    }

    /// What the daemon knows of sessions, topics, subscriptions or users: a row for each, of named values.
    ///
    /// - Parameters:
    ///   - kind: of what.
    ///   - key: one of them, in more detail; empty for all.
    /// - Throws: `BusError.refused` with `unknown-name` when there is none of this key.
    public func inspect(_ kind: InspectionKind, key: String = "") async throws(BusError) -> [[InspectedValue]] {
        try await core.inspecting.ask(kind, key: key)
    }

    /// The daemon's name and version; empty before the welcome.
    public var server: String { core.welcome?.server ?? "" }
}
