// bus sub --exec: a command for each event, its payload on standard input, what else is known in the environment.
//
// One thread a slot waits for its command, so that `--parallel N` runs N at a time; the subscription is taken from as
// slots become free, and its credit follows.

import BusClient
import Dispatch
import Glibc

struct ExecSubscriber {
    private let command: SubCommand

    init(_ command: SubCommand) { self.command = command }

    func run() async throws {
        let connection = try await command.bus.connect(
            "bus sub --exec", onNotice: { Standard.error("bus: \($0)\n") })
        var subscriptions: [Subscription] = []
        for filter in command.filters {
            subscriptions.append(try await connection.subscribe(filter, command.subscribeOptions))
        }
        let slots = Slots(count: command.parallel, limit: command.count)
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for subscription in subscriptions { group.addTask { try await follow(subscription, slots) } }
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

    private func follow(_ subscription: Subscription, _ slots: Slots) async throws {
        for try await arrival in subscription {
            guard !Task.isCancelled else { return }
            switch arrival {
            case .missed(let missed): Standard.error("bus: \(EventText.sentence(missed))\n")
            case .event(let event):
                guard await slots.take() else { return }
                start(event, slots)
                if await slots.isExhausted { return }
            }
        }
    }

    private func start(_ event: Event, _ slots: Slots) {
        let (argv, limit) = (command.command, command.execTimeout?.duration)
        DispatchQueue.global().async {
            ExecSubscriber.execute(argv, event, limit)
            Task { await slots.giveBack() }
        }
    }

    private func expire(_ duration: Duration, _ slots: Slots) async throws {
        try await ContinuousClock().sleep(for: duration)
        // Commands under way are left to finish by themselves; nobody waits for them.
        await slots.close()
        throw Failure(.temporary, "timeout")
    }

    /// Runs one command to its end; past its time it gets SIGTERM, and SIGKILL two seconds later.
    private static func execute(_ argv: [String], _ event: Event, _ limit: Duration?) {
        do {
            let child = try ChildProcess(argv, environment: environment(of: event), input: event.payload.array)
            let status = limit.map { wait(child, $0) } ?? child.wait()
            if status != 0 { Standard.error("bus: \(argv[0]) ended with status \(status) for event \(event.id)\n") }
        } catch {
            Standard.error("bus: \((error as? Failure)?.message ?? "\(error)")\n")
        }
    }

    private static func wait(_ child: ChildProcess, _ limit: Duration) -> Int32 {
        let clock = ContinuousClock()
        let deadline = clock.now + limit
        var signals: [(Int32, ContinuousClock.Instant)] = [(SIGTERM, deadline), (SIGKILL, deadline + .seconds(2))]
        while true {
            if let status = child.poll() { return status }
            if let next = signals.first, clock.now >= next.1 {
                child.signal(next.0)
                signals.removeFirst()
            }
            // A pidfd would wait without waking; here a command is running anyway.
            var pause = timespec(tv_sec: 0, tv_nsec: 10_000_000)
            nanosleep(&pause, nil)
        }
    }

    private static func environment(of event: Event) -> [String: String] {
        [
            "LOCALBUS_TOPIC": event.topic.description, "LOCALBUS_ID": event.id.description,
            "LOCALBUS_SEQUENCE": "\(event.sequence)", "LOCALBUS_CORRELATION": event.correlation.description,
            "LOCALBUS_ATTEMPT": "\(event.attempt)",
        ]
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
