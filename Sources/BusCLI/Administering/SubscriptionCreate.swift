// bus subscription create: makes a durable subscription before anybody consumes it.

import ArgumentParser
import BusClient

struct SubscriptionCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a durable subscription: from now on nothing of its topics is lost to it.",
        discussion: """
            `bus sub --durable NAME` consumes it, from where it stands.

              bus subscription create billing 'orders.>' --shared --all
              bus subscription create audit 'orders.>' --attempts 3 --ack-wait 5m
            """)

    @Argument(help: "Its name: one token.")
    var name: String

    @Argument(help: "The filter: * is one token, a final > is one or more. Durable topics only.")
    var filter: String

    @Flag(help: "Several consumers share it: each event goes to one.")
    var shared = false

    @Flag(help: "Several consumers attend it: one gets everything, the others stand by.")
    var exclusive = false

    @Option(help: "none: what was sent counts as acknowledged.")
    var ack: DurableArguments.Acknowledge = .auto

    @OptionGroup var begin: StartArguments
    @OptionGroup var arguments: SubscriptionSettingArguments
    @OptionGroup var options: ChangeOptions

    func validate() throws {
        try checkDurableName(name)
        try checkFilterArgument(filter)
        try begin.check(against: filter)
        guard !(shared && exclusive) else { throw ValidationError("--shared and --exclusive exclude each other") }
    }

    func run() async throws {
        var mode: SubscribeMode = []
        if shared { mode.insert(.shared) }
        if exclusive { mode.insert(.exclusive) }
        if ack == .none { mode.insert(.unacknowledged) }
        try await options.change(
            .createSubscription, key: name, filter: filter, mode: mode, start: begin.start,
            settings: arguments.settings
        ) { _ in "durable subscription \(name) of '\(filter)'" }
        let connection = try await options.bus.connect("bus subscription create", reconnects: false)
        await LiveTopics.tell(of: filter, connection)
        await connection.close()
    }
}
