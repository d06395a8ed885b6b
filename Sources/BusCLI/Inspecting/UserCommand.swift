// bus users: what each user holds in the daemon, of what it may.

import ArgumentParser
import BusClient

struct UserCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "users", abstract: "Show what each user holds in the daemon, of what it may.",
        discussion: """
            A line for each user, and below those with the same limits the limits, – for none. FULLEST is the quota \
            that is used most.
            """,
        aliases: ["user"])

    @OptionGroup var options: InspectOptions

    func run() async throws {
        let rows = try await options.rows(.users).sorted { $0.number("uid") < $1.number("uid") }
        options.show(rows, UserCommand.table(rows), ifNone: "no users")
    }

    /// A quota, by the name that stands before `_used` and `_limit`.
    private struct Quota {
        let name: String

        /// Units and words that the name is too long with.
        private static let headings = [
            "queued_bytes": "QUEUED", "kernel_bytes": "KERNEL", "retained_bytes": "RETAINED", "parked_bytes": "PARKED",
            "stored_bytes": "STORED",
            "outstanding_events": "UNACKED", "publish_rate": "PUB/S",
        ]

        var heading: String { Quota.headings[name] ?? name.replacing("_", with: " ").uppercased() }

        /// What people call it.
        var words: String { name.replacing("_", with: " ") }

        func used(_ row: InspectedRow) -> UInt64 { row.number("\(name)_used") }

        func limit(_ row: InspectedRow) -> UInt64 { row.number("\(name)_limit") }

        func describe(_ number: UInt64) -> String {
            if name.hasSuffix("_bytes") { return Units.bytes(number) }
            return name.hasSuffix("_rate") ? Units.rate(number) : Units.count(number)
        }

        /// The quotas the rows tell of, in their order.
        static func all(_ rows: [InspectedRow]) -> [Quota] {
            (rows.first?.values ?? []).compactMap { value in
                value.name.hasSuffix("_used") ? Quota(name: String(value.name.dropLast(5))) : nil
            }
        }
    }

    private static func table(_ rows: [InspectedRow]) -> Table {
        let quotas = Quota.all(rows)
        let amounts = quotas.map { Table.Column(heading: $0.heading, alignment: .right, isFlexible: false) }
        let texts = ["USER", "FULLEST"].map { Table.Column(heading: $0, alignment: .left, isFlexible: false) }
        var table = Table([texts[0]] + amounts + [texts[1]])
        for (index, row) in rows.enumerated() {
            let user = userName(row.number("uid"))
            table.add([user] + quotas.map { $0.describe($0.used(row)) } + [fullest(row, quotas)])
            // Limits are mostly the same for all; they stand once, where they change.
            let limits = quotas.map { $0.limit(row) }
            guard index == rows.count - 1 || quotas.map({ $0.limit(rows[index + 1]) }) != limits else { continue }
            table.add(["  of"] + zip(quotas, limits).map { $1 == 0 ? "–" : $0.describe($1) } + [""])
        }
        return table
    }

    private static func fullest(_ row: InspectedRow, _ quotas: [Quota]) -> String {
        func share(_ quota: Quota) -> Double {
            let limit = quota.limit(row)
            return limit == 0 ? 0 : Double(quota.used(row)) / Double(limit)
        }
        guard let quota = quotas.max(by: { share($0) < share($1) }), share(quota) >= 0.01 else { return "" }
        return "\(quota.words), \(Text.decimal(share(quota) * 100, places: 0)) %"
    }
}
