// The last will of a session: left with the daemon one after the other, and again after a reconnect.

import BusTransport
import BusWire
import DequeModule

/// A will whose topic is checked.
struct CheckedWill {
    let topic: Topic
    var event: OutgoingEvent
}

/// The will of a connection. Confined to its reactor; `Sendable` so that cancellation can be brought there.
final class Willing: @unchecked Sendable {
    private unowned let core: ClientCore
    /// What the daemon has, or is to have.
    private var will: CheckedWill?
    /// The first is under way.
    private var changes: Deque<Change> = []
    private var nextNumber: UInt64 = 1
    /// The number under which the first change was sent; 0 as long as it waits for its seal.
    private var sentNumber: UInt64 = 0
    private var nextChange: UInt64 = 1
    /// How often the first change was refused for a reason that a new seal mends.
    private var resealCount = 0

    /// A will left or taken back.
    private struct Change {
        let number: UInt64
        let will: CheckedWill?
        var continuation: CheckedContinuation<Result<Void, BusError>, Never>?
    }

    init(_ core: ClientCore) { self.core = core }

    /// Changes that the daemon hasn't answered.
    var pendingCount: Int { changes.count }

    /// Leaves a will, or takes it back, and waits for the daemon's word.
    func set(_ will: CheckedWill?, isolation: isolated (any Actor)? = #isolation) async throws(BusError) {
        if let failure = core.failure { throw failure }
        var will = will
        // The same id again after a reconnect.
        if will != nil, will?.event.id == nil { will?.event.id = core.publishing.makeID() }
        let number = nextChange
        nextChange += 1
        let reactor = core.reactor
        let change = will
        try await withTaskCancellationHandler {
            // Captured, so that the closure is isolated like its caller.
            _ = isolation
            return await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<Void, BusError>, Never>) in
                if let failure = core.failure {
                    return continuation.resume(returning: Result<Void, BusError>.failure(failure))
                }
                changes.append(Change(number: number, will: change, continuation: continuation))
                if changes.count == 1 { begin() }
                if Task.isCancelled { giveUp(number) }
            }
        } onCancel: {
            Task(executorPreference: reactor) { self.giveUp(number) }
        }.get()
    }

    /// Nobody waits for the daemon's word any more; the change goes on.
    private func giveUp(_ number: UInt64) {
        guard let index = changes.firstIndex(where: { $0.number == number }) else { return }
        changes[index].continuation?.resume(returning: .failure(.cancelled))
        changes[index].continuation = nil
    }

    private func begin() {
        guard core.isOpen, let change = changes.first else { return }
        if let will = change.will {
            core.publishing.gatherWill(will.event, on: will.topic)
        } else {
            send(.empty, retains: false, isTombstone: false)
        }
    }

    /// The first change, sealed.
    func send(_ sealed: SharedBytes, retains: Bool, isTombstone: Bool) {
        sentNumber = nextNumber
        nextNumber += 1
        core.write(
            .will(Will(request: sentNumber, retains: retains, isTombstone: isTombstone, batch: sealed)))
    }

    func done(_ type: UInt8, _ request: UInt64) throws(BusError) {
        guard type == FrameType.will.rawValue, request == sentNumber, request > 0 else {
            throw .protocolViolation("a done frame for nothing that was asked")
        }
        will = changes.first?.will
        finish(.success(()))
    }

    func take(_ error: ErrorFrame) {
        guard error.request == sentNumber, error.request > 0 else { return }
        if let will = changes.first?.will, Publishing.isMendable(error.reason), resealCount < Publishing.resealsMax {
            resealCount += 1
            sentNumber = 0
            core.publishing.dropSeal(of: core.publishing.topic(will.topic))
            return begin()
        }
        finish(.failure(.refused(error.reason, error.message)))
    }

    /// It couldn't be sealed.
    func failed(_ error: BusError) { finish(.failure(error)) }

    private func finish(_ result: Result<Void, BusError>) {
        sentNumber = 0
        resealCount = 0
        guard let change = changes.popFirst() else { return }
        if let continuation = change.continuation {
            continuation.resume(returning: result)
        } else if case .failure(let error) = result, let will = change.will, core.failure == nil {
            core.options.onNotice?(.refused(topic: will.topic, events: 1, error))
        }
        begin()
    }

    // MARK: Connections come and go

    /// The new session has none: it gets the last one the old one had, then the changes that were under way.
    func connectionRestored() {
        sentNumber = 0
        resealCount = 0
        if let will {
            changes.prepend(Change(number: nextChange, will: will))
            nextChange += 1
        }
        begin()
    }

    func fail(_ error: BusError) {
        let waiting = changes
        changes = []
        will = nil
        for change in waiting { change.continuation?.resume(returning: .failure(error)) }
    }
}
