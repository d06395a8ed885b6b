// What a peer's bytes can be wrong about. Decoding is total: any bytes give frames or one of these, never a trap.

/// Why bytes are not a frame, a name or a batch of this protocol.
public enum WireError: Error, Equatable, Sendable {
    /// A frame of `length` bytes, where at most `limit` are allowed.
    case frameTooLong(length: Int, limit: Int)
    /// A frame type this version doesn't know.
    case unknownFrame(type: UInt8)
    /// A frame is shorter than its own lengths say; `frame` names it, `what` the part.
    case truncated(frame: FrameType, what: String)
    /// A part of a frame has a value that the protocol doesn't allow.
    case invalid(frame: FrameType, what: String)
    /// A required field that this version doesn't know.
    case unknownRequiredField(frame: FrameType, tag: UInt16)
    /// The peer isn't speaking this protocol at all.
    case notThisProtocol
    /// A topic against the rules, with the reason.
    case badTopic(NameFault)
    /// A filter against the rules, with the reason.
    case badFilter(NameFault)
    /// A batch against the rules, with the reason.
    case malformedBatch(String)

    /// The name of this error in frames, logs and tools.
    public var reason: Reason {
        switch self {
        case .frameTooLong: .frameTooLong
        case .unknownFrame, .truncated, .invalid, .notThisProtocol: .malformedFrame
        case .unknownRequiredField: .unknownRequiredField
        case .badTopic: .badTopic
        case .badFilter: .badFilter
        case .malformedBatch: .malformedBatch
        }
    }
}

extension WireError: CustomStringConvertible {
    /// What was wrong and where, for people.
    public var description: String {
        switch self {
        case .frameTooLong(let length, let limit): "frame of \(length) bytes, at most \(limit) are allowed here"
        case .unknownFrame(let type): "unknown frame type \(type)"
        case .truncated(let frame, let what): "\(frame.name) frame ends within its \(what)"
        case .invalid(let frame, let what): "\(frame.name) frame: \(what)"
        case .unknownRequiredField(let frame, let tag):
            "\(frame.name) frame: required field \(tag) is unknown to this version"
        case .notThisProtocol: "the peer doesn't speak the LocalBus protocol"
        case .badTopic(let fault): "topic: \(fault)"
        case .badFilter(let fault): "filter: \(fault)"
        case .malformedBatch(let what): "batch: \(what)"
        }
    }
}
