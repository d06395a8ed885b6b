// bus scheduled: what waits to be published, and taking it back.

import ArgumentParser
import BusClient

struct ScheduledCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scheduled", abstract: "Show what waits to be published, or take it back.",
        subcommands: [ScheduledList.self, ScheduledShow.self, ScheduledCancel.self],
        defaultSubcommand: ScheduledList.self)
}

struct ScheduledList: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List what waits to be published, the next one first.",
        discussion: """
            `bus pub --at TIME` and `bus pub --after TIME` leave events there.

              bus scheduled
              bus scheduled --json
            """)

    @OptionGroup var options: InspectOptions

    func run() async throws {
        let rows = try await options.scheduled("").sorted { $0.number("due_at") < $1.number("due_at") }
        options.show(rows, ScheduledList.columns, ifNone: "nothing waits to be published")
    }

    private static let columns: [InspectedColumn] = [
        .words("ID") { $0.text("id") },
        .name("TOPIC") { $0.text("topic") },
        .words("DUE") { timestamp(Int64(clamping: $0.number("due_at"))) },
        .name("USER") { userName($0.number("uid")) },
        .count("BYTES", "bytes"),
    ]
}

struct ScheduledShow: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show an event that waits to be published.")

    @Argument(help: "The event's id.")
    var id: Identifier

    @OptionGroup var options: InspectOptions

    func run() async throws {
        let rows = try await options.scheduled(id.uuid.description)
        guard !rows.isEmpty else {
            throw Failure(
                .unknownName,
                "no event \(id.uuid) waits on \(options.bus.address): `bus scheduled` shows what does, `bus trace` "
                    + "what became of one")
        }
        for row in rows { options.show(row, "event \(id.uuid)", details(row)) }
    }

    private func details(_ row: InspectedRow) -> Details {
        var details = Details(row)
        details.add("topic", ["topic"]) { $0.text("topic") }
        details.add("due", ["due_at"]) { timestamp(Int64(clamping: $0.number("due_at"))) }
        details.add("left here", ["taken_at", "uid"]) {
            "\(timestamp(Int64(clamping: $0.number("taken_at")))) by \(userName($0.number("uid")))"
        }
        details.add("bytes", ["bytes"]) { Text.grouped($0.number("bytes")) }
        details.add("", ["id"]) { _ in "" }
        return details
    }
}

struct ScheduledCancel: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cancel", abstract: "Take an event back that waits to be published.",
        discussion: "Its publisher's user may, root, and the bus's own user. What is published already can't be.")

    @Argument(help: "The event's id.")
    var id: Identifier

    @OptionGroup var options: ChangeOptions

    func run() async throws {
        try await options.change(.cancelScheduled, key: id.uuid.description) { count in
            count == 1 ? "\(id.uuid) isn't published" : "\(count) events \(id.uuid) aren't published"
        }
    }
}

extension InspectOptions {
    /// What waits; all of it without a key.
    fileprivate func scheduled(_ key: String) async throws -> [InspectedRow] {
        try await with("bus scheduled") { connection in
            do throws(BusError) {
                return try await connection.inspect(.scheduled, key: key).map { InspectedRow(values: $0) }
            } catch {
                guard case .refused(.unknownName, _) = error, !key.isEmpty else { throw error }
                return []
            }
        }
    }
}
