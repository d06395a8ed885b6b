// Durable subscriptions, in the list and one in detail.

import BusClient

enum DurableSubscriptions {
    /// All of them, by name; none of a daemon without a store.
    static func rows(_ connection: BusConnection) async throws -> [InspectedRow] {
        do throws(BusError) {
            return try await connection.inspect(.durableSubscriptions).map { InspectedRow(values: $0) }.sorted {
                $0.text("subscription").utf8.lexicographicallyPrecedes($1.text("subscription").utf8)
            }
        } catch {
            guard case .refused(let reason, _) = error, isWithoutStore(reason) else { throw error }
            return []
        }
    }

    static func isWithoutStore(_ reason: Reason) -> Bool {
        reason == .notSupported || reason == .storeUnavailable
    }

    static let columns: [InspectedColumn] = [
        .words("DURABLE") { $0.text("subscription") },
        .name("FILTER") { $0.text("filter") },
        .words("MODE") { $0.text("mode") == "alone" ? "" : $0.text("mode") },
        .count("CONSUMERS", "consumers"),
        .amount("PENDING") { pending($0) },
        .count("UNACKED", "outstanding"),
        .rareCount("DELAYED", "delayed"),
        .count("HANDLED", "acknowledged"),
        .rareCount("REDELIVERED", "redelivered"),
        .rareCount("DEAD", "dead"),
        .words("ATTENDED") { attended($0) },
    ]

    static func show(_ name: String, _ options: InspectOptions) async throws {
        let row = try await options.with("bus show") { connection in
            do throws(BusError) {
                let rows = try await connection.inspect(.durableSubscriptions, key: name)
                if let row = rows.first { return InspectedRow(values: row) }
            } catch {
                guard case .refused(let reason, _) = error, reason == .unknownName || isWithoutStore(reason) else {
                    throw error
                }
            }
            throw Failure(
                .unknownName,
                "there is no durable subscription \(name) on \(options.bus.address), and a session's has an id that is "
                    + "session/number, such as 7/1: `bus subscriptions` shows what there is")
        }
        var details = Details(row)
        details.add("filter", ["filter"]) { $0.text("filter") }
        details.add("mode", ["mode"]) { $0.text("mode") }
        details.add("consumers", ["consumers", "attended_at", "created_at"]) { row in
            row.isSet("consumers")
                ? Text.grouped(row.number("consumers"))
                : wasAttended(row) ? "none, the last \(attended(row))" : "none yet"
        }
        details.add("pending", ["pending"]) { row in
            let pending = pending(row)
            return pending == "?" ? "not known" : counted(row.number("pending"), "event")
        }
        for (label, name) in [
            ("not acknowledged", "outstanding"), ("waiting to be retried", "delayed"), ("handled", "acknowledged"),
            ("delivered again", "redelivered"),
        ] {
            details.add(label, [name]) { counted($0.number(name), "event") }
        }
        details.add("dead letters", ["dead"]) { Text.grouped($0.number("dead")) }
        details.addSettings(SettingKey.ofSubscriptions)
        details.add("made", ["created_at", "uid"]) { row in
            "\(timestamp(Int64(clamping: row.number("created_at")))) by \(userName(row.number("uid")))"
        }
        details.add("caught up", ["caught_up"]) { $0.isSet("caught_up") ? "yes" : "" }
        details.add("", ["subscription"]) { _ in "" }
        options.show(row, "durable subscription \(name)", details)
    }

    /// How much it has to do; `?` where the daemon would have to count.
    private static func pending(_ row: InspectedRow) -> String {
        let count = row.number("pending")
        return count == .max ? "?" : Units.count(count)
    }

    /// Whether it ever had a consumer. Its time without one begins when it is made, by another clock that is a moment
    /// ahead or behind: of one that came and went within a second, only what it did tells.
    private static func wasAttended(_ row: InspectedRow) -> Bool {
        guard row.isSet("attended_at") else { return false }
        return row.isSet("acknowledged") || row.isSet("redelivered")
            || row.number("attended_at") > row.number("created_at").addingReportingOverflow(1_000_000).partialValue
    }

    private static func attended(_ row: InspectedRow) -> String {
        if row.isSet("consumers") { return "now" }
        guard wasAttended(row) else { return "never" }
        return Units.duration(milliseconds: millisecondsSince(row.number("attended_at"))) + " ago"
    }
}
