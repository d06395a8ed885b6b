// Asking for changes to what the daemon stores: as many requests at a time as one likes, told apart by their numbers.

import BusTransport
import BusWire

/// What this connection asked for and has no answer to. Confined to its reactor; `Sendable` so that cancellation can be
/// brought there.
final class Administering: @unchecked Sendable {
    private unowned let core: ClientCore
    private var waiting: [UInt32: CheckedContinuation<Result<UInt64, BusError>, Never>] = [:]
    private var nextRequest: UInt32 = 1

    init(_ core: ClientCore) { self.core = core }

    /// Asks, and waits for the answer. Returns how many things were touched.
    func ask(
        _ make: (UInt32) -> Administer, isolation: isolated (any Actor)? = #isolation
    ) async throws(BusError) -> UInt64 {
        let request = nextRequest
        nextRequest &+= 1
        let reactor = core.reactor
        return try await withTaskCancellationHandler {
            // Captured, so that the closure is isolated like its caller.
            _ = isolation
            return await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<UInt64, BusError>, Never>) in
                guard core.isOpen else {
                    let cause = core.failure ?? .disconnected("there is no connection at the moment")
                    return continuation.resume(returning: Result<UInt64, BusError>.failure(cause))
                }
                waiting[request] = continuation
                core.write(.administer(make(request)))
                if Task.isCancelled { giveUp(request) }
            }
        } onCancel: {
            Task(executorPreference: reactor) { self.giveUp(request) }
        }.get()
    }

    func take(_ answer: Administered) throws(BusError) {
        guard answer.request < nextRequest else {
            throw .protocolViolation("an answer to request \(answer.request), which wasn't made")
        }
        // Of one that was given up there is nobody to tell.
        waiting.removeValue(forKey: answer.request)?.resume(returning: .success(answer.count))
    }

    func take(_ error: ErrorFrame) {
        waiting.removeValue(forKey: UInt32(truncatingIfNeeded: error.request))?
            .resume(returning: .failure(.refused(error.reason, error.message)))
    }

    /// Nobody waits for the daemon's word any more; what was asked for may still be done.
    private func giveUp(_ request: UInt32) {
        waiting.removeValue(forKey: request)?.resume(returning: .failure(.cancelled))
    }

    func fail(_ error: BusError) {
        let all = waiting.sorted { $0.key < $1.key }
        waiting = [:]
        for (_, continuation) in all { continuation.resume(returning: .failure(error)) }
    }
}
