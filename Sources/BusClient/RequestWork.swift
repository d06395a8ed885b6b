// One call of a responder's handler, and those who wait for its answer: mostly one, more when the same request came
// again meanwhile.

import BusWire
import Synchronization

/// Confined to its connection's reactor, but for the flag.
final class RequestWork: @unchecked Sendable {
    /// Somebody who waits.
    struct Caller {
        /// Where the answer goes; nil for an event that was published rather than asked.
        let address: ReplyAddress?
        let requestID: BusUUID
        /// The delivery that brought it; 0 for one of an earlier connection.
        var delivery: UInt64
    }

    /// A request may be kept longer than its responder.
    private weak var responder: ResponderState?
    let key: RequestKey
    let event: Event
    /// For the handler, wherever it runs.
    let isCancelled = Atomic(false)
    var task: Task<Void, Never>?
    /// Those who get each part as it is sent.
    var callers: [Caller]
    /// Those who came when it was cancelled already, or when its first parts were too long to keep: they get the whole
    /// answer at the end, or the handler is called again for them.
    var lateCallers: [Caller] = []
    /// The parts sent so far; nil when they are too long to keep.
    private(set) var answer: Answer? = Answer()

    init(_ responder: ResponderState, _ key: RequestKey, _ event: Event, _ callers: [Caller]) {
        self.responder = responder
        self.key = key
        self.event = event
        self.callers = callers
    }

    /// Keeps a part for those who come later.
    func keep(_ part: OutgoingEvent) {
        answer?.append(part)
        if let length = answer?.length, length > AnswerCache.lengthMaxDefault { answer = nil }
    }

    /// A part from the handler.
    func send(_ part: OutgoingEvent) throws(BusError) {
        guard let responder else { throw .cancelled }
        try responder.send(part, of: self)
    }
}

/// Where an answer goes, and which request it is for.
struct ReplyAddress: Hashable {
    let topic: Topic
    let correlation: BusUUID
}
