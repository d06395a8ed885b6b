// Prints arrivals. The connection reads on its own thread while this one formats and writes, so that a slow terminal
// costs memory within the subscription's credit before it costs events.

import BusClient
import BusTransport

/// Prints what all subscriptions of one command bring.
actor Printer {
    private let command: SubCommand
    private var output = OutputBuffer()
    private var printed: UInt64 = 0

    init(_ command: SubCommand) { self.command = command }

    /// Subscribes and prints until the count is reached, the time is over, or the connection has ended.
    static func run(_ command: SubCommand) async throws {
        let reactor = try Reactor.started("bus sub")
        await OutputWatch(on: reactor).begin()
        let connection = try await command.connect("bus sub", reactor: reactor)
        let printer = Printer(command)
        do {
            let newFilter = await LiveTopics.newFilter(command, connection)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for filter in command.subscribed {
                    let subscription = try await connection.subscribe(filter, command.subscribeOptions)
                    if let newFilter { await LiveTopics.tell(of: newFilter, connection) }
                    group.addTask { try await printer.follow(subscription) }
                }
                if let timeout = command.timeout { group.addTask { try await printer.expire(timeout.duration) } }
                // Whoever ends first ends all.
                try await group.next()
                group.cancelAll()
            }
        } catch {
            await connection.close()
            throw error
        }
        await connection.close()
    }

    private func follow(_ subscription: Subscription) async throws {
        // Of a batch only what is printed may be acknowledged: the rest comes again, here or elsewhere.
        if command.durable.durable != nil, command.count != nil { return try await followEvents(subscription) }
        for try await arrival in subscription.batches {
            // Asking on would acknowledge what was never printed.
            guard !Task.isCancelled else { return }
            let isDone = take(arrival)
            output.flush()
            // Not only when the next batch is asked for: whoever ends this process now has seen these lines.
            if command.acknowledges { await subscription.acknowledge() }
            if isDone { return }
        }
    }

    private func followEvents(_ subscription: Subscription) async throws {
        for try await arrival in subscription {
            guard !Task.isCancelled, printed != command.count else { return }
            switch arrival {
            case .event(let event):
                show(event)
                printed += 1
                output.flush()
                if command.acknowledges { try await event.acknowledge() }
            case .missed(let missed): show(missed)
            case .caughtUp(let count): showCaughtUp(count)
            }
            output.flush()
            if printed == command.count { return }
        }
    }

    private func expire(_ duration: Duration) async throws {
        try await ContinuousClock().sleep(for: duration)
        let expected = command.count.map { " of \($0)" } ?? ""
        throw Failure(.temporary, "timeout: \(printed)\(expected) events came")
    }

    // MARK: Arrivals

    /// Whether that was the last one.
    private func take(_ arrival: BatchArrival) -> Bool {
        switch arrival {
        case .batch(let batch):
            for event in batch {
                if printed == command.count { return true }
                show(event)
                printed += 1
            }
        case .missed(let missed): show(missed)
        case .caughtUp(let count): showCaughtUp(count)
        }
        return printed == command.count
    }

    private func show(_ event: Event) {
        if command.json {
            output.append(EventText.json(event))
            output.append(UInt8(ascii: "\n"))
        } else {
            event.payload.withUnsafeBytes { output.append($0) }
            if !command.raw { output.append(UInt8(ascii: "\n")) }
        }
    }

    private func show(_ missed: Missed) {
        if command.json {
            output.append(EventText.json(missed) + "\n")
        } else {
            // In its place also where both streams go to one terminal.
            output.flush()
            Standard.error("bus: \(EventText.sentence(missed))\n")
        }
    }

    private func showCaughtUp(_ count: UInt64) {
        if command.json {
            output.append(EventText.json(caughtUp: count) + "\n")
        } else {
            output.flush()
            Standard.error("bus: \(EventText.sentence(caughtUp: count, of: command.keptWord))\n")
        }
    }
}
