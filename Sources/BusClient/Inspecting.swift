// Asking the daemon about itself: one question at a time, its pages one behind the other.
//
// One at a time, because the daemon keeps one snapshot for a session: the pages of two questions that take turns would
// be of each other's.

import BusWire
import DequeModule

/// The inspections of a connection. Confined to its reactor.
final class Inspecting {
    typealias Rows = [[InspectedValue]]

    private unowned let core: ClientCore
    private let answers: AwaitedAnswers<Rows>
    private var questions: Deque<Question> = []

    private struct Question {
        let request: UInt32
        let kind: InspectionKind
        let key: String
        var rows: Rows = []
        var after: UInt64 = 0
    }

    init(_ core: ClientCore) {
        self.core = core
        answers = AwaitedAnswers(core)
        answers.onGivingUp = { [unowned self] in drop($0) }
    }

    /// All pages of an answer.
    func ask(
        _ kind: InspectionKind, key: String = "", isolation: isolated (any Actor)? = #isolation
    ) async throws(BusError) -> Rows {
        guard key.utf8.count <= Limits.nameLengthMax else {
            throw .invalid("a key of \(key.utf8.count) bytes, at most \(Limits.nameLengthMax) are allowed")
        }
        return try await answers.ask { request in
            questions.append(Question(request: request, kind: kind, key: key))
            if questions.count == 1 { askNext() }
        }
    }

    private func askNext() {
        guard let first = questions.first else { return }
        core.write(.inspect(Inspect(request: first.request, kind: first.kind, key: first.key, after: first.after)))
    }

    func take(_ inspected: Inspected) throws(BusError) {
        guard answers.wasMade(inspected.request) else {
            throw .protocolViolation("an answer to inspection \(inspected.request), which wasn't asked")
        }
        // Another's: of a question that was given up.
        guard let first = questions.first, first.request == inspected.request else { return }
        questions[0].rows += inspected.rows
        guard inspected.after != 0 else { return finish(first.request, .success(questions[0].rows)) }
        guard inspected.after > first.after else {
            throw .protocolViolation("a page of an inspection that isn't behind the one before")
        }
        questions[0].after = inspected.after
        askNext()
    }

    func take(_ error: ErrorFrame) {
        guard let first = questions.first, UInt64(first.request) == error.request else { return }
        finish(first.request, .failure(.refused(error.reason, error.message)))
    }

    private func finish(_ request: UInt32, _ outcome: Result<Rows, BusError>) {
        answers.finish(request, outcome)
        drop(request)
    }

    /// A question is over; the next is asked where it was this one's turn.
    private func drop(_ request: UInt32) {
        guard let index = questions.firstIndex(where: { $0.request == request }) else { return }
        questions.remove(at: index)
        if index == 0 { askNext() }
    }

    func fail(_ error: BusError) {
        questions = []
        answers.fail(error)
    }
}
