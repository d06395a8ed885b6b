// bus subscription: who wants what, and how well each keeps up.

import ArgumentParser
import BusClient

struct SubscriptionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "subscription",
        abstract: "Show who wants what, and how well each keeps up; make and end durable ones.",
        subcommands: [
            SubscriptionList.self, SubscriptionShow.self, SubscriptionCreate.self, SubscriptionAlter.self,
            SubscriptionSeek.self, SubscriptionDelete.self,
        ], defaultSubcommand: SubscriptionList.self,
        aliases: ["subscriptions"])
}

struct SubscriptionList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the subscriptions.",
        discussion: """
            ID is session/number. QUEUED are events that wait in the daemon, MISSED those it had to drop, UNACKED \
            those delivered to a member of a group that hasn't handled them yet. Durable subscriptions come first: \
            PENDING are their events that nobody has handled yet.
            """)

    @OptionGroup var options: InspectOptions

    func run() async throws {
        let (durable, sessions) = try await options.with("bus list") { connection in
            let durable = try await DurableSubscriptions.rows(connection)
            return (durable, try await connection.inspect(.subscriptions).map { InspectedRow(values: $0) })
        }
        if !durable.isEmpty {
            options.show(durable, DurableSubscriptions.columns, ifNone: "")
            if sessions.isEmpty { return }
            if !options.json { Standard.output("\n") }
        }
        options.show(sessions.sorted { order($0) < order($1) }, SubscriptionList.columns, ifNone: "no subscriptions")
    }

    /// By session, then by its own number.
    private func order(_ row: InspectedRow) -> (UInt64, UInt64) {
        (row.number("session"), row.text("subscription").split(separator: "/").last.flatMap { UInt64($0) } ?? 0)
    }

    static let columns: [InspectedColumn] = [
        .words("ID") { $0.text("subscription") },
        .name("FILTER") { $0.text("filter") },
        .name("NAME") { $0.text("name") },
        .name("GROUP") { $0.text("group") },
        .words("MODE") { mode($0) },
        .count("DELIVERED", "events_delivered"),
        .count("QUEUED", "events_queued"),
        .count("MISSED", "events_missed"),
        .rareCount("UNACKED", "outstanding"),
        .words("OVERFLOW") { $0.text("overflow") == "drop-oldest" ? "" : $0.text("overflow") },
    ]

    private static func mode(_ row: InspectedRow) -> String {
        [row.text("mode"), row.isSet("responds") ? "answers" : ""].filter { !$0.isEmpty }.joined(separator: ", ")
    }
}

struct SubscriptionShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "show", abstract: "Show one subscription.")

    @Argument(help: "A durable one's name; or an id as `bus subscriptions` shows it: session/number.")
    var subscription: String

    @OptionGroup var options: InspectOptions

    func validate() throws {
        guard !isDurable else { return try checkDurableName(subscription) }
        let parts = subscription.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy({ UInt64($0) != nil }) else {
            throw ValidationError("“\(subscription)” is no subscription's id: that is session/number, such as 7/1")
        }
    }

    private var isDurable: Bool { !subscription.contains("/") }

    func run() async throws {
        if isDurable { return try await DurableSubscriptions.show(subscription, options) }
        let row = try await options.with("bus show") { connection in
            try await options.row(
                .subscriptions, subscription, "subscription", hint: "`bus subscriptions`", connection)
        }
        var details = Details(row)
        details.add("filter", ["filter"]) { $0.text("filter") }
        details.add("session", ["session", "name"]) { row in
            let name = row.text("name")
            return "\(row.number("session"))\(name.isEmpty ? "" : ", \(name)")"
        }
        details.add("group", ["group", "mode"]) { row in
            [row.text("group"), row.text("mode")].filter { !$0.isEmpty }.joined(separator: ", ")
        }
        details.add("answers requests", ["responds"]) { $0.isSet("responds") ? "yes" : "no" }
        details.add("when full", ["overflow"]) { $0.text("overflow") }
        details.add("delivered", ["events_delivered"]) { Text.grouped($0.number("events_delivered")) + " events" }
        details.addAmount("queued", events: "events_queued", bytes: "bytes_queued")
        details.add("missed", ["events_missed"]) { Text.grouped($0.number("events_missed")) + " events" }
        details.add("not acknowledged", ["outstanding"]) { Text.grouped($0.number("outstanding")) + " events" }
        details.add("credit left", ["credit_events"]) { Text.grouped($0.number("credit_events")) + " events" }
        details.add("", ["subscription"]) { _ in "" }
        options.show(row, "subscription \(subscription)", details)
    }
}
