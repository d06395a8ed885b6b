// One thing in detail: a line for each fact, what belongs together on one line. What this version has no words for
// is shown all the same.

import BusClient

/// The facts of one row.
struct Details {
    private let row: InspectedRow
    private var told: Set<String> = []
    private var facts: [(label: String, text: String)] = []

    init(_ row: InspectedRow) { self.row = row }

    /// A fact made of these values; left out when the daemon tells none of them, or there is nothing to say.
    mutating func add(_ label: String, _ names: [String], _ text: (InspectedRow) -> String) {
        let known = names.filter { name in row.values.contains { $0.name == name } }
        told.formUnion(names)
        let fact = known.isEmpty ? "" : text(row)
        if !fact.isEmpty { facts.append((label, fact)) }
    }

    /// A number of events, of bytes, and how many events a second.
    mutating func addFlow(_ label: String, events: String, bytes: String, rate: String) {
        add(label, [events, bytes, rate]) { row in
            let perSecond = row.optionalNumber(rate).map { ", \(Units.rate($0)) a second" } ?? ""
            return Details.amount(row, events, bytes) + perSecond
        }
    }

    /// A number of events and their bytes.
    mutating func addAmount(_ label: String, events: String, bytes: String) {
        add(label, [events, bytes]) { Details.amount($0, events, bytes) }
    }

    private static func amount(_ row: InspectedRow, _ events: String, _ bytes: String) -> String {
        let count = row.number(events)
        return "\(Text.grouped(count)) \(count == 1 ? "event" : "events"), \(Units.bytes(row.number(bytes)))"
    }

    /// The lines, what was not asked for behind the rest.
    var lines: [String] {
        let rest = row.values.filter { !told.contains($0.name) }.map { value in
            (label: value.name.replacing("_", with: " "), text: Details.describe(value))
        }.filter { !$0.text.isEmpty }
        let all = facts + rest
        let width = all.reduce(0) { max($0, Text.width($1.label)) }
        return all.map { "  " + Text.left($0.label, width) + "  " + $0.text }
    }

    /// A value with the unit that its name gives away.
    static func describe(_ value: InspectedValue) -> String {
        switch value.value {
        case .text(let text): Text.harmless(text)
        case .number(let number):
            if value.name.hasPrefix("bytes_") || value.name.hasSuffix("_bytes") || value.name == "bytes"
                || value.name == "store_limit"
            {
                Units.bytes(number)
            } else if value.name.hasSuffix("_ms") {
                Units.duration(milliseconds: number, parts: 2)
            } else if value.name.hasSuffix("_us") {
                Units.duration(microseconds: number)
            } else if value.name.hasSuffix("_rate") {
                "\(Units.rate(number)) a second"
            } else {
                Text.grouped(number)
            }
        }
    }
}
