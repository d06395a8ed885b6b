// bus bench churn: connections that come, subscribe, publish an event, receive it and go, round after round: a daemon
// that forgets them all stays as large as it was.

import ArgumentParser
import BusClient
import BusTransport

struct BenchChurn: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "churn", abstract: "Connect, subscribe, publish, close; again and again.")

    @Option var rounds: Int
    @Option(help: "Topics they take in turn.") var topics = 1000
    @Option(help: "Print a line after so many rounds.") var every: Int
    @Option(help: "How many come and go side by side.") var parallel = 8
    @OptionGroup var bus: BusOptions

    func validate() throws {
        guard rounds > 0, topics > 0, every > 0, parallel > 0 else { throw ValidationError("numbers are above 0") }
    }

    func run() async throws {
        let reactor = try Reactor.started("bench churn")
        let start = nanoseconds()
        var done = 0
        while done < rounds {
            let end = min(done + every, rounds)
            try await turn(done..<end, on: reactor)
            done = end
            Standard.output("{\"rounds\":\(done),\"seconds\":\(Double(nanoseconds() - start) / 1e9)}\n")
        }
    }

    private func turn(_ range: Range<Int>, on reactor: Reactor) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            for lane in 0..<parallel {
                group.addTask {
                    for number in stride(from: range.lowerBound + lane, to: range.upperBound, by: parallel) {
                        try await visit("churn.n\(number % topics)", reactor)
                    }
                }
            }
            try await group.waitForAll()
        }
    }

    private func visit(_ topic: String, _ reactor: Reactor) async throws {
        let connection = try await BusConnection.connect(bus.connectOptions("bench churn", reactor: reactor))
        let subscription = try await connection.subscribe(topic)
        _ = try await connection.publish("x", to: topic)
        for try await arrival in subscription {
            if case .event = arrival { break }
        }
        await connection.close()
    }
}
