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
              bus sub 'config.>' --last
              bus sub 'jobs.>' --group workers --exec -- ./handle-job
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

    @Option(help: OverflowArgument.help)
    var overflow = OverflowArgument(argument: "drop-oldest")!

    @Flag(help: "Begin with the last value of every matching topic, where one is kept; then say so.")
    var last = false

    @OptionGroup var shared: GroupOptions

    @Flag(help: "With --group: one gets everything, the others stand by.")
    var exclusive = false

    @Flag(help: "Run the command after -- for each event, its payload on standard input.")
    var exec = false

    @Option(help: ArgumentHelp("With --exec: so many commands at once.", valueName: "n"))
    var parallel = 1

    @Option(help: ArgumentHelp("With --exec: end a command after this time.", valueName: "time"))
    var execTimeout: TimeSpan?

    /// The command for --exec.
    var command: [String] { CommandAfterTerminator.argv }

    @OptionGroup var wills: WillOptions
    @OptionGroup var bus: BusOptions

    /// The group, if it is shared.
    var group: String? { shared.group }

    func validate() throws {
        guard !filters.isEmpty else { throw ValidationError("name at least one filter, such as 'orders.>'") }
        guard !(json && raw) else { throw ValidationError("--json and --raw exclude each other") }
        guard exec == !command.isEmpty else {
            throw ValidationError(exec ? "--exec needs a command after --" : "a command after -- needs --exec")
        }
        guard !(exec && (json || raw)) else { throw ValidationError("--exec prints nothing: no --json, no --raw") }
        guard parallel >= 1, parallel <= 256 else { throw ValidationError("--parallel is 1 to 256") }
        guard count != 0 else { throw ValidationError("--count is at least 1") }
        try validateGroup()
    }

    private func validateGroup() throws {
        guard !exclusive || group != nil else {
            throw ValidationError("--exclusive is for a group: name it with --group")
        }
        guard !last || group == nil else {
            throw ValidationError("--last and --group exclude each other: each member would want every last value")
        }
        guard !exclusive || parallel == 1 else {
            throw ValidationError("--exclusive hands all events to one, in order: not with --parallel")
        }
    }

    func run() async throws {
        if exec { return try await ExecSubscriber(self).run() }
        try await Printer.run(self)
    }

    /// Connects, with notices on standard error and the last will.
    func connect(_ name: String, reactor: Reactor? = nil) async throws -> BusConnection {
        try await bus.connect(name, reactor: reactor, will: wills.lastWill) { Standard.error("bus: \($0)\n") }
    }

    var subscribeOptions: SubscribeOptions {
        var options = SubscribeOptions()
        options.overflow = overflow.policy
        options.stallTime = overflow.stallTime
        options.beginsWithLast = last
        // A log arrives in batches of thousands of lines: the daemon's default of 1,024 events holds not one of them.
        options.queueEventCount = 131_072
        options.group = group
        options.isExclusive = exclusive
        // What a member holds no other one gets: one by one where each takes time or the last is known, else as much
        // as the library thinks right.
        if group != nil {
            if exec || count != nil { options.creditEvents = 1 }
            return options
        }
        // What a slow terminal or a full pipe may hold up in this process before the daemon's queue begins to fill.
        options.creditEvents = 262_144
        options.creditBytes = 16 << 20
        return options
    }
}
