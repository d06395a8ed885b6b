// bus topic create: says what the topics of a filter are.

import ArgumentParser
import BusClient

struct TopicCreate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create", abstract: "Declare what the topics of a filter are: durable, unless you say otherwise.",
        discussion: """
            Of several declarations that match a topic the most specific one holds.

              bus topic create 'orders.>' --max-age 30d
              bus topic create 'audit.>' --limit hard --max-bytes 1GiB
            """)

    @Argument(help: "The filter: * is one token, a final > is one or more.")
    var filter: String

    @OptionGroup var arguments: TopicSettingArguments
    @OptionGroup var options: ChangeOptions

    func validate() throws { try checkFilterArgument(filter) }

    func run() async throws {
        try await options.change(.createTopic, filter: filter, settings: arguments.settings) { _ in
            "topics '\(filter)' are \(arguments.kind?.rawValue ?? "durable")"
        }
    }
}
