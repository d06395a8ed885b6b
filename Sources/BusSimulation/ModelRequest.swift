// A request, and where it stands with each of those who may answer it.

import BusBroker
import BusWire

/// An event that asks for answers.
final class ModelRequest {
    /// Where a request stands with one responder, a group counting as one.
    enum Stand {
        /// It waits to be delivered.
        case waits
        /// It was delivered: this subscription's session may answer, once.
        case may(ModelSubscription)
        /// Answered, or nobody is left who could.
        case over
    }

    let correlation: BusUUID
    let requester: SessionID
    let topic: Topic
    /// Whether nobody waits for its answers any more.
    var isClosed = false
    /// By responder, in no order.
    var stands: [(stream: ModelStream, stand: Stand)] = []

    init(_ correlation: BusUUID, requester: SessionID, topic: Topic) {
        self.correlation = correlation
        self.requester = requester
        self.topic = topic
    }

    var replyTopic: Topic { .reply(ofSession: requester.rawValue) }

    /// How many of those where it waits have lost it, which the requester was told before it shows which they are.
    var presumedLosses = 0
    /// How many went that may have been among these, or else had it until then.
    var doubtfulLosses = 0

    var isOver: Bool {
        stands.count { if case .over = $0.stand { false } else { true } } + doubtfulLosses <= presumedLosses
    }

    /// How many answers a session may still give.
    func rights(of session: ModelSession) -> Int {
        stands.count { if case .may(let who) = $0.stand { who.session === session } else { false } }
    }

    /// The responders that have it from or through a stream, by index.
    func index(of stream: ModelStream) -> Int? { stands.firstIndex { $0.stream === stream } }
}
