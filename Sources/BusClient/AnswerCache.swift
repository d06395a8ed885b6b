// Answers kept for requests that come again: bounded in count and bytes, the oldest make room. Pure.

import BusWire
import DequeModule

/// What a request is known by. An id alone isn't enough: whoever saw it could ask for the answer to somebody else's
/// request. Processes of one user are one principal.
struct RequestKey: Hashable {
    let id: BusUUID
    let uid: UInt32
    let topic: Topic
}

/// An answer with all its parts.
struct Answer {
    /// What came before the last part, each with more to follow.
    private(set) var parts: [OutgoingEvent] = []
    private(set) var length = 0

    mutating func append(_ part: OutgoingEvent) {
        parts.append(part)
        length += Answer.length(of: part)
    }

    /// What keeping an event costs.
    static func length(of event: OutgoingEvent) -> Int {
        event.headers.reduce(event.payload.count) { $0 + $1.name.utf8.count + $1.value.utf8.count }
    }
}

/// The last answers of a responder.
struct AnswerCache {
    private let countMax: Int
    private let lengthMax: Int
    private var answers: [RequestKey: Answer] = [:]
    private var order: Deque<RequestKey> = []
    private(set) var length = 0

    /// Not tuned.
    static let countMaxDefault = 1024
    /// Not tuned.
    static let lengthMaxDefault = 4 << 20

    init(countMax: Int = AnswerCache.countMaxDefault, lengthMax: Int = AnswerCache.lengthMaxDefault) {
        self.countMax = countMax
        self.lengthMax = lengthMax
    }

    var count: Int { answers.count }

    subscript(key: RequestKey) -> Answer? { answers[key] }

    /// Keeps an answer, its last part included. One that alone is over the bound isn't kept.
    mutating func keep(_ answer: Answer, for key: RequestKey) {
        guard answer.length <= lengthMax else { return }
        if let before = answers.updateValue(answer, forKey: key) {
            length -= before.length
        } else {
            order.append(key)
        }
        length += answer.length
        while answers.count > countMax || length > lengthMax, let oldest = order.popFirst() {
            length -= answers.removeValue(forKey: oldest)?.length ?? 0
        }
    }
}
