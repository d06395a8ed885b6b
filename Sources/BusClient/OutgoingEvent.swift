// An event on its way out, as the application gives it.

public import BusWire

/// What is to be published.
public struct OutgoingEvent: Sendable {
    /// Any bytes, at most the bus's payload limit.
    public var payload: [UInt8]
    /// Up to 64, each up to 4 KiB.
    public var headers: [EventHeader] = []
    /// The event's id, by which it is published once however often it is sent, within the daemon's duplicate window;
    /// nil for the next of this connection.
    public var id: BusUUID?
    /// The conversation it belongs to; nil for its own.
    public var correlation: BusUUID?
    /// The event that caused it.
    public var causation: BusUUID?
    /// Whether it becomes its topic's last value, which `SubscribeOptions.beginsWithLast` begins with. With an empty
    /// payload it clears that. Of events published together the last one's word counts.
    public var retains = false
    /// Whether it is refused, `not-durable`, where its topic is live. Of events published together the last one's word
    /// counts.
    public var mustBeDurable = false
    /// Events with the same key on the same topic are handled one after the other, also where a durable subscription is
    /// shared. Not sealed: a hash of it is seen by the daemon and lies in the store. At most 1,024 bytes.
    public var orderingKey: String?
    /// How long it is of use: a durable subscription that hasn't handled it by then doesn't get it any more.
    public var expiresAfter: Duration?
    /// When it is to be published, microseconds since 1970; nil, and a time that is over, for now. It waits in the daemon,
    /// on disk, so its topic must be durable; and it goes alone, not together with others.
    public var dueAt: Int64?

    /// An event with these bytes.
    public init(_ payload: [UInt8], headers: [EventHeader] = []) {
        self.payload = payload
        self.headers = headers
    }

    /// An event with this text.
    public init(_ text: String, headers: [EventHeader] = []) { self.init(Array(text.utf8), headers: headers) }
}

extension OutgoingEvent {
    /// Nothing that is called a key is longer. Not tuned.
    static let orderingKeyLengthMax = 1024

    /// The columns it needs.
    var columns: EventColumns {
        var columns: EventColumns = []
        if id != nil { columns.insert(.id) }
        if correlation != nil { columns.insert(.correlation) }
        if causation != nil { columns.insert(.causation) }
        if orderingKey != nil { columns.insert(.orderingKey) }
        if expiresAfter != nil { columns.insert(.expiry) }
        return columns
    }
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
    /// Whether the daemon had received it before: nothing was published now, and positions are those of the first time,
    /// with all that it came together with then.
    public var isDuplicate: Bool
    /// Whether it waits to be published: there are no positions yet, they are 0.
    public var isScheduled = false
}
