// An event on its way out, as the application gives it.

public import BusWire

/// What is to be published.
public struct OutgoingEvent: Sendable {
    /// Any bytes, at most the bus's payload limit.
    public var payload: [UInt8]
    /// Up to 64, each up to 4 KiB.
    public var headers: [EventHeader] = []
    /// The event's id; nil for the next of this connection.
    public var id: BusUUID?
    /// The conversation it belongs to; nil for its own.
    public var correlation: BusUUID?
    /// The event that caused it.
    public var causation: BusUUID?
    /// Whether it becomes its topic's last value, which `SubscribeOptions.beginsWithLast` begins with. With an empty
    /// payload it clears that. Of events published together the last one's word counts.
    public var retains = false

    /// An event with these bytes.
    public init(_ payload: [UInt8], headers: [EventHeader] = []) {
        self.payload = payload
        self.headers = headers
    }

    /// An event with this text.
    public init(_ text: String, headers: [EventHeader] = []) { self.init(Array(text.utf8), headers: headers) }
}

/// The daemon's answer to a publish.
public struct PublishReceipt: Sendable, Equatable {
    /// The first event's id.
    public var id: BusUUID
    /// Position of the first event in its topic.
    public var firstSequence: UInt64
    /// Position of the last event in its topic.
    public var lastSequence: UInt64
    /// Ephemeral subscriptions it was for.
    public var liveMatches: Int
    /// Durable subscriptions it was for.
    public var durableMatches: Int
    /// Whether it is on disk.
    public var isDurable: Bool
    /// Whether the daemon had received it before.
    public var isDuplicate: Bool
}
