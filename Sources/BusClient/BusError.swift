// What can go wrong for an application, each with its cause.

public import BusTransport
public import BusWire

/// Why a call on the bus failed.
public enum BusError: Error, Sendable {
    /// No daemon could be reached at this path.
    case unreachable(path: String, cause: TransportError)
    /// Somebody listens who isn't to be trusted with events; the text says why.
    case untrusted(path: String, String)
    /// The daemon refused; nothing was changed.
    case refused(Reason, String)
    /// The connection is gone and won't come back: reconnecting is switched off, or it was refused for good.
    case disconnected(String)
    /// The connection was closed by this process.
    case closed
    /// The call was cancelled. What was published may still be delivered.
    case cancelled
    /// A topic or filter against the rules.
    case badName(String, NameFault)
    /// An event over a limit; the text names it.
    case tooLarge(String)
    /// The daemon broke the protocol; the text says how.
    case protocolViolation(String)
    /// Something was asked for that can't be; the text says what.
    case invalid(String)
    /// Nobody is there to answer requests on this topic.
    case noResponders(Topic)
    /// Who had the request is gone without an answer, or in the middle of one.
    case responderGone(Topic)
    /// No answer came in time, or a streamed one stopped; the text says which.
    case timedOut(String)
    /// The requests before got no answer: none is made on this topic until then.
    case circuitOpen(Topic, until: ContinuousClock.Instant)
    /// The responder answered that it failed; the text is its own.
    case replyFailed(String)
    /// This process forked; the connection belongs to its parent.
    case forked
    /// Something that should not happen, in the crypto room or the system.
    case internalFailure(String)
}

extension BusError: CustomStringConvertible {
    /// What was wrong, where, and what to do.
    public var description: String {
        switch self {
        case .unreachable(_, let cause): "\(cause)"
        case .untrusted(let path, let why): "not trusting \(path): \(why)"
        case .refused(let reason, let message): "\(message) (\(reason))"
        case .disconnected(let why): "disconnected: \(why)"
        case .closed: "the connection was closed"
        case .cancelled: "cancelled"
        case .badName(let name, let fault): "the topic or filter “\(name)” \(fault)"
        case .tooLarge(let what): what
        case .protocolViolation(let what): "the daemon broke the protocol: \(what)"
        case .invalid(let what): what
        case .noResponders(let topic): "nobody answers on \(topic)"
        case .responderGone(let topic): "who had the request on \(topic) is gone without an answer"
        case .timedOut(let what): what
        case .circuitOpen(let topic, let until):
            "the last requests on \(topic) got no answer: the next is made in \(ContinuousClock.now.duration(to: until))"
        case .replyFailed(let what): what
        case .forked: "this process forked: connect anew in the child"
        case .internalFailure(let what): what
        }
    }
}
