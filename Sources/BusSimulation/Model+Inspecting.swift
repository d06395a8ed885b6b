// What the daemon says of itself is what the model knows of it: rows, their number, and pages of one snapshot.

import BusBroker
import BusWire

/// A row as it should be, as far as it follows from what was promised: what it says beyond isn't checked.
typealias ExpectedRow = [String: InspectedValue.Value]

/// Pages of one snapshot, on their way to the session that asked.
struct ExpectedPages {
    let kind: InspectionKind
    var rows: [ExpectedRow]
    /// What the next page must be asked with.
    var after: UInt64 = 0
}

extension Model {
    func note(_ inspect: Inspect, _ session: ModelSession) {
        if inspect.after != 0, inspect.kind != .status {
            guard let pages = session.pages, pages.kind == inspect.kind, pages.after == inspect.after else {
                return owe(session, .inspect, UInt64(inspect.request), [.unknownName])
            }
            return session.owedAnswers.append(.inspected(inspect.request))
        }
        let all = expectedRows(inspect.kind)
        guard var rows = all else { return owe(session, .inspect, UInt64(inspect.request), [.notSupported]) }
        if !inspect.key.isEmpty, let name = keyName(inspect.kind) {
            rows = rows.filter { $0[name].map { "\($0)" } == keyText(inspect.key, inspect.kind) }
            if rows.isEmpty { return owe(session, .inspect, UInt64(inspect.request), [.unknownName]) }
        }
        session.pages = ExpectedPages(kind: inspect.kind, rows: rows)
        session.owedAnswers.append(.inspected(inspect.request))
    }

    private func keyName(_ kind: InspectionKind) -> String? {
        switch kind {
        case .sessions: "session"
        case .topics: "topic"
        case .subscriptions: "subscription"
        case .users: "uid"
        default: nil
        }
    }

    private func keyText(_ key: String, _ kind: InspectionKind) -> String {
        let isNumber = kind == .sessions || kind == .users
        let value: InspectedValue.Value = isNumber ? UInt64(key).map { .number($0) } ?? .text(key) : .text(key)
        return "\(value)"
    }

    func check(_ inspected: Inspected, _ session: ModelSession) throws(Violation) {
        guard var pages = session.pages else { throw Violation("session \(session.id) is told what it didn't ask") }
        for row in inspected.rows {
            let told = Dictionary(row.map { ($0.name, $0.value) }) { first, _ in first }
            let index = pages.rows.firstIndex { isIdentity(of: $0, told, pages.kind) }
            guard let index else { throw Violation("a row nobody expects: \(told)") }
            for (name, value) in pages.rows[index].sorted(by: { $0.key < $1.key }) {
                let said = told[name].map { "\($0)" } ?? "nothing"
                let row = keyName(pages.kind).flatMap { told[$0] }.map { "\($0)" } ?? ""
                try expect(
                    told[name] == value,
                    "row \(row) of kind \(pages.kind.rawValue): \(name) is \(said), not \(value)")
            }
            pages.rows.remove(at: index)
        }
        if inspected.after == 0 {
            try expect(pages.rows.isEmpty, "the last page leaves out \(pages.rows)")
            session.pages = nil
        } else {
            tally[.paged] += 1
            pages.after = inspected.after
            session.pages = pages
        }
    }

    private func isIdentity(of row: ExpectedRow, _ told: ExpectedRow, _ kind: InspectionKind) -> Bool {
        guard let name = keyName(kind) else { return true }
        return row[name] == told[name]
    }

    private func expectedRows(_ kind: InspectionKind) -> [ExpectedRow]? {
        switch kind {
        case .status: [statusRow]
        default: nil
        }
    }

    private var statusRow: ExpectedRow {
        var row: ExpectedRow = [
            "sessions": .number(UInt64(sessions.values.count { $0.phase == .open })),
            "subscriptions": .number(UInt64(sessions.values.reduce(0) { $0 + $1.subscriptions.count })),
            "events_published": .number(totals.eventsAccepted),
            "bytes_published": .number(totals.bytesAccepted),
            "batches_published": .number(UInt64(acceptedCount)),
            "events_delivered": .number(totals.eventsDelivered),
            "bytes_delivered": .number(totals.bytesDelivered),
            "batches_delivered": .number(totals.batchesDelivered),
        ]
        // Going down, it may have published wills that nobody saw.
        if isDraining { for name in ["events", "bytes", "batches"] { row["\(name)_published"] = nil } }
        guard streams.allSatisfy(isCounted) else { return row }
        let waiting = streams.flatMap(\.queued)
        row["events_queued"] = .number(waiting.reduce(0) { $0 + UInt64($1.places.count) })
        row["bytes_queued"] = .number(waiting.reduce(0) { $0 + $1.length })
        return row
    }

    /// Whether how much of it waits is known: what was dropped and not told yet isn't, where it can't be foreseen.
    private func isCounted(_ stream: ModelStream) -> Bool { isForeseen(stream) || stream.owed.isEmpty }
}

/// Running totals.
struct ModelTotals {
    var eventsAccepted: UInt64 = 0
    var bytesAccepted: UInt64 = 0
    var eventsDelivered: UInt64 = 0
    var bytesDelivered: UInt64 = 0
    var batchesDelivered: UInt64 = 0
}
