// bus bench: the two ends of a benchmark, each a process of its own. They speak the interface of a driver that
// starts them, measures them and compares buses: results are one line of JSON on standard output, times are
// CLOCK_MONOTONIC nanoseconds.

import ArgumentParser

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "The publishers and subscribers of a benchmark.",
        discussion: "`make bench` runs them; docs/PERFORMANCE.md says what is measured and how.",
        subcommands: [
            BenchPub.self, BenchSub.self, BenchPing.self, BenchPong.self, BenchIdle.self, BenchTopicsPub.self,
            BenchTopicsSub.self, BenchHold.self, BenchChurn.self, BenchHostile.self,
        ])
}
