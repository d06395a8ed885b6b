// Section 7: how fast this machine is.

import Glibc

extension Demo {
    private static let payloadLength = 128
    /// Long enough to be past the beginning, short enough for a demo.
    private static let seconds = 1.6

    /// Measures one publisher to one and to eight subscribers.
    func tellOfThroughput() async throws {
        let cores = sysconf(CInt(_SC_NPROCESSORS_ONLN))
        try screen.section(
            "Throughput of this machine",
            "One publisher process as fast as it can, events of \(Demo.payloadLength) bytes, each sealed, routed, opened "
                + "and checked; publisher, daemon and subscribers share \(cores) cores.")
        screen.command("bus bench pub, bus bench sub", "each a process of its own")
        for subscriberCount in [1, 8] {
            // How many events fill the time is found out first.
            let trial = try await measure(subscriberCount, eventCount: 50_000)
            let count = Int(Demo.seconds * trial.deliveredPerSecond) / subscriberCount
            let measured = try await measure(subscriberCount, eventCount: min(max(count, 50_000), 4_000_000))
            let rate = Text.right(Text.grouped(Int(measured.deliveredPerSecond)), 11)
            let events = "\(Text.grouped(measured.received)) in \(Text.decimal(measured.seconds, places: 2)) s"
            let result = screen.styled("\(rate) events delivered a second", .bold)
            screen.line("1 → \(subscriberCount)  \(result)   (\(events))")
            try claim(
                measured.received == measured.expected && measured.reordered == 0,
                "\(Text.grouped(measured.expected)) of \(Text.grouped(measured.expected)) deliveries came, all in order."
            )
        }
    }

    private struct Measurement {
        var expected: Int
        var received = 0
        var reordered = 0
        var seconds = 0.0
        var deliveredPerSecond: Double { Double(received) / seconds }
    }

    private func measure(_ subscriberCount: Int, eventCount: Int) async throws -> Measurement {
        let common = ["--topic", "bench.demo", "--size", "\(Demo.payloadLength)", "--count", "\(eventCount)"]
        let subs = try (0..<subscriberCount).map { _ in try start("bus bench sub", ["bench", "sub"] + common) }
        try await wait("the subscribers of a benchmark", within: .seconds(15)) {
            try subs.allSatisfy { sub in
                try sub.mustRun()
                return !sub.output.lines.isEmpty
            }
        }
        let pub = try start("bus bench pub", ["bench", "pub"] + common)
        var measurement = Measurement(expected: eventCount * subscriberCount)
        var end = 0
        for process in [pub] + subs { try await succeed(process, within: .seconds(30)) }
        for sub in subs {
            guard let result = sub.output.lines.last.flatMap({ JSONValue($0) }), let last = result["end_ns"]?.number
            else { throw sub.failure }
            measurement.received += result["received"]?.number ?? 0
            measurement.reordered += result["reordered"]?.number ?? 0
            end = max(end, last)
        }
        let sent = pub.output.lines.last.flatMap { JSONValue($0) }
        guard let start = sent?["start_ns"]?.number else { throw pub.failure }
        measurement.seconds = Double(end - start) / 1e9
        return measurement
    }
}
