// bus subscription alter: changes settings of a durable subscription.

import ArgumentParser
import BusClient

struct SubscriptionAlter: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alter", abstract: "Change some settings of a durable subscription; the others stay.")

    @Argument(help: "Its name.")
    var name: String

    @OptionGroup var arguments: SubscriptionSettingArguments
    @OptionGroup var options: ChangeOptions

    func validate() throws {
        try checkDurableName(name)
        guard !arguments.settings.isEmpty else { throw ValidationError("say what to change, such as --attempts 3") }
    }

    func run() async throws {
        try await options.change(.alterSubscription, key: name, settings: arguments.settings) { _ in
            "durable subscription \(name) changed"
        }
    }
}
