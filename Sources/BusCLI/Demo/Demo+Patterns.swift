// Section 4: one of many, question and answer, what was said last.

import BusClient

extension Demo {
    private static let jobCount = 12

    /// Shares work in a group, asks a command, and asks for a last value.
    func tellOfPatterns() async throws {
        try screen.section(
            "Not only to everybody: a group, a request, a last value",
            "Workers of a group share what comes, each event goes to one of them. A request gets an answer, or word "
                + "that nobody is there. A last value waits for whoever asks later.")
        try await tellOfGroup()
        try await tellOfRequest()
        try await tellOfLastValue()
    }

    private func tellOfGroup() async throws {
        var workers: [DemoProcess] = []
        for _ in 0..<3 { workers.append(try await subscribe("jobs.>", options: ["--group", "workers"])) }
        let lines = (1...Demo.jobCount).map { "job \($0)\n" }.joined()
        let pub = try start("bus pub --lines", ["pub", "jobs.resize", "--lines"], input: Array(lines.utf8))
        try await succeed(pub, within: .seconds(5))
        screen.command("bus sub 'jobs.>' --group workers", "three of them; then \(Demo.jobCount) jobs are published")
        try await wait("\(Demo.jobCount) jobs to be taken", within: .seconds(5)) {
            workers.reduce(0) { $0 + $1.output.lines.count } >= Demo.jobCount
        }
        let taken = workers.map { worker in
            worker.output.lines.compactMap { JSONValue($0)?["data"]?.text?.split(separator: " ").last.map(String.init) }
        }
        for (index, jobs) in taken.enumerated() {
            screen.line("worker \(index + 1)  job \(jobs.joined(separator: ", "))")
        }
        let all = taken.flatMap { $0 }.compactMap { Int($0) }.sorted()
        try claim(
            all == Array(1...Demo.jobCount) && taken.allSatisfy { !$0.isEmpty },
            "Each of the \(Demo.jobCount) jobs went to one worker, and none went without.")
        for worker in workers { worker.end() }
        screen.blank()
    }

    private func tellOfRequest() async throws {
        let responder = try await startSubscriber(
            "bus reply host.kernel", ["reply", "host.kernel", "--exec", "--", "uname", "-r"], to: "host.kernel")
        screen.command("bus reply host.kernel --exec -- uname -r")
        let asked = try start("bus req host.kernel", ["req", "host.kernel"])
        try await succeed(asked, within: .seconds(5))
        screen.command("bus req host.kernel")
        for line in asked.output.lines { screen.line(line) }
        let kernel = HostReadings.file("/proc/sys/kernel/osrelease")?.split(separator: "\n").first.map(String.init)
        try claim(asked.output.lines == [kernel ?? ""], "The answer is what /proc says, too.")
        responder.end()
        screen.blank()

        let unanswered = try start("bus req nobody.there", ["req", "nobody.there"])
        try await wait("word that nobody is there", within: .seconds(2)) { unanswered.status != nil }
        screen.command("bus req nobody.there")
        for line in unanswered.complaints { screen.line(line) }
        try claim(
            unanswered.status == Failure.Status.unavailable.rawValue,
            "Told at once, with exit status 69, instead of waiting for the 5 seconds a request may take.")
        screen.blank()
    }

    private func tellOfLastValue() async throws {
        for interval in ["10", "30"] {
            let pub = try start("bus pub --retain", ["pub", "config.interval", interval, "--retain"])
            try await succeed(pub, within: .seconds(5))
            screen.command("bus pub config.interval \(interval) --retain")
        }
        let late = try start("bus sub 'config.>' --last", ["sub", "config.>", "--last", "--json"])
        try await wait("the last value", within: .seconds(5)) {
            try late.mustRun()
            return late.output.lines.count >= 2
        }
        screen.command("bus sub 'config.>' --last", "who comes later")
        let values = late.output.lines.compactMap { JSONValue($0) }
        let (value, marker) = (values[0]["data"]?.text ?? "", values[1]["caught_up"]?.number ?? 0)
        screen.line("\(value)")
        screen.line("bus: \(EventText.sentence(caughtUp: UInt64(marker)))")
        try claim(value == "30" && marker == 1, "The newest value alone, then word that this is all there was.")
        late.end()
    }
}
