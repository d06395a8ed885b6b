// Requests told apart by their numbers, and those who wait for the daemon's answers to them.

import BusTransport

/// Requests of one kind that this connection made and has no answer to. Confined to its reactor; `Sendable` so that
/// cancellation can be brought there.
final class AwaitedAnswers<Answer: Sendable>: @unchecked Sendable {
    typealias Outcome = Result<Answer, BusError>

    private unowned let core: ClientCore
    private var waiting: [UInt32: CheckedContinuation<Outcome, Never>] = [:]
    private var nextRequest: UInt32 = 1
    /// Who is told that nobody waits for an answer any more.
    var onGivingUp: (UInt32) -> Void = { _ in }

    init(_ core: ClientCore) { self.core = core }

    /// Makes a request, and waits for the answer.
    func ask(
        isolation: isolated (any Actor)? = #isolation, _ send: (UInt32) -> Void
    ) async throws(BusError) -> Answer {
        let request = nextRequest
        nextRequest &+= 1
        let reactor = core.reactor
        return try await withTaskCancellationHandler {
            // Captured, so that the closure is isolated like its caller.
            _ = isolation
            return await withCheckedContinuation { (continuation: CheckedContinuation<Outcome, Never>) in
                guard core.isOpen else {
                    let cause = core.failure ?? .disconnected("there is no connection at the moment")
                    return continuation.resume(returning: Outcome.failure(cause))
                }
                waiting[request] = continuation
                send(request)
                if Task.isCancelled { giveUp(request) }
            }
        } onCancel: {
            Task(executorPreference: reactor) { self.giveUp(request) }
        }.get()
    }

    /// Whether a request of this number was ever made.
    func wasMade(_ request: UInt32) -> Bool { request < nextRequest }

    /// A request is answered. Of one that was given up there is nobody to tell.
    func finish(_ request: UInt32, _ outcome: Outcome) {
        waiting.removeValue(forKey: request)?.resume(returning: outcome)
    }

    /// Nobody waits for the daemon's word any more; what was asked for may still be done.
    private func giveUp(_ request: UInt32) {
        guard let continuation = waiting.removeValue(forKey: request) else { return }
        continuation.resume(returning: .failure(.cancelled))
        onGivingUp(request)
    }

    /// No answer will come.
    func fail(_ error: BusError) {
        let all = waiting.sorted { $0.key < $1.key }
        waiting = [:]
        for (_, continuation) in all { continuation.resume(returning: .failure(error)) }
    }
}
