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
              bus sub 'orders.>' --since 1h
              bus sub 'orders.>' --durable billing --exec -- ./bill

            With --durable, a command that ends with 0 has handled its event; with 65, the event becomes a dead letter; \
            with anything else, it is tried again.
            """,
        aliases: ["subscribe"])

    @Argument(help: "The filters: * is one token, a final > is one or more. None for a durable subscription's own.")
    var filters: [String] = []

    @Option(help: ArgumentHelp("End after so many events.", valueName: "n"))
    var count: UInt64?

    @Option(
        help: ArgumentHelp(
            "Give up after this time, with status 75: 500ms, 3s, 10m. Commands of --exec are ended.", valueName: "time")
    )
    var timeout: TimeSpan?

    @Flag(help: "Print one JSON object a line.")
    var json = false

    @Flag(help: "Print payloads as they are, without line ends.")
    var raw = false

    @Option(help: OverflowArgument.help)
    var overflow = OverflowArgument(argument: "drop-oldest")!

    @OptionGroup var begin: StartArguments
    @OptionGroup var shared: GroupOptions
    @OptionGroup var durable: DurableArguments

    @Flag(help: "With --group or --durable: one gets everything, the others stand by.")
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

    /// The filters to subscribe to; an empty one for a durable subscription's own.
    var subscribed: [String] { filters.isEmpty ? [""] : filters }

    /// What was kept for this, in what is said when all of it has come.
    var keptWord: String { durable.durable == nil && begin.last ? "last value" : "stored event" }

    /// Whether what arrives is acknowledged: others wait for it, or it comes again.
    var acknowledges: Bool {
        group != nil || durable.durable != nil && durable.ack != DurableArguments.Acknowledge.none
    }

    func validate() throws {
        guard !filters.isEmpty || durable.durable != nil else {
            throw ValidationError("name at least one filter, such as 'orders.>'")
        }
        guard !(json && raw) else { throw ValidationError("--json and --raw exclude each other") }
        guard exec == !command.isEmpty else {
            throw ValidationError(exec ? "--exec needs a command after --" : "a command after -- needs --exec")
        }
        guard !(exec && (json || raw)) else { throw ValidationError("--exec prints nothing: no --json, no --raw") }
        guard exec || (parallel == 1 && execTimeout == nil) else {
            throw ValidationError("--parallel and --exec-timeout are for --exec")
        }
        guard parallel >= 1, parallel <= 256 else { throw ValidationError("--parallel is 1 to 256") }
        guard count != 0 else { throw ValidationError("--count is at least 1") }
        try validateGroup()
        try validateStored()
    }

    private func validateGroup() throws {
        guard !exclusive || group != nil || durable.durable != nil else {
            throw ValidationError(
                "--exclusive is for a group or a durable subscription: name it with --group or --durable")
        }
        guard !begin.last || group == nil else {
            throw ValidationError("--last and --group exclude each other: each member would want every last value")
        }
        guard begin.start == nil || group == nil else {
            throw ValidationError("a group begins with what is new: `--durable NAME --shared` begins where you say")
        }
        guard !exclusive || parallel == 1 else {
            throw ValidationError("--exclusive hands all events to one, in order: not with --parallel")
        }
    }

    private func validateStored() throws {
        for filter in filters { try begin.check(against: filter) }
        guard durable.durable != nil else { return }
        guard group == nil else {
            throw ValidationError("--durable and --group exclude each other: `--durable NAME --shared` spreads events")
        }
        guard filters.count <= 1 else { throw ValidationError("--durable has one filter, not \(filters.count)") }
        guard begin.start == nil || !filters.isEmpty else {
            throw ValidationError(
                "a new durable subscription needs its filter; `bus subscription seek` moves an old one")
        }
        guard !(durable.shared && exclusive) else {
            throw ValidationError("--shared and --exclusive exclude each other")
        }
        guard overflow.policy == .dropOldest else {
            throw ValidationError("--overflow is for what isn't stored: a durable subscription waits in the store")
        }
        guard !exec || durable.ack == nil else {
            throw ValidationError("--exec acknowledges by the command's status: not with --ack")
        }
        guard parallel == 1 || durable.shared else {
            throw ValidationError("--parallel makes several consumers of a durable subscription: say --shared, too")
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
        if durable.durable == nil {
            options.beginsWithLast = begin.last
            options.start = begin.last ? .new : begin.start ?? .new
        }
        // A log arrives in batches of thousands of lines: the daemon's default of 1,024 events holds not one of them.
        options.queueEventCount = 131_072
        options.group = group
        options.isExclusive = exclusive && group != nil
        // What a member holds no other one gets: one by one where each takes time or the last is known, else as much
        // as the library thinks right.
        options.durable = durableOptions
        if acknowledges {
            if exec || count != nil { options.creditEvents = 1 }
            return options
        }
        // What a slow terminal or a full pipe may hold up in this process before the daemon's queue begins to fill.
        options.creditEvents = 262_144
        options.creditBytes = 16 << 20
        return options
    }

    private var durableOptions: DurableOptions? {
        guard let name = durable.durable else { return nil }
        var options = DurableOptions(name: name)
        options.isShared = durable.shared
        options.isExclusive = exclusive
        options.start = begin.start
        options.acknowledgement = durable.ack == DurableArguments.Acknowledge.none ? .none : .automatic
        return options
    }
}
