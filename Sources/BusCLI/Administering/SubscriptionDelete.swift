// bus subscription delete: ends a durable subscription for good.

import ArgumentParser
import BusClient

struct SubscriptionDelete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "delete", abstract: "End a durable subscription: what it hasn't handled, it never gets.")

    @Argument(help: "Its name.")
    var name: String

    @OptionGroup var options: ChangeOptions

    func validate() throws { try checkDurableName(name) }

    func run() async throws {
        try await options.change(.deleteSubscription, key: name) { count in
            "durable subscription \(name) deleted, \(counted(count, "event")) had not been handled"
        }
    }
}
