// What is published for this process when it is gone without a goodbye.

import ArgumentParser
import BusClient

struct WillOptions: ParsableArguments {
    @Option(
        name: .customLong("will"),
        help: ArgumentHelp(
            "Publish this when this process is gone without a goodbye, at most 64 KiB.", valueName: "topic=data"))
    var will: WillArgument?

    @Flag(help: "With --will: keep it as its topic's last value; with no data, clear the last value.")
    var willRetain = false

    func validate() throws {
        guard !willRetain || will != nil else {
            throw ValidationError("--will-retain is for a will: say it with --will TOPIC=DATA")
        }
    }

    /// The will, as the connection wants it.
    var lastWill: LastWill? {
        guard let will else { return nil }
        var event = OutgoingEvent(will.data)
        event.retains = willRetain
        return LastWill(event, on: will.topic)
    }
}

/// `TOPIC=DATA`.
struct WillArgument: ExpressibleByArgument {
    let topic: String
    let data: String

    init?(argument: String) {
        guard let equals = argument.firstIndex(of: "="), equals != argument.startIndex else { return nil }
        topic = String(argument[..<equals])
        data = String(argument[argument.index(after: equals)...])
    }
}
