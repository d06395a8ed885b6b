// bus topic delete: takes a declaration back, with all that its topics have stored.

import ArgumentParser
import BusClient

struct TopicDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "Take a declaration back, and delete what its topics have stored.",
        discussion: "What is stored is gone for good, for every subscription: `bus topic purge` empties one topic.")

    @Argument(help: "The filter, as it was declared.")
    var filter: String

    @OptionGroup var options: ChangeOptions

    func validate() throws { try checkFilterArgument(filter) }

    func run() async throws {
        try await options.change(.deleteTopic, filter: filter) { count in
            "topics '\(filter)' are no longer declared, \(counted(count, "event")) deleted"
        }
    }
}
