// A row of the daemon's answer, asked for by name: a daemon of another version may say more, or less.

import BusClient
import Glibc

/// Named values of one thing.
struct InspectedRow: Sendable {
    let values: [InspectedValue]

    /// A number; 0 when the daemon doesn't tell it.
    func number(_ name: String) -> UInt64 { optionalNumber(name) ?? 0 }

    /// A number, if the daemon tells it.
    func optionalNumber(_ name: String) -> UInt64? {
        if case .number(let number) = values.first(where: { $0.name == name })?.value { number } else { nil }
    }

    /// A text; empty when the daemon doesn't tell it. Harmless to print.
    func text(_ name: String) -> String {
        if case .text(let text) = values.first(where: { $0.name == name })?.value { Text.harmless(text) } else { "" }
    }

    /// Whether a number is there and not 0.
    func isSet(_ name: String) -> Bool { number(name) != 0 }

    /// All of it, names and numbers as the daemon gave them.
    var json: String {
        var object = JSONObject()
        for value in values { object.add(value) }
        return object.closed
    }
}

extension JSONObject {
    mutating func add(_ value: InspectedValue) {
        switch value.value {
        case .number(let number): add(value.name, number)
        case .text(let text): add(value.name, text)
        }
    }
}

/// A column of a list and how a row fills it.
struct InspectedColumn: Sendable {
    let column: Table.Column
    let cell: @Sendable (InspectedRow) -> String

    /// A name, which may be cut on a narrow terminal.
    static func name(_ heading: String, _ cell: @escaping @Sendable (InspectedRow) -> String) -> InspectedColumn {
        InspectedColumn(
            column: Table.Column(heading: heading, alignment: .left, isFlexible: true), cell: cell)
    }

    /// Words that aren't cut.
    static func words(_ heading: String, _ cell: @escaping @Sendable (InspectedRow) -> String) -> InspectedColumn {
        InspectedColumn(
            column: Table.Column(heading: heading, alignment: .left, isFlexible: false), cell: cell)
    }

    /// An amount.
    static func amount(_ heading: String, _ cell: @escaping @Sendable (InspectedRow) -> String) -> InspectedColumn {
        InspectedColumn(
            column: Table.Column(heading: heading, alignment: .right, isFlexible: false), cell: cell)
    }

    /// A number by its name.
    static func count(_ heading: String, _ name: String) -> InspectedColumn {
        amount(heading) { Units.count($0.number(name)) }
    }

    /// A number by its name, nothing where it is 0: the column is there only when it matters.
    static func rareCount(_ heading: String, _ name: String) -> InspectedColumn {
        amount(heading) { $0.isSet(name) ? Units.count($0.number(name)) : "" }
    }

    /// Events a second.
    static func rate(_ heading: String, _ name: String) -> InspectedColumn {
        amount(heading) { Units.rate($0.number(name)) }
    }
}

extension Table {
    /// Rows in these columns.
    init(_ columns: [InspectedColumn], _ rows: [InspectedRow]) {
        self.init(columns.map(\.column))
        for row in rows { add(columns.map { $0.cell(row) }) }
    }
}

/// A user by name where this host knows one, else by number.
func userName(_ uid: UInt64) -> String {
    guard let number = uid_t(exactly: uid), let entry = getpwuid(number) else { return "\(uid)" }
    return String(cString: entry.pointee.pw_name)
}
