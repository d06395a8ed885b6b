// Answering: the responders of a connection.

import BusWire

/// The responders of a connection. Confined to its reactor.
final class Responding {
    private unowned let core: ClientCore
    private var responders: [ResponderState] = []

    init(_ core: ClientCore) { self.core = core }

    func add(_ responder: ResponderState) { responders.append(responder) }

    func remove(_ responder: ResponderState) { responders.removeAll { $0 === responder } }

    /// Nobody waits any more for an answer to this request.
    func take(_ cancelled: RequestCancelled) throws(BusError) {
        guard let topic = try? Topic(bytes: cancelled.replyTopic) else {
            throw .protocolViolation("a request was cancelled on a topic against the rules")
        }
        let address = ReplyAddress(topic: topic, correlation: cancelled.correlation)
        for responder in responders { responder.cancelled(address) }
    }

    func connectionLost() {
        for responder in responders { responder.connectionLost() }
    }

    func fail(_ error: BusError) {
        for responder in responders { responder.end() }
    }
}
