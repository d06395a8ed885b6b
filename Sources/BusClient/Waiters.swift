// Those who wait for one thing: resumed when it happens, or when their task is cancelled, whichever comes first.

import BusTransport
import DequeModule

/// Suspended tasks, first come, first served. Confined to its reactor, where cancellation is brought, too; `Sendable`
/// only for that.
final class Waiters: @unchecked Sendable {
    private let reactor: Reactor
    private var waiting: Deque<(number: UInt64, continuation: CheckedContinuation<Void, Never>)> = []
    private var nextNumber: UInt64 = 1

    init(on reactor: Reactor) { self.reactor = reactor }

    /// Whether nobody waits.
    var isEmpty: Bool { waiting.isEmpty }

    /// Suspends until resumed or cancelled: its caller looks which.
    ///
    /// Other jobs of the reactor may run between a call and its callee's beginning, even on the same executor: what
    /// is waited for is looked at in the step that notes the wait, or it could have happened in between.
    /// - Parameter isOver: whether there is nothing to wait for.
    func wait(
        unless isOver: () -> Bool, isolation: isolated (any Actor)? = #isolation
    ) async {
        let number = nextNumber
        nextNumber += 1
        await withTaskCancellationHandler {
            // A closure is isolated like its caller only if it captures the isolation; else it would run elsewhere.
            _ = isolation
            reactor.checkIsolated()
            await withCheckedContinuation { continuation in
                guard !isOver() else { return continuation.resume() }
                waiting.append((number, continuation))
                // Cancelled before it waited: `giveUp` may have been and found nothing.
                if Task.isCancelled { giveUp(number) }
            }
        } onCancel: {
            Task(executorPreference: reactor) { self.giveUp(number) }
        }
    }

    private func giveUp(_ number: UInt64) {
        guard let index = waiting.firstIndex(where: { $0.number == number }) else { return }
        waiting.remove(at: index).continuation.resume()
    }

    /// Resumes the longest waiting ones as long as `condition` holds.
    func resume(while condition: () -> Bool) {
        while condition(), let first = waiting.popFirst() { first.continuation.resume() }
    }

    func resumeAll() { resume { true } }
}
