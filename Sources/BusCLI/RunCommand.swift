// bus run: a private bus for the time of one command, as dbus-run-session does for D-Bus.

import ArgumentParser
import Glibc

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Run a command with a private bus.",
        usage: "bus run -- <command> ...",
        discussion: """
            Starts a daemon in a temporary directory, runs the command with LOCALBUS_SOCKET naming it, and this \
            program behind all others in PATH, ends the daemon, and returns the command's exit status.

              bus run -- make test
            """)

    private var command: [String] { CommandAfterTerminator.argv }

    func validate() throws {
        guard !command.isEmpty else { throw ValidationError("name a command after --") }
    }

    func run() async throws {
        // A Ctrl-C is for the command; the daemon is ended after it.
        signal(SIGINT, SIG_IGN)
        let bus = try await PrivateBus()
        let status: Int32
        do {
            let child = try ChildProcess(command, environment: bus.environment, resetsInterrupt: true)
            forwardTermination(to: child)
            status = child.wait()
        } catch {
            bus.stop()
            Standard.error("bus: \((error as? Failure)?.message ?? "\(error)")\n")
            throw ExitCode(Failure.Status.notRunnable.rawValue)
        }
        bus.stop()
        throw ExitCode(status)
    }

    /// SIGTERM and SIGHUP to us are meant for the command, too.
    private func forwardTermination(to child: ChildProcess) {
        terminatedChild = child.pid
        for number in [SIGTERM, SIGHUP] { signal(number) { kill(terminatedChild, $0) } }
    }
}

/// Read by a signal handler, written once before it is set.
private nonisolated(unsafe) var terminatedChild: pid_t = 0
