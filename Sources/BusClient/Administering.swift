// Asking for changes to what the daemon stores: as many requests at a time as one likes.

import BusWire

/// The administration of a connection. Confined to its reactor.
final class Administering {
    private unowned let core: ClientCore
    private let answers: AwaitedAnswers<UInt64>

    init(_ core: ClientCore) {
        self.core = core
        answers = AwaitedAnswers(core)
    }

    /// Asks, and waits for the answer. Returns how many things were touched.
    func ask(
        _ make: (UInt32) -> Administer, isolation: isolated (any Actor)? = #isolation
    ) async throws(BusError) -> UInt64 {
        try await answers.ask { core.write(.administer(make($0))) }
    }

    func take(_ answer: Administered) throws(BusError) {
        guard answers.wasMade(answer.request) else {
            throw .protocolViolation("an answer to request \(answer.request), which wasn't made")
        }
        answers.finish(answer.request, .success(answer.count))
    }

    func take(_ error: ErrorFrame) {
        answers.finish(UInt32(truncatingIfNeeded: error.request), .failure(.refused(error.reason, error.message)))
    }

    func fail(_ error: BusError) { answers.fail(error) }
}
