// bus session: who is connected. `bus list` is the same list, as with busctl.

import ArgumentParser
import BusClient

struct SessionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session", abstract: "Show who is connected.",
        subcommands: [SessionList.self, SessionShow.self], defaultSubcommand: SessionList.self, aliases: ["sessions"])
}

struct SessionList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the sessions: who is connected, with what traffic.",
        discussion: """
            PUB/S and DELIV/S are events a second, QUEUED are events that wait in the daemon, MISSED those it had to \
            drop, UNACKED those delivered to a member of a group that hasn't handled them yet.
            """)

    @OptionGroup var options: InspectOptions

    func run() async throws {
        let rows = try await options.rows(.sessions).sorted { $0.number("session") < $1.number("session") }
        options.show(rows, SessionList.columns, ifNone: "no sessions")
    }

    static let columns: [InspectedColumn] = [
        .amount("SESSION") { "\($0.number("session"))" },
        .words("USER") { userName($0.number("uid")) },
        .amount("PID") { $0.isSet("pid") ? "\($0.number("pid"))" : "" },
        .name("NAME") { $0.text("name") },
        .count("SUBS", "subscriptions"),
        .rate("PUB/S", "publish_rate"),
        .rate("DELIV/S", "deliver_rate"),
        .count("QUEUED", "events_queued"),
        .count("MISSED", "events_missed"),
        .rareCount("UNACKED", "outstanding"),
        .amount("AGE") { row in
            row.optionalNumber("connected_at").map { Units.duration(milliseconds: millisecondsSince($0)) } ?? ""
        },
        .words("STATE") { state($0) },
    ]

    /// What is out of the ordinary.
    private static func state(_ row: InspectedRow) -> String {
        var words: [String] = []
        if row.isSet("blocked") { words.append("blocked") }
        if row.isSet("requests_open") { words.append("asks") }
        if row.isSet("has_will") { words.append("will") }
        return words.joined(separator: ", ")
    }
}

struct SessionShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one session and its subscriptions.")

    @Argument(help: "Its number, as `bus list` shows it.")
    var session: UInt64

    @OptionGroup var options: InspectOptions

    func run() async throws {
        let (row, subscriptions) = try await options.with("bus show") { connection in
            let row = try await options.row(.sessions, "\(session)", "session", hint: "`bus list`", connection)
            let own = try await options.subscriptions(connection) { $0.number("session") == session }
            return (row, own)
        }
        let name = row.text("name")
        options.show(row, "session \(session)\(name.isEmpty ? "" : ", \(name)")", details(row), subscriptions)
    }

    private func details(_ row: InspectedRow) -> Details {
        var details = Details(row)
        details.add("user", ["uid", "gid"]) {
            "\(userName($0.number("uid"))) (uid \($0.number("uid")), gid \($0.number("gid")))"
        }
        details.add("process", ["pid"]) { $0.isSet("pid") ? "pid \($0.number("pid"))" : "unknown" }
        details.add("connected", ["connected_at"]) { row in
            let since = row.number("connected_at")
            let ago = Units.duration(milliseconds: millisecondsSince(since), parts: 2)
            return "\(ago) ago, \(timestamp(Int64(clamping: since)))"
        }
        details.add("state", ["blocked"]) { $0.isSet("blocked") ? "blocked: its connection is full" : "" }
        details.addFlow("published", events: "events_published", bytes: "bytes_published", rate: "publish_rate")
        details.addFlow("delivered", events: "events_delivered", bytes: "bytes_delivered", rate: "deliver_rate")
        details.addAmount("queued", events: "events_queued", bytes: "bytes_queued")
        details.add("parked", ["bytes_parked"]) { Units.bytes($0.number("bytes_parked")) }
        details.add("missed", ["events_missed"]) { "\(Text.grouped($0.number("events_missed"))) events" }
        details.add("not acknowledged", ["outstanding"]) { Text.grouped($0.number("outstanding")) + " events" }
        details.add("topics published", ["seals"]) { Text.grouped($0.number("seals")) }
        details.add("open requests", ["requests_open"]) { Text.grouped($0.number("requests_open")) }
        details.add("answers owed", ["answers_owed"]) { Text.grouped($0.number("answers_owed")) }
        details.add("last will", ["has_will", "will_topic"]) { row in
            let topic = row.text("will_topic")
            return row.isSet("has_will") ? topic.isEmpty ? "yes" : "on \(topic)" : "none"
        }
        details.add("open circuits", ["circuits_open"]) { $0.text("circuits_open") }
        details.add("", ["session", "name", "subscriptions"]) { _ in "" }
        return details
    }
}
