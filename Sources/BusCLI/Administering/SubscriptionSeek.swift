// bus subscription seek: has a durable subscription begin somewhere else.

import ArgumentParser
import BusClient

struct SubscriptionSeek: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "seek", abstract: "Have a durable subscription go on from somewhere else.",
        discussion: """
            Backwards, it gets again what it has had; forwards, it never gets what lies between.

              bus subscription seek billing --since 1h
              bus subscription seek billing --new
            """)

    @Argument(help: "Its name.")
    var name: String

    @OptionGroup var begin: StartArguments
    @OptionGroup var options: ChangeOptions

    func validate() throws {
        try checkDurableName(name)
        guard begin.start != nil else {
            throw ValidationError("say where to: --all, --new, --last, --since TIME or --from-seq N")
        }
    }

    func run() async throws {
        try await options.change(.seekSubscription, key: name, start: begin.start) { _ in
            "durable subscription \(name) goes on from there"
        }
    }
}
