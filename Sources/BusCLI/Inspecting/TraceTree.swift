// A trace as a tree: an event, what became of it in each subscription, and below it the events it caused, answers among
// them.

import BusClient

/// Rows of a trace, arranged.
struct TraceTree {
    private let key: String
    private let events: [InspectedRow]
    private let deliveries: [InspectedRow]
    /// What came of requests where that is no answer.
    private let silences: [InspectedRow]
    /// Up to when the daemon looked for events of the conversation, where that wasn't all.
    private let limit: UInt64?

    /// - Parameter key: whose trace it is: a row that doesn't say which event it is about is about this one.
    init(_ rows: [InspectedRow], of key: String) {
        self.key = key
        let answers = rows.filter { $0.text("what") == "answer" }
        silences = answers.filter { $0.text("id").isEmpty }
        events =
            rows.filter { ["published", "event", "scheduled"].contains($0.text("what")) }
            + answers.filter { !$0.text("id").isEmpty }
        deliveries = rows.filter { $0.text("what") == "delivery" }
        limit = rows.first { $0.text("what") == "limit" }?.number("time")
    }

    var lines: [String] {
        // Deliveries of an event that nobody tells of any more still say something.
        let known = Set(events.map(id))
        let orphans = deliveries.map(id).filter { !known.contains($0) }
        var lines: [String] = []
        var told: Set<String> = []
        for event in events where !known.contains(event.text("causation")) || event.text("causation") == id(event) {
            lines += tree(event, told: &told)
        }
        // What causes itself in a circle has no beginning.
        for event in events where !told.contains(id(event)) { lines += tree(event, told: &told) }
        for orphan in orphans where told.insert(orphan).inserted {
            lines += [orphan] + outcomes(of: orphan, publishedAt: 0).map { "  " + $0 }
        }
        if let limit { lines.append("looked up to \(timestamp(Int64(clamping: limit))): what came later isn't shown") }
        return lines
    }

    private func id(_ row: InspectedRow) -> String { row.text("id").isEmpty ? key : row.text("id") }

    /// An event with all it caused.
    private func tree(_ event: InspectedRow, told: inout Set<String>) -> [String] {
        let id = id(event)
        guard told.insert(id).inserted else { return [] }
        let sequence = event.optionalNumber("sequence").map { " #\($0)" } ?? ""
        let topic = event.text("what") == "answer" ? "answer" : event.text("topic")
        var lines = ["\(id)  \(topic)\(sequence)"]
        lines += (facts(event) + outcomes(of: id, publishedAt: event.number("time"))).map { "  " + $0 }
        let caused = events.filter { $0.text("causation") == id && self.id($0) != id }
        // In the order in which they are drawn, which marks them as told.
        var branches: [[String]] = []
        for child in caused { branches.append(tree(child, told: &told)) }
        branches += silences.filter { $0.text("causation") == id }.map { [TraceTree.word(of: $0)] }
        for (index, below) in branches.enumerated() {
            let isLast = index == branches.count - 1
            for (line, text) in below.enumerated() {
                lines.append((line == 0 ? (isLast ? "└─ " : "├─ ") : (isLast ? "   " : "│  ")) + text)
            }
        }
        return lines
    }

    private func facts(_ event: InspectedRow) -> [String] {
        if event.text("what") == "answer" { return [TraceTree.word(of: event)] }
        if event.text("what") == "scheduled" {
            let due = timestamp(Int64(clamping: event.number("due_at")))
            return ["waits until \(due), left here by \(userName(event.number("uid")))"]
        }
        guard event.text("what") == "published" else { return [] }
        let name = event.text("name")
        let who = [name.isEmpty ? "" : "\(name),", userName(event.number("uid"))].filter { !$0.isEmpty }
        let time = event.number("time")
        let place = event.optionalNumber("stored").map { $0 == 0 ? ", no longer on disk" : ", on disk" } ?? ""
        var facts = ["published \(timestamp(Int64(clamping: time))) by \(who.joined(separator: " "))\(place)"]
        let correlation = event.text("correlation")
        if !correlation.isEmpty, correlation != id(event) { facts.append("conversation \(correlation)") }
        let causation = event.text("causation")
        if !causation.isEmpty, !events.contains(where: { id($0) == causation }) {
            facts.append("caused by \(causation)")
        }
        return facts
    }

    /// A line for each subscription, and below it one for each thing that happened there.
    private func outcomes(of event: String, publishedAt time: UInt64) -> [String] {
        let rows = deliveries.filter { id($0) == event }
        var subscriptions: [String] = []
        for name in rows.map({ $0.text("subscription") }) where !subscriptions.contains(name) {
            subscriptions.append(name)
        }
        return subscriptions.flatMap { name in
            ["→ \(name)"]
                + rows.filter { $0.text("subscription") == name }.map { "    " + TraceTree.step($0, publishedAt: time) }
        }
    }

    /// `answered, session 9 (quotes), after 2.1ms`, or why not.
    private static func word(of row: InspectedRow) -> String { step(row, publishedAt: 0, isTimed: false) }

    /// `sent, attempt 2, to session 7 (billing), 1.2ms after it was published`.
    private static func step(_ row: InspectedRow, publishedAt published: UInt64, isTimed: Bool = true) -> String {
        var parts = [row.text("state")]
        if row.number("attempt") > 1 { parts.append("attempt \(row.number("attempt"))") }
        if row.isSet("session") {
            let name = row.text("name")
            parts.append("session \(row.number("session"))\(name.isEmpty ? "" : " (\(name))")")
        }
        if let after = row.optionalNumber("after_us"), after > 0 {
            parts.append("after \(Units.duration(microseconds: after))")
        }
        let time = row.number("time")
        if time != 0, isTimed {
            parts.append(published == 0 ? timestamp(Int64(clamping: time)) : "+\(span(from: published, to: time))")
        }
        let why = [row.text("reason"), row.text("message")].filter { !$0.isEmpty && $0 != row.text("state") }.joined(
            separator: ": ")
        return parts.joined(separator: ", ") + (why.isEmpty ? "" : " — \(why)")
    }

    /// A clock that was set back in between gives no time.
    private static func span(from start: UInt64, to end: UInt64) -> String {
        Units.duration(microseconds: end > start ? end - start : 0)
    }
}
