// What a durable subscription doesn't get, said when it is made and not found out when events are missing: it gets
// nothing of live topics.

import BusClient

enum LiveTopics {
    /// Says which live topics a new durable subscription's filter can match. Who may make one may not be one who may
    /// look: then nothing is said.
    static func tell(of filter: String, _ connection: BusConnection) async {
        guard let wanted = try? TopicFilter(filter), let rows = try? await DeclarationList.rows(connection) else {
            return
        }
        var (durable, live): ([TopicFilter], [TopicFilter]) = ([], [])
        for row in rows {
            guard let declared = try? TopicFilter(row.text("filter")) else { continue }
            if row.isSet(SettingKey.durable.name) { durable.append(declared) } else { live.append(declared) }
        }
        let covering = durable.filter { $0.covers(wanted) }
        guard !covering.isEmpty else {
            let hint = filter.hasPrefix("$") ? "" : ": `bus topic create '\(filter)'` makes them durable"
            return Standard.error("bus: '\(filter)' can match live topics, of which it gets nothing\(hint)\n")
        }
        // Of two declarations that match a topic, the more specific one holds.
        for declared in live where declared.overlaps(wanted) && !covering.contains(where: declared.covers) {
            Standard.error("bus: topics '\(declared)' are declared live, and it gets nothing of them\n")
        }
    }

    /// The filter with which subscribing will make a durable subscription; nil where there is one of that name, or none
    /// is wanted.
    static func newFilter(_ command: SubCommand, _ connection: BusConnection) async -> String? {
        guard let name = command.durable.durable, let filter = command.filters.first,
            let rows = try? await DurableSubscriptions.rows(connection),
            !rows.contains(where: { $0.text("subscription") == name })
        else { return nil }
        return filter
    }
}
