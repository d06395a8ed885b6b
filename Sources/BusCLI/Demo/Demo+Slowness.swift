// Section 6: a subscriber that doesn't keep up, and is told what it missed.

import BusClient
import Glibc

extension Demo {
    private static let burstCount = 50_000

    /// Stops a subscriber, publishes a burst, lets it go on, and adds up.
    func tellOfSlowness() async throws {
        try screen.section(
            "A slow subscriber is told exactly what it missed",
            "A subscriber is stopped in its tracks (SIGSTOP) while \(Text.grouped(Demo.burstCount)) lines are "
                + "published. It holds nobody up: its queue is bounded and the oldest make room. Then it goes on.")
        let slow = try await subscribe("burst.>")
        slow.signal(SIGSTOP)
        try await wait("the subscriber to stop", within: .seconds(5)) { slow.state == "T" }
        screen.command("bus sub 'burst.>' --json", "pid \(slow.pid), stopped")
        let published = try await publishBurst()
        slow.signal(SIGCONT)

        var tally = Tally()
        try await wait("the slow subscriber's account", within: .seconds(15)) {
            try slow.mustRun()
            for line in slow.output.takeNewLines() { tally.add(line) }
            return tally.received + tally.missed >= published
        }
        screen.blank()
        screen.line("received      " + Text.right(Text.grouped(tally.received), 8))
        screen.line("told missed + " + Text.right(Text.grouped(tally.missed), 8) + "   " + tally.gapList)
        let sum = Text.grouped(tally.received + tally.missed)
        screen.line("            = " + Text.right(sum, 8) + "   published: \(Text.grouped(published))")
        screen.blank()
        try claim(
            tally.received + tally.missed == published && tally.missed > 0 && tally.isInOrder,
            "Received plus told is exactly what was published, each sequence once and in order.")
        let counted = try await number("events_missed")
        try claim(counted == tally.missed, "The daemon's own count of missed events is \(Text.grouped(counted)).")
        slow.end()
    }

    /// Publishes real lines as fast as the bus takes them; returns how many were receipted.
    private func publishBurst() async throws -> Int {
        var lines: [UInt8] = []
        for _ in 0..<Demo.burstCount {
            lines += (HostReadings.file("/proc/self/stat") ?? "\n").utf8
        }
        let began = ContinuousClock.now
        let pub = try start("bus pub --lines", ["pub", "burst.process", "--lines", "--json"], input: lines)
        try await succeed(pub, within: .seconds(30))
        let seconds = (ContinuousClock.now - began) / .seconds(1)
        guard let receipt = pub.output.lines.last.flatMap({ JSONValue($0) }), let count = receipt["published"]?.number
        else { throw pub.failure }
        let bytes = Text.decimal(Double(lines.count) / 1e6, places: 1)
        let what = "fed with \(Text.grouped(count)) readings of /proc/self/stat"
        screen.command("bus pub burst.process --lines", what)
        screen.line(
            "\(Text.grouped(count)) events, \(bytes) MB, all receipted in \(Text.decimal(seconds, places: 2)) s")
        return count
    }

    /// What the slow subscriber printed, added up.
    private struct Tally {
        var received = 0
        var missed = 0
        private(set) var isInOrder = true
        private var gaps: [String] = []
        private var sequence = 0

        /// Some of the gaps, for people.
        var gapList: String { gaps.prefix(1).joined() + (gaps.count > 1 ? ", and \(gaps.count - 1) more gaps" : "") }

        mutating func add(_ line: String) {
            guard let value = JSONValue(line) else { return }
            if let gap = value["gap"] {
                let (count, first, last) = (
                    gap["count"]?.number ?? 0, gap["first_sequence"]?.number ?? 0, gap["last_sequence"]?.number ?? 0
                )
                missed += count
                let range = "sequences \(Text.grouped(first)) to \(Text.grouped(last))"
                gaps.append("\(range): \(gap["reason"]?.text ?? "")")
                advance(first: first, last: last, count: count)
            } else if let next = value["sequence"]?.number {
                received += 1
                advance(first: next, last: next, count: 1)
            }
        }

        private mutating func advance(first: Int, last: Int, count: Int) {
            isInOrder = isInOrder && first == sequence + 1 && last - first + 1 == count
            sequence = last
        }
    }
}
