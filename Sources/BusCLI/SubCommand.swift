// bus sub: prints what arrives, or runs a command for each event.

import ArgumentParser
import BusClient
import BusTransport

struct SubCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sub",
        abstract: "Print the events that match, or run a command for each.",
        discussion: """
            Prints each payload as a line. What was missed is said on standard error, or with --json as an object.

              bus sub 'sensors.*.temperature'
              bus sub 'orders.>' --json --count 10
              bus sub 'logs.>' --overflow stall=10s > all.log
              bus sub 'jobs.>' --exec -- ./handle-job
            """,
        aliases: ["subscribe"])

    @Argument(help: "The filters: * is one token, a final > is one or more.")
    var filters: [String]

    @Option(help: ArgumentHelp("End after so many events.", valueName: "n"))
    var count: UInt64?

    @Option(help: ArgumentHelp("Give up after this time, with status 75: 500ms, 3s, 10m.", valueName: "time"))
    var timeout: TimeSpan?

    @Flag(help: "Print one JSON object a line.")
    var json = false

    @Flag(help: "Print payloads as they are, without line ends.")
    var raw = false

    @Option(
        help: ArgumentHelp(
            "When this can't keep up: drop-oldest, or stall=TIME to hold publishers back.", valueName: "policy"))
    var overflow = OverflowArgument(argument: "drop-oldest")!

    @Flag(help: "Run the command after -- for each event, its payload on standard input.")
    var exec = false

    @Option(help: ArgumentHelp("With --exec: so many commands at once.", valueName: "n"))
    var parallel = 1

    @Option(help: ArgumentHelp("With --exec: end a command after this time.", valueName: "time"))
    var execTimeout: TimeSpan?

    /// The command for --exec.
    var command: [String] { CommandAfterTerminator.argv }

    @OptionGroup var bus: BusOptions

    func validate() throws {
        guard !filters.isEmpty else { throw ValidationError("name at least one filter, such as 'orders.>'") }
        guard !(json && raw) else { throw ValidationError("--json and --raw exclude each other") }
        guard exec == !command.isEmpty else {
            throw ValidationError(exec ? "--exec needs a command after --" : "a command after -- needs --exec")
        }
        guard !(exec && (json || raw)) else { throw ValidationError("--exec prints nothing: no --json, no --raw") }
        guard parallel >= 1, parallel <= 256 else { throw ValidationError("--parallel is 1 to 256") }
        guard count != 0 else { throw ValidationError("--count is at least 1") }
    }

    func run() async throws {
        if exec { return try await ExecSubscriber(self).run() }
        try await Printer.run(self)
    }

    var subscribeOptions: SubscribeOptions {
        var options = SubscribeOptions()
        options.overflow = overflow.policy
        options.stallTime = overflow.stallTime
        // What a slow terminal or a full pipe may hold up in this process before the daemon's queue begins to fill.
        options.creditEvents = 262_144
        options.creditBytes = 16 << 20
        // A log arrives in batches of thousands of lines: the daemon's default of 1,024 events holds not one of them.
        options.queueEventCount = 131_072
        return options
    }
}
