// The answers of bus reply: runs the command, or says the constant, and counts.

import BusClient
import BusTransport

/// Answers one request after the other, or several at once.
actor Answering {
    private let constant: String?
    private let name: String
    private let command: EventCommand
    private let json: Bool
    private var left: UInt64?
    private var running = 0
    private var done: CheckedContinuation<Void, Never>?
    private var ending: String?

    init(_ reply: ReplyCommand, on reactor: Reactor) {
        constant = reply.data
        name = reply.command.first ?? ""
        command = EventCommand(reply.command, limit: reply.execTimeout?.duration, on: reactor)
        json = reply.json
        left = reply.count
    }

    /// The answer to a request.
    ///
    /// - Throws: `FailedAnswer`, which becomes an error answer.
    func answer(_ request: Request) async throws -> OutgoingEvent {
        guard request.isAnswerable else {
            Standard.error("bus: \(request.event.id) on \(request.event.topic) is no request: ignored\n")
            return OutgoingEvent("")
        }
        // Past the count, too: who was let in is answered.
        left = left.map { $0 > 0 ? $0 - 1 : 0 }
        running += 1
        defer {
            running -= 1
            if left == 0, running == 0 { finish() }
        }
        guard let constant else { return try await run(request) }
        show(request, failure: nil)
        return OutgoingEvent(constant)
    }

    private func run(_ request: Request) async throws -> OutgoingEvent {
        let replyTo = request.event.replyTo?.description ?? ""
        let outcome: EventCommand.Outcome
        do {
            outcome = try await command.run(request.event, more: ["LOCALBUS_REPLY_TO": replyTo], capturing: true)
        } catch {
            let message = (error as? Failure)?.message ?? "\(error)"
            Standard.error("bus: \(message)\n")
            show(request, failure: message)
            throw FailedAnswer(description: message)
        }
        let failure = failure(outcome)
        show(request, failure: failure)
        if let failure { throw FailedAnswer(description: failure) }
        return OutgoingEvent(outcome.output)
    }

    /// What the answer says when there is none; nil for a good one.
    private func failure(_ outcome: EventCommand.Outcome) -> String? {
        switch outcome.cause {
        case .itself: break
        case .timeLimit: return "\(name) was ended after its time"
        case .tooMuchOutput: return "\(name) printed more than any bus takes as one event"
        case .cancelled: return "nobody waited for the answer any more"
        }
        guard outcome.status != 0 else { return nil }
        var text = String(decoding: outcome.errors, as: UTF8.self)
        while text.last?.isWhitespace == true { text.removeLast() }
        return text.isEmpty ? "\(name) ended with status \(outcome.status)" : text
    }

    private func show(_ request: Request, failure: String?) {
        guard json else { return }
        var object = EventText.object(request.event)
        object.add("answered", failure == nil)
        if let failure { object.add("failure", failure) }
        Standard.output(object.closed + "\n")
    }

    /// Returns when the count is reached and nothing is under way, without a count never; throws when no request can
    /// come any more.
    func waitUntilDone() async throws {
        if ending == nil, left != 0 || running > 0 { await withCheckedContinuation { done = $0 } }
        if let ending { throw Failure(.unavailable, ending) }
    }

    /// No request can come any more.
    func end(_ why: String) {
        ending = why
        finish()
    }

    private func finish() {
        done?.resume()
        done = nil
    }
}

/// Why there is no answer.
struct FailedAnswer: Error, CustomStringConvertible {
    let description: String
}
