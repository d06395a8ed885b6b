// bus admin: care of the store while the daemon runs.

import ArgumentParser
import BusClient
import Glibc

struct AdminCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "admin", abstract: "Back up and check what is stored.",
        subcommands: [AdminBackup.self, AdminScrub.self])
}

struct AdminBackup: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Write a consistent copy of the store into a directory, while the bus runs.",
        discussion: """
            The daemon writes it, so that its user must be able to. The root key is not in it: without it nobody can \
            read the events, and nobody can restore them.
            """)

    @Argument(help: "The directory: empty, or not there yet.")
    var directory: String

    @OptionGroup var options: ChangeOptions

    func run() async throws {
        let path = absolute(directory)
        try await options.change(.backup, key: path) { "\(path): \(Units.bytes($0))" }
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
