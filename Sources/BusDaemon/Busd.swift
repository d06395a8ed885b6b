// busd: the daemon. Reads its arguments and configuration, then runs a server until it is told to stop.

import ArgumentParser
import BusServer
import Logging

@main
struct Busd: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "busd",
        abstract: "The LocalBus daemon: routes sealed events between the services of this host.",
        discussion: """
            Without --config it reads /usr/lib/localbus/busd.yaml, /etc/localbus/busd.yaml and /etc/localbus/busd.d/*.yaml \
            (a user's bus: ~/.config/localbus/busd.yaml). Under systemd it takes the socket that was handed over. \
            SIGTERM and SIGINT let it deliver what is queued, for 5 seconds at most, and stop.
            """,
        version: BusServer.version)

    @Option(help: ArgumentHelp("Read this configuration, and no other.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("Keep keys and state here.", valueName: "dir"))
    var state: String?

    @Option(help: ArgumentHelp("Listen on this path.", valueName: "path"))
    var socket: String?

    @Option(
        name: .customLong("log-level"),
        help: ArgumentHelp("trace, debug, info, notice, warning, error or critical.", valueName: "level"))
    var logLevel: String?

    @Flag(help: "Check the configuration and end: status 0 if it is good, 78 if not.")
    var check = false

    @Option(
        help: ArgumentHelp(
            "With the daemon stopped: make this backup the state, which must be empty, and end.", valueName: "dir"))
    var restore: String?

    @Flag(help: "With the daemon stopped: go back to the store of before a newer busd changed it, and end.")
    var rollback = false

    @Flag(help: "With the daemon stopped: remove keys and everything stored, and end; for images.")
    var factoryReset = false

    func validate() throws {
        guard [check, restore != nil, rollback, factoryReset].count(where: { $0 }) <= 1 else {
            throw ValidationError("--check, --restore, --rollback and --factory-reset exclude each other")
        }
    }

    func run() throws {
        let manager = ServiceManager()
        do throws(ServerError) {
            let plan = try DaemonPlan(
                config: config, state: state, socket: socket, logLevel: logLevel, manager: manager)
            if check {
                print("configuration is good: socket \(plan.socketPath), state \(plan.state)")
                return
            }
            if let sentence = try care(plan.state, manager) {
                print(sentence)
                return
            }
            try Daemon(plan, manager).run()
        } catch {
            PlainLog.write(.error, "\(error)")
            throw ExitCode(exitStatus(of: error))
        }
    }

    /// Does what is to be done to the state without serving it.
    private func care(_ state: String, _ manager: ServiceManager) throws(ServerError) -> String? {
        if let restore { return try StateCare.restore(restore, to: state, credentials: manager.credentials) }
        if rollback { return try StateCare.rollback(state) }
        if factoryReset { return try StateCare.factoryReset(state) }
        return nil
    }

    /// 78 is a configuration or state to be mended, 1 everything else that keeps a daemon from starting.
    private func exitStatus(of error: ServerError) -> Int32 {
        switch error {
        case .configuration, .state: 78
        case .socket, .system: 1
        }
    }
}
