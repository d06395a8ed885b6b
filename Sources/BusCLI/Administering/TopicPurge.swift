// bus topic purge: empties one topic.

import ArgumentParser
import BusClient

struct TopicPurge: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "purge", abstract: "Delete what one topic has stored; its sequence goes on.")

    @Argument(help: "Its name.")
    var topic: String

    @OptionGroup var options: ChangeOptions

    func validate() throws {
        do { _ = try Topic(topic) } catch { throw ValidationError("the topic “\(topic)” \(error)") }
    }

    func run() async throws {
        try await options.change(.purgeTopic, key: topic) { "\(topic): \(counted($0, "event")) deleted" }
    }
}
