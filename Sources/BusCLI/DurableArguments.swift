// Taking part in a durable subscription, on the command line.

import ArgumentParser
import BusClient

/// `--durable NAME` and how.
struct DurableArguments: ParsableArguments {
    enum Acknowledge: String, ExpressibleByArgument, CaseIterable { case auto, none }

    @Option(
        help: ArgumentHelp(
            "Consume the durable subscription of this name; it is made if there is none. It stays when this ends.",
            valueName: "name"))
    var durable: String?

    @Flag(help: "With --durable: share it, each event goes to one consumer.")
    var shared = false

    @Option(
        help: "With --durable: auto acknowledges what is printed; none counts all that is sent as acknowledged.")
    var ack: Acknowledge?

    func validate() throws {
        guard let durable else {
            guard !shared else {
                throw ValidationError("--shared is for a durable subscription: name it with --durable")
            }
            guard ack == nil else {
                throw ValidationError("--ack is for a durable subscription: name it with --durable")
            }
            return
        }
        try checkDurableName(durable)
    }
}
