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
        // What holds for stored events says nothing of live topics.
        for key in SettingKey.ofTopics { details.add("", [key.name]) { _ in "" } }
        details.addSettings(DeclarationList.settings(row))
        details.add("", ["filter"]) { _ in "" }
        options.show(row, "topics '\(filter)'", details)
    }

    /// The settings that mean something for its topics.
    private static func settings(_ row: InspectedRow) -> [SettingKey] {
        let isDurable = row.isSet(SettingKey.durable.name)
        let ofStored: [SettingKey] = [.retentionAge, .retentionLength, .retentionCount, .retentionIsHard]
        return SettingKey.ofTopics.filter { $0 != .durable && (isDurable || !ofStored.contains($0)) }
    }

    static let columns: [InspectedColumn] = [
        .name("FILTER") { $0.text("filter") },
        .words("KIND") { $0.isSet(SettingKey.durable.name) ? "durable" : "live" },
        .words("DECLARED BY") { $0.text("source") },
        .name("SETTINGS") { row in
            settings(row).compactMap { key in
                // 0 is off, or no limit: `bus topic show` tells of these, too.
                row.optionalNumber(key.name).flatMap { $0 == 0 ? nil : "\(key.label) \(key.words($0))" }
            }.joined(separator: ", ")
        },
    ]
}

extension Details {
    /// A fact for each of these settings that the daemon tells, in its own unit.
    mutating func addSettings(_ keys: [SettingKey]) {
        for key in keys { add(key.label, [key.name]) { key.words($0.number(key.name)) } }
    }
}

extension SettingKey {
    /// What the option and the configuration's key are called, which the protocol's name isn't always.
    fileprivate var label: String { self == .retentionIsHard ? "limit" : name }

    /// A value as one would say it; 0 in words where it isn't an amount.
    fileprivate func words(_ value: UInt64) -> String {
        switch (self, value) {
        case (.retentionIsHard, _): value == 0 ? "soft" : "hard"
        case (.retentionAge, 0), (.retentionLength, 0), (.retentionCount, 0): "no limit"
        case (.payloadLengthMax, 0): "as the bus"
        case (.duplicateWindow, 0): "off"
        case (.unattendedMax, 0): "never"
        case (.outstandingCountMax, _): Text.grouped(value)
        default: text(Int64(bitPattern: value))
        }
    }
}
