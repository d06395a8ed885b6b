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

/// The daemon's values in groups: what there is, what flowed and waits, and all that this version has no place for.
private struct StatusText {
    private let values: [InspectedValue]

    init(_ values: [InspectedValue]) { self.values = values }

    var lines: [String] {
        let groups = [listed { StatusText.things.contains($0.name) }, flows, listed { isRest($0) }]
        return Array(groups.filter { !$0.isEmpty }.joined(separator: [""]))
    }

    /// What a bus consists of.
    private static let things: Set<String> = [
        "incarnation", "sessions", "subscriptions", "groups", "topics", "topics_retained", "requests_open",
        "circuits_open", "wills",
    ]

    /// What is counted in more than one unit, and the order in which it passes through the daemon.
    private static let units = ["events", "bytes", "batches"]
    private static let order = ["published", "delivered", "queued", "parked", "retained", "missed"]

    /// `events_published`: of which flow, in which unit.
    private func flow(_ value: InspectedValue) -> (unit: String, name: String)? {
        for unit in StatusText.units where value.name.hasPrefix(unit + "_") {
            return (unit, String(value.name.dropFirst(unit.count + 1)))
        }
        return nil
    }

    private func isRest(_ value: InspectedValue) -> Bool {
        flow(value) == nil && !StatusText.things.contains(value.name)
    }

    /// A table of flows by units.
    private var flows: [String] {
        var names = StatusText.order
        for value in values { if let name = flow(value)?.name, !names.contains(name) { names.append(name) } }
        let columns = StatusText.units.map {
            Table.Column(heading: $0.uppercased(), alignment: .right, isFlexible: false)
        }
        var table = Table([Table.Column(heading: "", alignment: .left, isFlexible: false)] + columns)
        for name in names {
            let cells = StatusText.units.map { unit in
                values.first { $0.name == "\(unit)_\(name)" }.map { Details.describe($0) } ?? ""
            }
            if cells.contains(where: { !$0.isEmpty }) { table.add([name.replacing("_", with: " ")] + cells) }
        }
        return table.lines(width: nil).map { "  " + $0 }
    }

    /// A line for each value.
    private func listed(where isWanted: (InspectedValue) -> Bool) -> [String] {
        let wanted = values.filter(isWanted).map { value in
            (label: value.name.replacing("_", with: " "), text: Details.describe(value))
        }
        let width = wanted.reduce(0) { max($0, $1.label.count) }
        return wanted.map { "  " + Text.left($0.label, width) + "  " + $0.text }
    }
}
