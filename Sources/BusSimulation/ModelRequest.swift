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
    /// By responder, in no order.
    var stands: [(stream: ModelStream, stand: Stand)] = []

    init(_ correlation: BusUUID, requester: SessionID, topic: Topic) {
        self.correlation = correlation
        self.requester = requester
        self.topic = topic
    }

    var replyTopic: Topic { .reply(ofSession: requester.rawValue) }

    var isOver: Bool {
        stands.allSatisfy { if case .over = $0.stand { true } else { false } }
    }

    /// How many answers a session may still give.
    func rights(of session: ModelSession) -> Int {
        stands.count { if case .may(let who) = $0.stand { who.session === session } else { false } }
    }

    /// The responders that have it from or through a stream, by index.
    func index(of stream: ModelStream) -> Int? { stands.firstIndex { $0.stream === stream } }
}
