// `bus help WORDS`: the argument parser answers words that are no command with the help of what was understood, and
// status 0. A script, and a typo, deserve better.

import ArgumentParser

enum HelpWords {
    /// - Throws: `Failure`, for words that name no command.
    static func check(_ arguments: [String]) throws {
        guard arguments.first == "help" else { return }
        var (command, path): (any ParsableCommand.Type, String) = (Bus.self, "bus")
        for word in arguments.dropFirst() where !word.hasPrefix("-") {
            if command == Bus.self, word == "help" { return }
            let found = command.configuration.subcommands.first {
                $0.configuration.commandName == word || $0.configuration.aliases.contains(word)
            }
            guard let found else {
                throw Failure(.usage, "there is no command `\(path) \(word)`: `\(path) --help` shows what there is")
            }
            (command, path) = (found, "\(path) \(word)")
        }
    }
}
