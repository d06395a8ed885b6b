// bus sub --exec: a command for each event.
//
// The subscription is taken from as slots become free, and its credit follows. Of a group each slot is a member of
// its own: what a member acknowledges it acknowledges in order, so that only its own command may be under way.

import BusClient
import BusTransport

struct ExecSubscriber {
    private let command: SubCommand

    init(_ command: SubCommand) { self.command = command }

    func run() async throws {
        CommandGroups.endWithUs()
        let reactor = try Reactor.started("bus sub --exec")
        let connection = try await command.connect("bus sub --exec", reactor: reactor)
        var subscriptions: [Subscription] = []
        let members = command.group == nil ? 1 : command.parallel
        for filter in command.filters {
            for _ in 0..<members {
                subscriptions.append(try await connection.subscribe(filter, command.subscribeOptions))
            }
        }
        let exec = EventCommand(command.command, limit: command.execTimeout?.duration, on: reactor)
        let slots = Slots(count: command.parallel, limit: command.count)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for subscription in subscriptions { group.addTask { try await follow(subscription, exec, slots) } }
                if let timeout = command.timeout { group.addTask { try await expire(timeout.duration, slots) } }
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
            case .caughtUp(let count): Standard.error("bus: \(EventText.sentence(caughtUp: count))\n")
            case .event(let event):
                guard await slots.take() else { return }
                // Not cancelled with this one: a command that has begun is finished.
                let run = Task { await execute(exec, event, slots) }
                if command.group != nil {
                    await run.value
                    await subscription.acknowledge()
                }
                if await slots.isExhausted { return }
            }
        }
    }

    private func execute(_ exec: EventCommand, _ event: Event, _ slots: Slots) async {
        do {
            let outcome = try await exec.run(event)
            let name = command.command[0]
            if outcome.cause == .timeLimit {
                Standard.error("bus: \(name) was ended after its time for event \(event.id)\n")
            } else if outcome.status != 0 {
                Standard.error("bus: \(name) ended with status \(outcome.status) for event \(event.id)\n")
            }
        } catch {
            Standard.error("bus: \((error as? Failure)?.message ?? "\(error)")\n")
        }
        await slots.giveBack()
    }

    private func expire(_ duration: Duration, _ slots: Slots) async throws {
        try await ContinuousClock().sleep(for: duration)
        // Commands under way are left to finish by themselves; nobody waits for them.
        await slots.close()
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
