// What an application may choose about a connection and about a subscription.

public import BusTransport
public import BusWire

/// How to connect.
public struct ConnectOptions: Sendable {
    /// Which bus.
    public var address: BusAddress
    /// What this service calls itself: shown to others, never trusted. At most 255 bytes.
    public var name: String
    /// Whether to come back by itself after the daemon was gone.
    public var reconnects = true
    /// A further user, beside root and this one, whose daemon is trusted.
    public var trustedUID: UInt32?
    /// The reactor to live on; nil for one of its own, which is one thread.
    public var reactor: Reactor?
    /// Called on the connection's executor when the connection is lost or back.
    public var onNotice: (@Sendable (ConnectionNotice) -> Void)?
    /// How long the first wait before reconnecting is, doubled each time up to `backoffMax`, each ±50 %.
    public var backoffMin = Duration.milliseconds(20)
    /// The longest wait before reconnecting.
    public var backoffMax = Duration.seconds(2)
    /// How long the daemon may take for its welcome; it gives a client's hello as long.
    var welcomeTime = Duration.seconds(Limits.helloSeconds)
    /// What the daemon publishes when this session is gone in any way but `close`; it has it before `connect` returns.
    public var will: LastWill?
    /// Bytes of events that may wait for being sent before publishing suspends.
    public var bufferLengthMax = 8 << 20

    /// Options with their defaults.
    public init(address: BusAddress = .standard(), name: String = "") {
        self.address = address
        self.name = name
    }
}

/// An event to publish for a session that can't do it any more, and where.
public struct LastWill: Sendable {
    /// Its topic.
    public var topic: String
    /// The event; with `retains` it becomes the topic's last value.
    public var event: OutgoingEvent

    /// A will of these parts.
    public init(_ event: OutgoingEvent, on topic: String) {
        self.event = event
        self.topic = topic
    }
}

/// What happened to a connection.
public enum ConnectionNotice: Sendable, CustomStringConvertible {
    /// It is gone; the connection tries to come back.
    case lost(String)
    /// It is back. With another daemon than before, what was published in between can't be known.
    case restored(sameDaemon: Bool, resentEvents: Int)
    /// Events that were published without anybody waiting for a receipt were refused, or never sent.
    case refused(topic: Topic, events: Int, BusError)
    /// A subscription whose events go to a handler, or a responder, was ended by the daemon.
    case subscriptionEnded(filter: TopicFilter, BusError)
    /// A responder, or a handler of single events, missed some on its topics.
    case missed(filter: TopicFilter, Missed)
    /// It won't come back.
    case ended(String)

    /// For people.
    public var description: String {
        switch self {
        case .lost(let why): return "connection lost: \(why); reconnecting"
        case .restored(let same, let resent):
            let daemon = same ? "reconnected to the same daemon" : "reconnected; the bus was restarted"
            return resent == 0 ? daemon : "\(daemon); sending \(resent) events without receipt again"
        case .refused(let topic, let events, let error):
            return "\(events) events on \(topic) were not published: \(error)"
        case .subscriptionEnded(let filter, let error): return "the subscription to \(filter) ended: \(error)"
        case .missed(let filter, let missed):
            let count = missed.count.map(String.init) ?? "some"
            return "the handler on \(filter) missed \(count) events: \(missed.reason)"
        case .ended(let why): return "connection ended: \(why)"
        }
    }
}

/// How to subscribe.
public struct SubscribeOptions: Sendable {
    /// What the daemon does when the queue is full.
    public var overflow = OverflowPolicy.dropOldest
    /// With `stall`: how long publishers may be held back.
    public var stallTime = Duration.zero
    /// Events the daemon queues beyond the credit; 0 for its default.
    public var queueEventCount: UInt32 = 0
    /// Bytes the daemon queues beyond the credit; 0 for its default.
    public var queueLength: UInt64 = 0
    /// Events this process is ready to hold before the application has taken them.
    /// A group's, a shared durable subscription's and a responder's default is 256, so that work is spread as it is
    /// done; a durable one's is 8,192; otherwise it is 65,536. Where events are acknowledged, it is given back as they
    /// are settled.
    public var creditEvents: UInt64 {
        get { chosenCreditEvents ?? defaultCreditEvents }
        set { chosenCreditEvents = newValue }
    }
    /// Bytes this process is ready to hold before the application has taken them.
    public var creditBytes: UInt64 = 4 << 20
    /// Shares the events with all who subscribe to this filter in the group of this name: each goes to one of them.
    /// One token of a topic, at most 64 bytes. What a member that is gone hadn't handled goes to another.
    public var group: String?
    /// Of a group: one member gets everything, the others stand by.
    public var isExclusive = false
    /// Begins with the last value of every matching topic, then `caughtUp`, then what is new.
    public var beginsWithLast = false
    /// Where it begins in what durable topics have stored: that comes first, then `caughtUp`, then what is new, with no
    /// gap and no duplicate. After a reconnect it goes on behind the last event it had. `sequence` needs a filter
    /// without wildcards.
    public var start = Start.new
    /// Takes part in a durable subscription; nil for an ephemeral one, which ends with its session.
    public var durable: DurableOptions?
    /// Of a responder: how many requests are handled at a time.
    public var parallel = 16

    var chosenCreditEvents: UInt64?
    /// Not tuned.
    static let sharedCreditEvents: UInt64 = 256
    /// What waits here for a slow application has to be extended, delivery by delivery. Not tuned.
    private static let durableCreditEvents: UInt64 = 8192

    private var defaultCreditEvents: UInt64 {
        if let durable { return durable.isShared ? Self.sharedCreditEvents : Self.durableCreditEvents }
        return group == nil ? 65_536 : Self.sharedCreditEvents
    }

    /// The defaults: drop the oldest and say so.
    public init() {}
}
