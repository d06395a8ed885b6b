// bus status: the daemon as a whole.

import ArgumentParser
import BusClient

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Show how the daemon is: sessions, subscriptions, events, queues, losses.")

    @Flag(help: "Print one JSON object.")
    var json = false

    @OptionGroup var bus: BusOptions

    func run() async throws {
        let address = bus.address
        let connection = try await bus.connect("bus status", reconnects: false)
        let server = await connection.server
        let values = try await connection.status()
        await connection.close()
        if json {
            var object = JSONObject()
            object.add("bus", address.path)
            object.add("server", server)
            for value in values { object.add(value) }
            return Standard.output(object.closed + "\n")
        }
        let text = StatusText(values)
        Standard.output((["\(server) on \(address)", ""] + text.lines).map { $0 + "\n" }.joined())
    }
}

/// The daemon's values in groups: what there is, what flowed and waits, and all that this version has no words for.
private struct StatusText {
    private let values: [InspectedValue]
    /// What the first two groups told of.
    private let told: Set<String>

    init(_ values: [InspectedValue]) {
        self.values = values
        told = Set(
            StatusText.facts.flatMap { [$0.name] + $0.remarks.map(\.name) } + values.map(\.name).filter(isFlow)
                + [StatusText.warning, StatusText.hasStore])
    }

    var lines: [String] {
        let rest = values.filter { !told.contains($0.name) }
        let other = rest.map { [$0.name.replacing("_", with: " "), Details.describe($0)] }
        let groups = [warnings, facts, flows, StatusText.table([.left, .left], other)]
        return Array(groups.filter { !$0.isEmpty }.joined(separator: [""]))
    }

    private static let warning = "store_warning"
    /// Whether there is a store: what it holds says so by itself.
    private static let hasStore = "durable"

    /// What somebody should look at; nothing on most days.
    private var warnings: [String] {
        values.filter { $0.name == StatusText.warning }.map { Details.describe($0) }.filter { !$0.isEmpty }
            .map { "  warning: \($0)" }
    }

    private static func table(_ alignments: [Table.Column.Alignment], _ rows: [[String]]) -> [String] {
        var table = Table(alignments.map { Table.Column(heading: "", alignment: $0, isFlexible: false) })
        for row in rows { table.add(row) }
        return table.lines(width: nil).map { "  " + $0 }
    }

    // MARK: What there is

    /// A value, and beside it what belongs to it.
    private struct Fact: Sendable {
        let label: String
        let name: String
        var remarks: [(name: String, words: String)] = []
    }

    private static let facts = [
        Fact(label: "sessions", name: "sessions", remarks: [("sessions_opened", "opened so far")]),
        Fact(
            label: "subscriptions", name: "subscriptions",
            remarks: [("groups", "of them groups"), ("stalling_subscriptions", "stalling")]),
        Fact(
            label: "topics", name: "topics",
            remarks: [
                ("durable_topics", "durable"), ("last_values", "with a last value"),
                ("topics_forgotten", "forgotten so far"),
            ]),
        Fact(
            label: "durable subscriptions", name: "durable_subscriptions",
            remarks: [("unattended_subscriptions", "long unattended"), ("dead_letters", "dead letters")]),
        Fact(
            label: "stored events", name: "store_events",
            remarks: [("store_bytes", "of the store used"), ("store_limit", "at most")]),
        Fact(
            label: "commits", name: "commits",
            remarks: [
                ("commit_p50_us", "half of them at most"), ("commit_p99_us", "99 of 100 at most"),
                ("uncommitted", "batches waiting"),
            ]),
        Fact(
            label: "open requests", name: "requests_open",
            remarks: [
                ("requests_made", "made so far"), ("answers_given", "answered"), ("requests_cancelled", "cancelled"),
            ]),
        Fact(label: "open circuits", name: "circuits_open", remarks: [("circuits_opened", "opened so far")]),
        Fact(label: "stalled publishes", name: "publishes_stalled"),
        Fact(label: "published wills", name: "wills_published"),
        Fact(label: "refusals", name: "requests_refused"),
    ]

    private var facts: [String] {
        let rows = StatusText.facts.compactMap { fact -> [String]? in
            guard let value = described(fact.name) else { return nil }
            let remarks = fact.remarks.compactMap { remark in described(remark.name).map { "\($0) \(remark.words)" } }
            return [fact.label, value, remarks.joined(separator: ", ")]
        }
        return StatusText.table([.left, .right, .left], rows)
    }

    private func described(_ name: String) -> String? {
        values.first { $0.name == name }.map { Details.describe($0) }
    }

    // MARK: What flows

    /// What is counted in more than one unit, and the order in which it passes through the daemon.
    private static let units = ["events", "bytes", "batches"]
    private static let order = ["published", "delivered", "outstanding", "queued", "parked", "retained", "missed"]

    /// A table of flows by units: `events_published` is one in events.
    private var flows: [String] {
        var names = StatusText.order
        for value in values {
            guard let name = flow(value.name), !names.contains(name) else { continue }
            names.append(name)
        }
        let columns = StatusText.units.map {
            Table.Column(heading: $0.uppercased(), alignment: .right, isFlexible: false)
        }
        var table = Table([Table.Column(heading: "", alignment: .left, isFlexible: false)] + columns)
        for name in names {
            let cells = StatusText.units.map { described("\($0)_\(name)") ?? "" }
            if cells.contains(where: { !$0.isEmpty }) { table.add([name.replacing("_", with: " ")] + cells) }
        }
        return table.lines(width: nil).map { "  " + $0 }
    }
}

/// Of `events_published` what flows, `published`; nil for what is no flow.
private func flow(_ name: String) -> String? {
    let unit = ["events_", "bytes_", "batches_"].first { name.hasPrefix($0) }
    return unit.map { String(name.dropFirst($0.count)) }
}

private func isFlow(_ name: String) -> Bool { flow(name) != nil }
