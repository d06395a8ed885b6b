// bus topic: what is published, as a list or as a tree, and what topics are declared to be.

import ArgumentParser
import BusClient

struct TopicCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "topic", abstract: "Show what is published, and say which topics are durable.",
        subcommands: [
            TopicList.self, TopicShow.self, TopicCreate.self, TopicAlter.self, TopicDelete.self, TopicPurge.self,
        ], defaultSubcommand: TopicList.self, aliases: ["topics"])
}

struct TopicList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the declarations and the topics, or show the topics as a tree.",
        discussion: """
            First what was declared, by filter; then the topics that were used. \
            PUB/S is events a second, SUBS how many subscriptions match, PUBS how many connections publish there, \
            LAST the size of the last value where it is kept, STORED how many events of a durable topic are kept, \
            IDLE how long nothing was published. --declared lists the declarations alone.

              bus topics
              bus topics --tree
              bus topics 'orders.>' --json
            """)

    @Argument(help: "Only topics that match one of these filters.")
    var filters: [String] = []

    @Flag(help: "Show a tree with the totals of each branch.")
    var tree = false

    @Flag(help: "List the declarations alone: which filters' topics are what.")
    var declared = false

    @OptionGroup var options: InspectOptions

    func validate() throws {
        guard !(declared && (tree || !filters.isEmpty)) else {
            throw ValidationError("--declared lists declarations: neither with --tree nor with filters")
        }
        guard !(tree && options.json) else {
            throw ValidationError("--tree is for people; --json lists each topic with its exact numbers")
        }
    }

    func run() async throws {
        if declared { return try await DeclarationList(options: options).run() }
        let wanted = try filters.map { try checkedFilter($0) }
        let (declarations, topics) = try await options.with("bus list") { connection in
            let declarations = filters.isEmpty && !tree ? try await DeclarationList.rows(connection) : []
            return (declarations, try await connection.inspect(.topics).map { InspectedRow(values: $0) })
        }
        let rows = topics.filter { row in
            guard !wanted.isEmpty else { return true }
            guard let topic = row.topic else { return false }
            return wanted.contains { $0.matches(topic) }
        }.sorted { $0.text("topic").utf8.lexicographicallyPrecedes($1.text("topic").utf8) }
        if !declarations.isEmpty {
            options.show(declarations, DeclarationList.columns, ifNone: "")
            if rows.isEmpty { return }
            if !options.json { Standard.output("\n") }
        }
        let ifNone = wanted.isEmpty ? "no topics" : "no topic matches \(filters.joined(separator: ", "))"
        options.show(rows, tree ? TopicTree(rows).table : Table(TopicList.columns, rows), ifNone: ifNone)
    }

    private static let columns: [InspectedColumn] = [
        .name("TOPIC") { $0.text("topic") },
        .count("EVENTS", "events"),
        .rate("PUB/S", "publish_rate"),
        .amount("BYTES") { Units.bytes($0.number("bytes")) },
        .count("SUBS", "subscriptions"),
        .count("PUBS", "publishers"),
        .amount("LAST") { $0.isSet("retained") ? Units.bytes($0.number("retained_bytes")) : "" },
        .amount("STORED") { $0.isSet("durable") ? Units.count($0.number("stored_events")) : "" },
        .amount("IDLE") { row in row.optionalNumber("idle_ms").map { Units.duration(milliseconds: $0) } ?? "" },
        .words("USER") { userName($0.number("uid")) },
    ]
}

struct TopicShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one topic and the subscriptions that match it.")

    @Argument(help: "Its name; or a filter that was declared, to see what its topics are.")
    var topic: String

    @OptionGroup var options: InspectOptions

    func run() async throws {
        if topic.split(separator: ".").contains(where: { $0 == "*" || $0 == ">" }) {
            _ = try checkedFilter(topic)
            return try await DeclarationList(options: options).show(topic)
        }
        let name: Topic
        do { name = try Topic(topic) } catch { throw Failure(.usage, "the topic “\(topic)” \(error)") }
        let (row, subscriptions) = try await options.with("bus show") { connection in
            let row = try await options.row(.topics, topic, "topic", hint: "`bus topics`", connection)
            let matching = try await options.subscriptions(connection) { row in
                (try? TopicFilter(row.text("filter")))?.matches(name) ?? false
            }
            return (row, matching)
        }
        options.show(row, "topic \(topic)", details(row), subscriptions)
    }

    private func details(_ row: InspectedRow) -> Details {
        var details = Details(row)
        details.addFlow("published", events: "events", bytes: "bytes", rate: "publish_rate")
        details.add("last sequence", ["sequence"]) { Text.grouped($0.number("sequence")) }
        details.add("idle", ["idle_ms"]) { Units.duration(milliseconds: $0.number("idle_ms"), parts: 2) }
        details.add("last value", ["retained", "retained_bytes"]) { row in
            row.isSet("retained") ? "kept, \(Units.bytes(row.number("retained_bytes")))" : "not kept"
        }
        details.add("durable", ["durable", "stored_events", "stored_bytes"]) { row in
            guard row.isSet("durable") else { return "no: live" }
            return
                "yes, \(counted(row.number("stored_events"), "event")) stored, \(Units.bytes(row.number("stored_bytes")))"
        }
        details.add("oldest stored", ["first_sequence", "first_time"]) { row in
            guard row.isSet("first_sequence") else { return "" }
            let time = row.isSet("first_time") ? ", \(timestamp(Int64(clamping: row.number("first_time"))))" : ""
            return "#\(Text.grouped(row.number("first_sequence")))\(time)"
        }
        details.add("publishers", ["publishers"]) { Text.grouped($0.number("publishers")) }
        details.add("subscriptions", ["subscriptions"]) { Text.grouped($0.number("subscriptions")) }
        details.add("made by", ["uid"]) { "\(userName($0.number("uid"))) (uid \($0.number("uid")))" }
        details.add("", ["topic"]) { _ in "" }
        return details
    }
}

extension InspectedRow {
    /// The topic the row is about.
    fileprivate var topic: Topic? { try? Topic(text("topic")) }
}

/// A filter of the command line.
func checkedFilter(_ pattern: String) throws -> TopicFilter {
    do { return try TopicFilter(pattern) } catch { throw Failure(.usage, "the filter “\(pattern)” \(error)") }
}
