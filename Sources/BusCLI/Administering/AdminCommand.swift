// bus admin: care of the store. What needs the daemon stopped is done by busd itself, which alone knows its files.

import ArgumentParser
import BusClient
import Glibc

struct AdminCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin", abstract: "Back up, check and restore what is stored.",
        subcommands: [AdminBackup.self, AdminScrub.self, AdminRestore.self, AdminFactoryReset.self])
}

struct AdminBackup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Write a consistent copy of the store into a directory, while the bus runs.",
        discussion: """
            The daemon writes it, so that its user must be able to. The root key is not in it: without it nobody can \
            read the events, and nobody can restore them. --with-key takes it along: keep such a copy as you keep keys.
            """)

    @Argument(help: "The directory: empty, or not there yet.")
    var directory: String

    @Flag(help: "Copy the root key, too.")
    var withKey = false

    @OptionGroup var options: ChangeOptions

    func run() async throws {
        let path = absolute(directory)
        do {
            try await options.change(withKey ? .backupWithKey : .backup, key: path) { "\(path): \(Units.bytes($0))" }
        } catch BusError.refused(.storeUnavailable, let message) {
            // The bus is there; a place that can't be written is no reason to wait for it.
            throw Failure(.other, message)
        }
    }

    /// The daemon's working directory isn't ours.
    private func absolute(_ path: String) -> String {
        guard !path.hasPrefix("/") else { return path }
        guard let here = getcwd(nil, 0) else { return path }
        defer { free(here) }
        return String(cString: here) + "/" + path
    }
}

struct AdminScrub: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scrub", abstract: "Read every row of the store and check it.",
        discussion: "Status 65 when something is damaged: it is set aside and reported, and the rest is served.")

    @OptionGroup var options: ChangeOptions

    func run() async throws {
        let damaged = try await options.change(.scrub) { count in
            count == 0 ? "nothing is damaged" : "\(counted(count, "row")) damaged, and set aside: see the log"
        }
        if damaged > 0 { throw ExitCode(Failure.Status.badData.rawValue) }
    }
}

/// Where the state lies that a stopped daemon left.
struct StateArguments: ParsableArguments {
    @Option(help: ArgumentHelp("The daemon's configuration, if it isn't where busd looks.", valueName: "file"))
    var config: String?

    @Option(help: ArgumentHelp("The state directory, if the configuration doesn't say.", valueName: "dir"))
    var state: String?

    /// Becomes `busd` with these arguments and our own.
    func runDaemon(_ arguments: [String]) throws {
        let argv =
            [PrivateBus.daemonPath] + arguments + (config.map { ["--config", $0] } ?? [])
            + (state.map { ["--state", $0] } ?? [])
        var pointers = argv.map { strdup($0) } + [nil]
        execvp(argv[0], &pointers)
        throw Failure(.other, "can't run \(argv[0]): \(String(cString: strerror(errno)))")
    }
}

struct AdminRestore: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Make a backup the state of a daemon that is stopped.",
        discussion: """
            The same as `busd --restore DIR`. The state directory must be empty, save for the root key where the backup \
            doesn't have it. The store is another one from then on: clients that resume from a sequence are told.
            """)

    @Argument(help: "The backup.")
    var directory: String

    @OptionGroup var arguments: StateArguments

    func run() throws { try arguments.runDaemon(["--restore", directory]) }
}

struct AdminFactoryReset: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "factory-reset", abstract: "Remove keys and everything stored, of a daemon that is stopped.",
        discussion: "The same as `busd --factory-reset`: for images, and for machines that are copies of others.")

    @OptionGroup var arguments: StateArguments

    func run() throws { try arguments.runDaemon(["--factory-reset"]) }
}
