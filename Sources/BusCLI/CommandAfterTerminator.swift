// The command behind `--` of `bus run` and `--exec`. The argument parser can't have a list behind a list of filters, so
// the command is cut off before it parses; everywhere else `--` keeps its usual meaning.

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
        guard own.first == "run" || own.contains("--exec") else { return (all, []) }
        return (own, all[(terminator + 1)...])
    }()
}
