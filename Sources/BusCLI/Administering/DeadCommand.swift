// bus dead: events that were given up, and what to do with them.

import ArgumentParser
import BusClient

struct DeadCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dead", abstract: "Show what was given up, deliver it again, or drop it.",
        subcommands: [DeadList.self, DeadShow.self, DeadRedrive.self, DeadDrop.self],
        defaultSubcommand: DeadList.self)
}

struct DeadList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the dead letters.",
        discussion: """
            REASON is attempts-exhausted, rejected or expired; the message is what the subscriber said last.

              bus dead
              bus dead list billing --json
            """)

    @Argument(help: "Only those of this durable subscription.")
    var subscription: String?

    @OptionGroup var options: InspectOptions

    func validate() throws { if let subscription { try checkDurableName(subscription) } }

    func run() async throws {
        let rows = try await options.deadLetters(subscription ?? "").sorted {
            $0.number("died_at") < $1.number("died_at")
        }
        if let subscription, rows.isEmpty { try await checkIsThere(subscription) }
        let whose = subscription.map { " of \($0)" } ?? ""
        options.show(rows, DeadList.columns, ifNone: "no dead letters\(whose)")
    }

    /// A typo has no dead letters, either.
    private func checkIsThere(_ name: String) async throws {
        let known = try await options.with("bus dead") { try await DurableSubscriptions.rows($0) }
        guard !known.contains(where: { $0.text("subscription") == name }) else { return }
        throw Failure(
            .unknownName,
            "there is no durable subscription \(name) on \(options.bus.address): `bus subscriptions` shows what there is"
        )
    }

    private static let columns: [InspectedColumn] = [
        .words("ID") { $0.text("id") },
        .name("TOPIC") { $0.text("topic") },
        .count("SEQUENCE", "sequence"),
        .name("SUBSCRIPTION") { $0.text("subscription") },
        .words("REASON") { $0.text("reason") },
        .count("ATTEMPTS", "attempts"),
        .amount("AGE") { Units.duration(milliseconds: millisecondsSince($0.number("died_at"))) },
        .name("MESSAGE") { $0.text("message") },
    ]
}

struct DeadShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show one event's dead letters: one for each subscription that gave it up.")

    @Argument(help: "The event's id.")
    var id: Identifier

    @OptionGroup var options: InspectOptions

    func run() async throws {
        let rows = try await options.deadLetters(id.uuid.description)
        guard !rows.isEmpty else {
            throw Failure(
                .unknownName,
                "there is no dead letter \(id.uuid) on \(options.bus.address): `bus dead` shows what there is")
        }
        for (index, row) in rows.enumerated() {
            if index > 0, !options.json { Standard.output("\n") }
            options.show(row, "dead letter \(id.uuid)", details(row))
        }
    }

    private func details(_ row: InspectedRow) -> Details {
        var details = Details(row)
        details.add("event", ["topic", "sequence"]) { "\($0.text("topic")) #\(Text.grouped($0.number("sequence")))" }
        details.add("subscription", ["subscription"]) { $0.text("subscription") }
        details.add("given up", ["reason", "message"]) { row in
            [row.text("reason"), row.text("message")].filter { !$0.isEmpty }.joined(separator: ": ")
        }
        details.add("attempts", ["attempts"]) { Text.grouped($0.number("attempts")) }
        for (label, name) in [("published at", "accepted_at"), ("given up at", "died_at")] {
            details.add(label, [name]) { row in
                row.isSet(name) ? timestamp(Int64(clamping: row.number(name))) : ""
            }
        }
        details.add("", ["id"]) { _ in "" }
        return details
    }
}

extension InspectOptions {
    /// Dead letters of a subscription or an event; all of them without a key.
    fileprivate func deadLetters(_ key: String) async throws -> [InspectedRow] {
        try await with("bus dead") { connection in
            do throws(BusError) {
                return try await connection.inspect(.deadLetters, key: key).map { InspectedRow(values: $0) }
            } catch {
                guard case .refused(.unknownName, _) = error, BusUUID(key) != nil else { throw error }
                return []
            }
        }
    }
}
