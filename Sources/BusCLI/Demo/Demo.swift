// What the sections of the demo share: the bus, the processes, the screen, and the rule that nothing is said that
// wasn't checked.

import BusClient
import Glibc

/// The demo, told section by section. Every wait has a deadline, every process and file an end.
final class Demo {
    /// One of the subscriber processes.
    struct Subscriber {
        let filter: String
        let process: DemoProcess
    }

    /// Names this program when it is started again.
    static let program = ownPath() ?? "/proc/self/exe"

    let screen = Screen()
    let bus: PrivateBus
    private let daemonLog: Capture
    let connection: BusConnection
    var tap: WireTap?
    var publisher: DemoProcess?
    var subscribers: [Subscriber] = []
    private var processes: [DemoProcess] = []
    private var claimCount = 0
    private let start = ContinuousClock.now

    init() async throws {
        daemonLog = try Capture()
        // 0711: others may reach the socket, so that it is the daemon that refuses them.
        bus = try await PrivateBus(mode: 0o711, errors: daemonLog.descriptor)
        do {
            connection = try await BusConnection.connect(
                ConnectOptions(address: BusAddress(path: bus.socket), name: "bus demo"))
        } catch {
            bus.stop()
            throw error
        }
    }

    func tell() async throws {
        screen.title("LocalBus, shown on this host. Nothing below is prepared: every line is what was seen.")
        try await tellOfPublishing()
        try await tellOfTheWire()
        try await tellOfDeliveries()
        try await tellOfPatterns()
        try await tellOfStrangers()
        try await tellOfSlowness()
        try await tellOfThroughput()
        try await tellOfStatus()
        // Last: what the daemon counts begins anew with it.
        try await tellOfDurability()
        let seconds = Text.decimal((ContinuousClock.now - start) / .seconds(1), places: 1)
        screen.title("\(claimCount) claims (✓) made and checked in \(seconds) s. To play with a bus of your own:")
        screen.command("\(CommandLine.arguments[0]) run -- sh")
    }

    private func tellOfStatus() async throws {
        try screen.section("The bus in numbers", "What the daemon says of itself after all this.")
        let status = try start("bus status", ["status"])
        try await succeed(status, within: .seconds(5))
        screen.command("bus status")
        for line in status.output.lines { line.isEmpty ? screen.blank() : screen.line(line) }
    }

    /// Ends whatever still runs and removes what was made.
    func end() async {
        for process in processes { process.end() }
        await connection.close()
        tap?.stop()
        bus.stop()
    }

    // MARK: Processes

    /// Starts `bus` with these arguments on the demo's bus.
    func start(_ name: String, _ arguments: [String], socket: String? = nil, input: [UInt8] = []) throws -> DemoProcess
    {
        let environment = ["LOCALBUS_SOCKET": socket ?? bus.socket]
        let process = try DemoProcess(name, [Demo.program] + arguments, environment: environment, input: input)
        processes.append(process)
        return process
    }

    /// Starts `bus sub FILTER --json` and waits until the daemon knows of it.
    func subscribe(_ filter: String, options: [String] = [], socket: String? = nil) async throws -> DemoProcess {
        try await startSubscriber(
            "bus sub '\(filter)'", ["sub", filter, "--json"] + options, to: filter, socket: socket)
    }

    /// Starts a command that subscribes, and waits until the daemon knows of it.
    func startSubscriber(
        _ name: String, _ arguments: [String], to filter: String, socket: String? = nil
    ) async throws -> DemoProcess {
        let process = try start(name, arguments, socket: socket)
        // Whoever comes by the relay is the relay's process to the kernel.
        let pid = socket == tap?.socket && socket != nil ? getpid() : process.pid
        try await wait("a subscription to \(filter)", within: .seconds(10)) {
            try process.mustRun()
            let sessions = try await self.connection.inspect(.sessions).map { InspectedRow(values: $0) }
            return sessions.contains { $0.number("pid") == UInt64(pid) && $0.number("subscriptions") > 0 }
        }
        return process
    }

    /// Waits until a process has ended well.
    func succeed(_ process: DemoProcess, within limit: Duration) async throws {
        try await wait("the end of \(process.name)", within: limit) { process.status != nil }
        guard process.status == 0 else { throw process.failure }
    }

    /// Waits until something is so.
    func wait(_ what: String, within limit: Duration, until isSo: () async throws -> Bool) async throws {
        let deadline = ContinuousClock.now + limit
        while true {
            try Interruption.check()
            guard bus.isRunning else { throw Failure(.unavailable, "demo: the daemon ended before \(what)") }
            for subscriber in subscribers { try subscriber.process.mustRun() }
            if try await isSo() { return }
            guard ContinuousClock.now < deadline else {
                throw Failure(.other, "demo: waited \(limit) in vain for \(what)")
            }
            try await ContinuousClock().sleep(for: .milliseconds(5))
        }
    }

    // MARK: Facts

    /// Says something that holds, or ends the demo.
    func claim(_ holds: Bool, _ sentence: String) throws {
        guard holds else { throw Failure(.other, "demo: this doesn't hold: \(sentence)") }
        claimCount += 1
        screen.holds(sentence)
    }

    /// One of the daemon's own numbers.
    func number(_ name: String) async throws -> UInt64 {
        for value in try await connection.status() where value.name == name {
            if case .number(let number) = value.value { return number }
        }
        throw Failure(.other, "demo: the daemon doesn't tell `\(name)`")
    }

    /// What the daemon had to complain about.
    var daemonComplaints: [String] { daemonLog.lines }
}

/// This program's file.
private func ownPath() -> String? {
    var buffer = [CChar](repeating: 0, count: 4096)
    let n = readlink("/proc/self/exe", &buffer, buffer.count - 1)
    guard n > 0 else { return nil }
    let path = String(decoding: buffer[..<n].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    return access(path, X_OK) == 0 ? path : nil
}
