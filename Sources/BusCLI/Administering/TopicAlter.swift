// bus topic alter: changes what was declared.

import ArgumentParser
import BusClient

struct TopicAlter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alter", abstract: "Change some settings of a declaration; the others stay.")

    @Argument(help: "The filter, as it was declared.")
    var filter: String

    @OptionGroup var arguments: TopicSettingArguments
    @OptionGroup var options: ChangeOptions

    func validate() throws {
        try checkFilterArgument(filter)
        guard !arguments.settings.isEmpty else {
            throw ValidationError("say what to change, such as --max-age 30d")
        }
    }

    func run() async throws {
        try await options.change(.alterTopic, filter: filter, settings: arguments.settings) { _ in
            "topics '\(filter)' changed"
        }
    }
}
