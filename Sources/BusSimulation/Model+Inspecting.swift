// What the daemon says of itself is what the model knows of it: rows, their number, and pages of what was there when
// the first was asked for.

import BusBroker
import BusWire

/// A row as it should be, as far as it follows from what was promised: what it says beyond isn't checked.
typealias ExpectedRow = [String: InspectedValue.Value]

/// Pages on their way to the session that asked.
struct ExpectedPages {
    let kind: InspectionKind
    /// What was there at the first page and wasn't told yet, by name.
    var names: Set<String>
    /// What may be told besides: sessions that hadn't said hello then.
    var others: Set<String> = []
    /// What the next page must be asked with.
    var after: UInt64 = 0
}

extension Model {
    /// What a page counts as among what is handed over in a round: who asks for more than it reads has to read first.
    private static let pageLength = 64 << 10

    func note(_ inspect: Inspect, _ session: ModelSession) {
        func refuse(_ reason: Reason) { owe(session, .inspect, UInt64(inspect.request), [reason]) }
        guard let rows = expectedRows(inspect.kind) else { return refuse(.notSupported) }
        let names = Set(rows.map { name(of: $0, inspect.kind) })
        if inspect.kind == .status {
            session.answerInOne = ExpectedPages(kind: .status, names: names)
        } else if !inspect.key.isEmpty {
            guard names.contains(inspect.key), !isForgotten(inspect.key, inspect.kind) else {
                return refuse(.unknownName)
            }
            session.answerInOne = ExpectedPages(kind: inspect.kind, names: [inspect.key])
        } else {
            guard canWrite(session) else { return refuse(.quotaExceeded) }
            session.roundLength += Model.pageLength
            if inspect.after == 0 { session.pages = firstPage(inspect.kind, names) }
            guard let pages = session.pages, pages.kind == inspect.kind, pages.after == inspect.after else {
                return refuse(.unknownName)
            }
        }
        session.owedAnswers.append(.inspected(inspect.request))
    }

    private func firstPage(_ kind: InspectionKind, _ names: Set<String>) -> ExpectedPages {
        var pages = ExpectedPages(kind: kind, names: names)
        if kind == .sessions { pages.others = Set(sessions.keys.map { "\($0)" }).subtracting(names) }
        return pages
    }

    /// What identifies a row, as it would be asked for by key.
    private func name(of row: ExpectedRow, _ kind: InspectionKind) -> String {
        let column =
            switch kind {
            case .sessions: "session"
            case .topics: "topic"
            case .subscriptions: "subscription"
            default: "uid"
            }
        return switch row[column] {
        case .number(let number): "\(number)"
        case .text(let text): text
        case nil: ""
        }
    }

    /// Whether what a row would be of may be forgotten by now.
    private func isForgotten(_ name: String, _ kind: InspectionKind) -> Bool {
        guard kind == .topics, let topic = try? Topic(name) else { return false }
        return isOverdue(topic)
    }

    func check(_ inspected: Inspected, _ session: ModelSession) throws(Violation) {
        guard var pages = session.answerInOne ?? session.pages else {
            throw Violation("session \(session.id) is told what it didn't ask")
        }
        let expected = Dictionary(
            uniqueKeysWithValues: (expectedRows(pages.kind) ?? []).map { (name(of: $0, pages.kind), $0) })
        for row in inspected.rows {
            let told = Dictionary(row.map { ($0.name, $0.value) }) { first, _ in first }
            let name = name(of: told, pages.kind)
            // The daemon's own topics come and go with its seals, users as long as something is charged to them.
            // So do sessions on their way out.
            let isOptional = pages.kind == .users || pages.kind == .sessions
            if pages.kind == .topics && name.hasPrefix("$") || isOptional && expected[name] == nil { continue }
            if pages.kind == .users, !pages.names.contains(name) { continue }
            let isNews = pages.names.remove(name) != nil || pages.others.remove(name) != nil
            try expect(isNews, "a row of kind \(pages.kind.rawValue) that isn't there, or was told: \(name)")
            for (column, value) in (expected[name] ?? [:]).sorted(by: { $0.key < $1.key }) {
                let said = told[column].map { "\($0)" } ?? "nothing"
                try expect(
                    told[column] == value,
                    "row \(name) of kind \(pages.kind.rawValue): \(column) is \(said), not \(value)")
            }
        }
        pages.after = inspected.after
        if session.answerInOne == nil { session.pages = inspected.after == 0 ? nil : pages }
        session.answerInOne = nil
        tally[.paged] += inspected.after == 0 ? 0 : 1
        let left = pages.names.filter { expected[$0] != nil && !isForgotten($0, pages.kind) }
        try expect(inspected.after != 0 || left.isEmpty, "the last page leaves out \(left)")
    }
}
