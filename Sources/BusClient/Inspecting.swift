// Asking the daemon about itself: one question at a time, its pages one behind the other.
//
// One at a time, because the daemon keeps one snapshot for a session: the pages of two questions that take turns would
// be of each other's.

import BusTransport
import BusWire
import DequeModule

/// The inspections of a connection. Confined to its reactor; `Sendable` so that cancellation can be brought there.
final class Inspecting: @unchecked Sendable {
    typealias Rows = [[InspectedValue]]

    private unowned let core: ClientCore
    private var questions: Deque<Question> = []
    private var nextRequest: UInt32 = 1

    private struct Question {
        let request: UInt32
        let kind: InspectionKind
        let key: String
        var rows: Rows = []
        var after: UInt64 = 0
        let continuation: CheckedContinuation<Result<Rows, BusError>, Never>
    }

    init(_ core: ClientCore) { self.core = core }

    /// All pages of an answer.
    func ask(
        _ kind: InspectionKind, key: String = "", isolation: isolated (any Actor)? = #isolation
    ) async throws(BusError) -> Rows {
        guard key.utf8.count <= Limits.nameLengthMax else {
            throw .invalid("a key of \(key.utf8.count) bytes, at most \(Limits.nameLengthMax) are allowed")
        }
        let request = nextRequest
        nextRequest &+= 1
        let reactor = core.reactor
        return try await withTaskCancellationHandler {
            // Captured, so that the closure is isolated like its caller.
            _ = isolation
            return await withCheckedContinuation {
                (continuation: CheckedContinuation<Result<Rows, BusError>, Never>) in
                guard core.isOpen else {
                    let cause = core.failure ?? .disconnected("there is no connection at the moment")
                    return continuation.resume(returning: Result<Rows, BusError>.failure(cause))
                }
                questions.append(Question(request: request, kind: kind, key: key, continuation: continuation))
                if questions.count == 1 { askNext() }
                if Task.isCancelled { giveUp(request) }
            }
        } onCancel: {
            Task(executorPreference: reactor) { self.giveUp(request) }
        }.get()
    }

    private func askNext() {
        guard let first = questions.first else { return }
        core.write(.inspect(Inspect(request: first.request, kind: first.kind, key: first.key, after: first.after)))
    }

    func take(_ inspected: Inspected) throws(BusError) {
        guard inspected.request < nextRequest else {
            throw .protocolViolation("an answer to inspection \(inspected.request), which wasn't asked")
        }
        // Another's: of a question that was given up.
        guard let first = questions.first, first.request == inspected.request else { return }
        questions[0].rows += inspected.rows
        guard inspected.after != 0 else { return finish(.success(questions[0].rows)) }
        guard inspected.after > first.after else {
            throw .protocolViolation("a page of an inspection that isn't behind the one before")
        }
        questions[0].after = inspected.after
        askNext()
    }

    func take(_ error: ErrorFrame) {
        guard let first = questions.first, UInt64(first.request) == error.request else { return }
        finish(.failure(.refused(error.reason, error.message)))
    }

    private func finish(_ result: Result<Rows, BusError>) {
        questions.popFirst()?.continuation.resume(returning: result)
        askNext()
    }

    private func giveUp(_ request: UInt32) {
        guard let index = questions.firstIndex(where: { $0.request == request }) else { return }
        if index == 0 { return finish(.failure(.cancelled)) }
        questions.remove(at: index).continuation.resume(returning: .failure(.cancelled))
    }

    func fail(_ error: BusError) {
        let waiting = questions
        questions = []
        for question in waiting { question.continuation.resume(returning: .failure(error)) }
    }
}
