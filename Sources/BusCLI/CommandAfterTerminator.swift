// The command behind `--` of `bus run` and `--exec`. The argument parser can't have a list behind a list of filters, so
// the command is cut off before it parses; everywhere else `--` keeps its usual meaning. Behind it a `bus sub` or `bus
// reply` without `--exec` has a command, too, unless it begins with a dash: taken for one more filter, or for the answer,
// it would never run, and nobody would hear why.

/// The arguments of this process, in two parts.
enum CommandAfterTerminator {
    /// What the parser gets.
    static let ownArguments = Array(split.own)
    /// What is to be run.
    static let argv = Array(split.command)

    private static let split: (own: ArraySlice<String>, command: ArraySlice<String>) = {
        let all = CommandLine.arguments.dropFirst()
        guard let terminator = all.firstIndex(of: "--") else { return (all, []) }
        let own = all[..<terminator]
        let rest = all[(terminator + 1)...]
        if own.first == "run" || own.contains("--exec") { return (own, rest) }
        let runsCommands = ["sub", "subscribe", "reply"].contains(own.first)
        return runsCommands && rest.first?.hasPrefix("-") == false ? (own, rest) : (all, [])
    }()
}
