// Frames of conversations: requests and what becomes of them, last wills, circuits.

/// An event to publish for a session that is gone without a goodbye: sealed beforehand, since nobody else can.
public struct Will: Sendable, Equatable {
    /// The client's number for this request, echoed in `done` or `error`.
    public var request: UInt64
    /// Whether the event becomes its topic's last value.
    public var retains: Bool
    /// Whether the event is empty: with `retains` it clears the last value.
    public var isTombstone: Bool
    /// The sealed batch, of one event; empty takes the will back.
    public var batch: SharedBytes

    /// A will of these parts.
    public init(request: UInt64, retains: Bool = false, isTombstone: Bool = false, batch: SharedBytes) {
        self.request = request
        self.retains = retains
        self.isTombstone = isTombstone
        self.batch = batch
    }
}

/// Word of a client that it asks nobody on a topic for a while: the daemon only shows it.
public struct Circuit: Sendable, Equatable {
    /// Where a circuit stands.
    public enum State: UInt8, Sendable, CaseIterable {
        /// Requests are made.
        case closed = 0
        /// Requests fail at once.
        case open = 1
    }

    /// Where it stands now, by number; unknown ones count as open.
    public var state: UInt8
    /// The topic, not yet checked.
    public var topic: [UInt8]

    /// A circuit of these parts.
    public init(_ state: State, topic: [UInt8]) {
        self.state = state.rawValue
        self.topic = topic
    }
}

/// One of those who had a request is gone, or was told of it and won't answer.
public struct Unanswered: Sendable, Equatable {
    /// The request.
    public var correlation: BusUUID
    /// Why.
    public var reason: Reason

    /// Word of these parts.
    public init(correlation: BusUUID, reason: Reason) {
        self.correlation = correlation
        self.reason = reason
    }
}

/// Nobody waits any more for this session's answer to a request.
public struct RequestCancelled: Sendable, Equatable {
    /// The request.
    public var correlation: BusUUID
    /// Where its answers would have gone: together with the correlation, which request it is.
    public var replyTopic: [UInt8]

    /// Word of these parts.
    public init(correlation: BusUUID, replyTopic: [UInt8]) {
        self.correlation = correlation
        self.replyTopic = replyTopic
    }
}

extension Topic {
    /// Where answers to a session's requests go: `$reply.<session>`.
    public static func reply(ofSession session: UInt64) -> Topic {
        // Cannot fail: two tokens of a few ASCII characters.
        guard let topic = try? Topic("$reply.\(session)") else { preconditionFailure("a number is a token") }
        return topic
    }

    /// Whether answers to somebody's requests go here.
    public var isReply: Bool { bytes.starts(with: Topic.replyPrefix) }

    /// Whose requests' answers go here; nil for any other topic.
    public var replySession: UInt64? {
        guard isReply else { return nil }
        let number = UInt64(String(decoding: bytes.dropFirst(Topic.replyPrefix.count), as: UTF8.self))
        // Only the one spelling that `reply(ofSession:)` gives: `+7` and `007` are somebody's invention.
        return number.flatMap { Topic.reply(ofSession: $0) == self ? $0 : nil }
    }

    private static let replyPrefix = Array("$reply.".utf8)
}

extension TopicFilter {
    /// Whether it names somebody's answers, one or all.
    public var isReply: Bool { tokens[0].elementsEqual(Array("$reply".utf8)) }
}
