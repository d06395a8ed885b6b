// A command for each event: its payload on standard input, what else is known in the environment. Commands run on
// the connection's reactor, which is told when one ends, so that many at once cost no thread.

import BusClient
import BusTransport

/// The command of `--exec`, to be run again and again, several at once where that is asked for.
actor EventCommand {
    /// How one run ended.
    struct Outcome: Sendable {
        /// What ended it.
        enum Cause: Sendable { case itself, timeLimit, cancelled, tooMuchOutput }

        let cause: Cause
        /// As a shell gives it: 128 and the signal for one that was killed.
        let status: Int32
        /// What it wrote to standard output, if that was wanted.
        let output: [UInt8]
        /// The beginning of what it wrote to standard error, if that was wanted.
        let errors: [UInt8]
    }

    private let argv: [String]
    private let limit: Duration?
    private let reactor: Reactor
    private var running: [ObjectIdentifier: RunningCommand] = [:]
    private var isEnding = false

    nonisolated var unownedExecutor: UnownedSerialExecutor { reactor.asUnownedSerialExecutor() }

    /// - Parameter limit: past its time a command gets SIGTERM, and SIGKILL two seconds later; nil for no limit.
    init(_ argv: [String], limit: Duration?, on reactor: Reactor) {
        self.argv = argv
        self.limit = limit
        self.reactor = reactor
    }

    /// Runs it to its end for an event. Cancelling the task ends the command.
    ///
    /// - Throws: `Failure` when it can't be started.
    func run(_ event: Event, more: [String: String] = [:], capturing: Bool = false) async throws -> Outcome {
        let environment = EventCommand.environment(of: event).merging(more) { $1 }
        let input = event.payload.array
        let command = try RunningCommand(
            argv, environment: environment, input: input, limit: limit, capturing: capturing, on: reactor)
        running[ObjectIdentifier(command)] = command
        defer { running[ObjectIdentifier(command)] = nil }
        if isEnding { command.end(.cancelled) }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                command.outcome(continuation)
                if Task.isCancelled { command.end(.cancelled) }
            }
        } onCancel: {
            Task(executorPreference: reactor) { command.end(.cancelled) }
        }
    }

    /// Ends what is under way, and whatever begins later.
    func endAll() {
        isEnding = true
        for command in running.values { command.end(.cancelled) }
    }

    private static func environment(of event: Event) -> [String: String] {
        [
            "LOCALBUS_TOPIC": event.topic.description, "LOCALBUS_ID": event.id.description,
            "LOCALBUS_SEQUENCE": "\(event.sequence)", "LOCALBUS_CORRELATION": event.correlation.description,
            "LOCALBUS_ATTEMPT": "\(event.attempt)",
        ]
    }
}
