// bus topic list --declared, bus topic show FILTER: what topics are declared to be.

import BusClient

struct DeclarationList {
    let options: InspectOptions

    /// All of them, by filter; none of a daemon without a store.
    static func rows(_ connection: BusConnection) async throws -> [InspectedRow] {
        do throws(BusError) {
            return try await connection.inspect(.declarations).map { InspectedRow(values: $0) }.sorted {
                $0.text("filter").utf8.lexicographicallyPrecedes($1.text("filter").utf8)
            }
        } catch {
            guard case .refused(let reason, _) = error, DurableSubscriptions.isWithoutStore(reason) else { throw error }
            return []
        }
    }

    func run() async throws {
        let rows = try await options.with("bus list") { try await DeclarationList.rows($0) }
        options.show(rows, DeclarationList.columns, ifNone: "no declared topics")
    }

    /// One of them in detail.
    func show(_ filter: String) async throws {
        let row = try await options.with("bus show") { connection in
            try await options.row(
                .declarations, filter, "declaration of", hint: "`bus topics --declared`", connection)
        }
        var details = Details(row)
        details.add("kind", [SettingKey.durable.name]) { $0.isSet(SettingKey.durable.name) ? "durable" : "live" }
        details.add("declared by", ["source"]) { $0.text("source") }
        details.addSettings(SettingKey.ofTopics.filter { $0 != .durable })
        details.add("", ["filter"]) { _ in "" }
        options.show(row, "topics '\(filter)'", details)
    }

    static let columns: [InspectedColumn] = [
        .name("FILTER") { $0.text("filter") },
        .words("KIND") { $0.isSet(SettingKey.durable.name) ? "durable" : "live" },
        .words("DECLARED BY") { $0.text("source") },
        .name("SETTINGS") { row in
            SettingKey.ofTopics.filter { $0 != .durable }.compactMap { key in
                // 0 is off, or no limit: `bus topic show` tells of these, too.
                row.optionalNumber(key.name).flatMap {
                    $0 == 0 ? nil : "\(key.name) \(key.text(Int64(bitPattern: $0)))"
                }
            }.joined(separator: ", ")
        },
    ]
}

extension Details {
    /// A fact for each of these settings that the daemon tells, in its own unit.
    mutating func addSettings(_ keys: [SettingKey]) {
        for key in keys { add(key.name, [key.name]) { key.text(Int64(bitPattern: $0.number(key.name))) } }
    }
}
