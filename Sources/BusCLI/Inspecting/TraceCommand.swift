// bus trace: what became of an event, or of a conversation.

import ArgumentParser
import BusClient

struct TraceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "trace", abstract: "Show what became of an event, or of all events of a conversation.",
        discussion: """
            When it was published and by whom, and for each subscription what happened to it: matched, queued, sent, \
            acknowledged, retried, expired, dropped, dead. What an event caused stands below it, and so \
            does what came of a request on a durable topic: who answered, or that nobody did. Events of live topics \
            aren't remembered.

              bus trace 01890a5d-ac96-774b-bcce-b302099a8057
            """)

    @Argument(help: "An event's id, or a correlation's.")
    var id: Identifier

    @OptionGroup var options: InspectOptions

    func run() async throws {
        let rows = try await options.with("bus trace") { connection in
            do throws(BusError) {
                return try await connection.inspect(.trace, key: id.uuid.description).map { InspectedRow(values: $0) }
            } catch {
                guard case .refused(.unknownName, _) = error else { throw error }
                return []
            }
        }
        guard !rows.isEmpty else {
            throw Failure(
                .unknownName,
                "nothing is known of \(id.uuid) on \(options.bus.address): it never came, was of a live topic, or is forgotten"
            )
        }
        if options.json { return options.show(rows, [], ifNone: "") }
        Standard.output(TraceTree(rows, of: id.uuid.description).lines.map { $0 + "\n" }.joined())
    }
}
