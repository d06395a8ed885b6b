// bus demo: the whole thing on real input in about ten seconds. What it says it has just seen, and it fails if that
// isn't so.

import ArgumentParser
import Glibc

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Show the bus at work on this host.",
        discussion: """
            Starts a private bus, publishes readings of this host's /proc, and shows what becomes of them, in about \
            ten seconds. Everything shown is checked; the exit status is 1 if something doesn't hold.
            """,
        // Processes of the demo, not for people.
        subcommands: [DemoPublisher.self, DemoStranger.self])

    func run() async throws {
        Interruption.watch()
        let demo = try await Demo()
        do {
            try await demo.tell()
        } catch {
            await demo.end()
            for line in demo.daemonComplaints { Standard.error("busd: \(line)\n") }
            throw error
        }
        await demo.end()
    }
}

/// Ctrl-C, SIGTERM, a closed terminal or a closed pipe: noted, so that every process and file is cleaned up first.
enum Interruption {
    static func watch() {
        for number in [SIGINT, SIGTERM, SIGHUP, SIGPIPE] { signal(number) { interruption = $0 } }
    }

    /// Somebody who reads is gone.
    static func note(_ number: Int32) { interruption = number }

    /// - Throws: the status that a shell expects of a program ended by a signal.
    static func check() throws {
        if interruption != 0 { throw ExitCode(128 + interruption) }
    }
}

/// Written by the signal handler: one aligned word.
private nonisolated(unsafe) var interruption: Int32 = 0
