// Going down: nothing new is accepted, what is queued is still delivered, for a bounded time.

import BusWire

/// A shutdown under way.
struct Drain {
    /// When the rest is given up on.
    let deadline: Moment.Nanoseconds
    /// Whether everyone was told goodbye.
    var isClosing = false
    /// Whether the end was told.
    var isStopped = false
}

extension Broker {
    func beginDrain() {
        guard draining == nil else { return }
        draining = Drain(deadline: now.monotonic + configuration.drainTimeout)
    }

    /// Says goodbye to everyone as soon as nothing is queued or the time is over.
    func finishDrain() {
        guard let drain = draining else { return }
        if !drain.isClosing { closeAll(drain) }
        guard draining?.isClosing == true, !drain.isStopped, sessions.isEmpty else { return }
        draining?.isStopped = true
        save()
        emit(.stopped)
    }

    /// Whether something waits for a consumer that it only needs room on its connection for.
    private func isAwaited(_ consumer: Consumer) -> Bool {
        guard consumer.backlog != nil || consumer.subscription.hasAnything(for: consumer), isServed(consumer) else {
            return false
        }
        return !consumer.subscription.isShared || mayHold(consumer.session.account)
    }

    private func closeAll(_ drain: Drain) {
        let isDelivered = sessions.values.allSatisfy {
            $0.uncommittedCount == 0 && $0.consumers.values.allSatisfy { $0.subscription.isDurable || !isAwaited($0) }
        }
        guard isDelivered || drain.deadline <= now.monotonic else { return }
        draining?.isClosing = true
        for session in sessions.values.sorted(by: { $0.id.rawValue < $1.id.rawValue }) where session.phase != .closing {
            tellReceipts(to: session)
            if session.phase == .open {
                let message = "the daemon is going down"
                emit(.send(session.id, .closing(reason: .shuttingDown, message: message)))
            }
            end(session, .shuttingDown, "shutdown")
        }
    }
}
