// bus sub --exec: a command for each event.
//
// The subscription is taken from as slots become free, and its credit follows. Of a group each slot is a member of
// its own: what a member acknowledges it acknowledges in order, so that only its own command may be under way. Of a
// durable subscription the command's status says what becomes of its event; while it runs the client extends the wait.

import BusClient
import BusTransport

struct ExecSubscriber {
    private let command: SubCommand

    init(_ command: SubCommand) { self.command = command }

    func run() async throws {
        // Before anything is subscribed to: a typo would use up the attempts of every event of a durable subscription.
        try ChildProcess.check(command.command[0])
        CommandGroups.endWithUs()
        let reactor = try Reactor.started("bus sub --exec")
        let connection = try await command.connect("bus sub --exec", reactor: reactor)
        var subscriptions: [Subscription] = []
        let newFilter = await LiveTopics.newFilter(command, connection)
        let members = command.acknowledges ? command.parallel : 1
        for filter in command.subscribed {
            for _ in 0..<members {
                subscriptions.append(try await connection.subscribe(filter, command.subscribeOptions))
            }
        }
        if let newFilter { await LiveTopics.tell(of: newFilter, connection) }
        let exec = EventCommand(command.command, limit: command.execTimeout?.duration, on: reactor)
        let slots = Slots(count: command.parallel, limit: command.count)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for subscription in subscriptions { group.addTask { try await follow(subscription, exec, slots) } }
                if let timeout = command.timeout { group.addTask { try await expire(timeout.duration, exec, slots) } }
                // Whoever ends first ends all: the count is reached, the time is over, or the connection is.
                try await group.next()
                group.cancelAll()
            }
        } catch {
            await connection.close()
            throw error
        }
        await slots.waitUntilFree()
        await connection.close()
    }

    private func follow(_ subscription: Subscription, _ exec: EventCommand, _ slots: Slots) async throws {
        for try await arrival in subscription {
            guard !Task.isCancelled else { return }
            switch arrival {
            case .missed(let missed): Standard.error("bus: \(EventText.sentence(missed))\n")
            case .caughtUp(let count):
                Standard.error("bus: \(EventText.sentence(caughtUp: count, of: command.keptWord))\n")
            case .event(let event):
                guard await slots.take() else { return }
                // Not cancelled with this one: a command that has begun is finished.
                let run = Task {
                    let verdict = await execute(exec, event)
                    // Before the place is free: who waits for the last one then closes the connection.
                    if command.acknowledges, let verdict { await settle(event, subscription, verdict) }
                    await slots.giveBack()
                }
                if command.acknowledges { await run.value }
                if await slots.isExhausted { return }
            }
        }
    }

    /// What is to become of an event.
    private enum Verdict: Sendable {
        case handled
        case again(String)
        case never(String)
    }

    private func settle(_ event: Event, _ subscription: Subscription, _ verdict: Verdict) async {
        guard command.durable.durable != nil else { return await subscription.acknowledge() }
        do throws(BusError) {
            switch verdict {
            case .handled: try await event.acknowledge()
            case .again(let why): try await event.retry(because: why)
            case .never(let why): try await event.reject(because: why)
            }
        } catch {
            Standard.error("bus: event \(event.id) comes again: \(error)\n")
        }
    }

    /// Runs the command for an event; nil when we ended it before it was done.
    private func execute(_ exec: EventCommand, _ event: Event) async -> Verdict? {
        do {
            let outcome = try await exec.run(event)
            if outcome.cause == .cancelled { return nil }
            let name = command.command[0]
            guard outcome.cause == .timeLimit || outcome.status != 0 else { return .handled }
            let how = outcome.cause == .timeLimit ? "was ended after its time" : "ended with status \(outcome.status)"
            Standard.error("bus: \(name) \(how) for event \(event.id)\n")
            let isRejected = outcome.cause == .itself && outcome.status == Failure.Status.badData.rawValue
            return isRejected ? .never("\(name) \(how)") : .again("\(name) \(how)")
        } catch {
            let message = (error as? Failure)?.message ?? "\(error)"
            Standard.error("bus: \(message)\n")
            return .again(message)
        }
    }

    private func expire(_ duration: Duration, _ exec: EventCommand, _ slots: Slots) async throws {
        try await ContinuousClock().sleep(for: duration)
        await slots.close()
        // Their events are not acknowledged: they come again.
        await exec.endAll()
        await slots.waitUntilFree()
        throw Failure(.temporary, "timeout")
    }
}

/// Places for running commands.
private actor Slots {
    private var free: Int
    private let count: Int
    private var left: UInt64?
    private var waiters: [CheckedContinuation<Void, Never>] = []

    init(count: Int, limit: UInt64?) {
        free = count
        self.count = count
        left = limit
    }

    var isExhausted: Bool { left == 0 }

    /// Takes a place as soon as there is one; false when no more commands are to be run.
    func take() async -> Bool {
        while free == 0, left != 0 { await withCheckedContinuation { waiters.append($0) } }
        guard left != 0 else { return false }
        left = left.map { $0 - 1 }
        free -= 1
        return true
    }

    func giveBack() {
        free += 1
        resumeAll()
    }

    private func resumeAll() {
        let resumed = waiters
        waiters = []
        for waiter in resumed { waiter.resume() }
    }

    /// No more commands.
    func close() {
        left = 0
        resumeAll()
    }

    func waitUntilFree() async {
        while free < count { await withCheckedContinuation { waiters.append($0) } }
    }
}
