// Where in what is stored a subscription begins, on the command line.

import ArgumentParser
import BusClient
import Glibc

/// `--all`, `--new`, `--last`, `--since`, `--from-seq`: one of them at most.
struct StartArguments: ParsableArguments {
    @Flag(help: "Begin with the oldest event that is stored.")
    var all = false

    @Flag(help: "Begin with what comes from now on.")
    var new = false

    @Flag(help: "Begin with the last event of every matching topic, where one is kept; then say so.")
    var last = false

    @Option(help: ArgumentHelp("Begin with what was published this long ago: 1h.", valueName: "time"))
    var since: TimeSpan?

    @Option(help: ArgumentHelp("Begin with this position in its one topic.", valueName: "n"))
    var fromSeq: UInt64?

    func validate() throws {
        let chosen = [
            ("--all", all), ("--new", new), ("--last", last), ("--since", since != nil), ("--from-seq", fromSeq != nil),
        ].filter(\.1).map(\.0)
        guard chosen.count <= 1 else {
            throw ValidationError("\(chosen.joined(separator: " and ")) exclude each other: one says where to begin")
        }
        guard fromSeq ?? 0 <= Limits.sequenceMax else {
            throw ValidationError("--from-seq is at most \(Limits.sequenceMax)")
        }
    }

    /// Refuses a position among the topics of a filter with wildcards: each topic counts by itself.
    func check(against filter: String) throws {
        guard fromSeq != nil, filter.split(separator: ".").contains(where: { $0 == "*" || $0 == ">" }) else { return }
        throw ValidationError(
            "--from-seq is a position in one topic, and “\(filter)” may match many: --since TIME begins at a time")
    }

    /// What was chosen; nil when nothing was.
    var start: Start? {
        if all { return .all }
        if new { return .new }
        if last { return .last }
        if let fromSeq { return .sequence(fromSeq) }
        guard let since else { return nil }
        var now = timespec()
        clock_gettime(CLOCK_REALTIME, &now)
        let (seconds, attoseconds) = since.duration.components
        let ago = seconds * 1_000_000 + attoseconds / 1_000_000_000_000
        return .since(max(0, Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000 - ago))
    }
}
