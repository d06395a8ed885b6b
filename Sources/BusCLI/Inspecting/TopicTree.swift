// Topics as a tree, with totals a branch: where on a bus the traffic is.

import BusClient

/// A branch of the topics: what its tokens have in common, and all that lies below.
struct TopicTree {
    /// What a branch adds up to, its own topic included.
    struct Totals {
        var topics: UInt64 = 0
        var events: UInt64 = 0
        var bytes: UInt64 = 0
        var rate: UInt64 = 0
        /// Since anything was published; nil when nothing tells.
        var idle: UInt64?

        init() {}

        init(_ row: InspectedRow) {
            topics = 1
            events = row.number("events")
            bytes = row.number("bytes")
            rate = row.number("publish_rate")
            idle = row.optionalNumber("idle_ms")
        }

        static func + (a: Totals, b: Totals) -> Totals {
            var sum = a
            sum.topics &+= b.topics
            sum.events &+= b.events
            sum.bytes &+= b.bytes
            sum.rate &+= b.rate
            if let idle = b.idle { sum.idle = min(a.idle ?? idle, idle) }
            return sum
        }
    }

    private(set) var label: String
    private(set) var totals: Totals
    private(set) var branches: [TopicTree] = []

    /// The tree of all rows: a root without a name.
    init(_ rows: [InspectedRow]) {
        let topics = rows.map { (tokens: $0.text("topic").split(separator: ".").map(String.init)[...], row: $0) }
        self.init("", topics)
    }

    private init(_ label: String, _ topics: [(tokens: ArraySlice<String>, row: InspectedRow)]) {
        self.label = label
        var own = topics.filter { $0.tokens.isEmpty }.reduce(Totals()) { $0 + Totals($1.row) }
        let isTopic = own.topics > 0
        // In the order of the rows; grouped in one pass, as a bus may have a hundred thousand topics.
        var order: [String] = []
        var below: [String: [(tokens: ArraySlice<String>, row: InspectedRow)]] = [:]
        for topic in topics {
            guard let token = topic.tokens.first else { continue }
            if below[token] == nil { order.append(token) }
            below[token, default: []].append((topic.tokens.dropFirst(), topic.row))
        }
        branches = order.map { TopicTree($0, below[$0] ?? []) }
        own = branches.reduce(own) { $0 + $1.totals }
        totals = own
        // A branch that only leads to one other is no place to add up at.
        if !isTopic, !label.isEmpty, branches.count == 1 {
            self.label += "." + branches[0].label
            branches = branches[0].branches
        }
    }

    /// A line for each branch: its label behind the lines that lead to it, and its totals.
    var lines: [(label: String, totals: Totals)] {
        branches.flatMap { [($0.label, $0.totals)] + $0.lines(below: "") }
    }

    private func lines(below indent: String) -> [(label: String, totals: Totals)] {
        branches.enumerated().flatMap { index, branch in
            let isLast = index == branches.count - 1
            let line = (label: indent + (isLast ? "└─ " : "├─ ") + branch.label, totals: branch.totals)
            return [line] + branch.lines(below: indent + (isLast ? "   " : "│  "))
        }
    }

    /// The tree as a table.
    var table: Table {
        let columns: [Table.Column] = [
            Table.Column(heading: "TOPIC", alignment: .left, isFlexible: true),
            Table.Column(heading: "TOPICS", alignment: .right, isFlexible: false),
            Table.Column(heading: "EVENTS", alignment: .right, isFlexible: false),
            Table.Column(heading: "PUB/S", alignment: .right, isFlexible: false),
            Table.Column(heading: "BYTES", alignment: .right, isFlexible: false),
            Table.Column(heading: "IDLE", alignment: .right, isFlexible: false),
        ]
        var table = Table(columns)
        for line in lines {
            let totals = line.totals
            table.add([
                line.label, Text.grouped(totals.topics), Units.count(totals.events), Units.rate(totals.rate),
                Units.bytes(totals.bytes), totals.idle.map { Units.duration(milliseconds: $0) } ?? "",
            ])
        }
        return table
    }
}
