// bus dead redrive, bus dead drop: what becomes of dead letters.

import ArgumentParser
import BusClient

/// Which dead letters: a subscription's, or an event's.
struct DeadTarget: ParsableArguments {
    @Argument(help: "A durable subscription's name, for all of its dead letters, or an event's id.")
    var target: String

    func validate() throws { if BusUUID(target) == nil { try checkDurableName(target) } }
}

struct DeadRedrive: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "redrive",
        abstract: "Deliver dead letters again, to the subscription that gave them up and under the same id.")

    @OptionGroup var which: DeadTarget
    @OptionGroup var options: ChangeOptions

    func run() async throws {
        try await options.change(.redriveDead, key: which.target) { "\(counted($0, "dead letter")) delivered again" }
    }
}

struct DeadDrop: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "drop", abstract: "Delete dead letters for good.")

    @OptionGroup var which: DeadTarget
    @OptionGroup var options: ChangeOptions

    func run() async throws {
        try await options.change(.dropDead, key: which.target) { "\(counted($0, "dead letter")) dropped" }
    }
}
