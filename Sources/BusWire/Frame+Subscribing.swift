// Frames of subscribing: the subscription itself, credit, and everything that travels towards a subscriber.

/// What happens when a subscription's queue is full.
public enum OverflowPolicy: UInt8, Sendable, CaseIterable {
    /// The oldest queued events make room, and a gap says so.
    case dropOldest = 0
    /// Publishers of the topic wait, at most a given time; then the oldest make room.
    case stall = 1
    /// What arrives is not queued, and a gap says so.
    case dropNewest = 2
    /// Only the newest event of each topic is kept.
    case latest = 3
    /// The subscription ends.
    case disconnect = 4

    /// The name in the documents, on the command line and in inspections.
    public var name: String {
        switch self {
        case .dropOldest: "drop-oldest"
        case .stall: "stall"
        case .dropNewest: "drop-newest"
        case .latest: "latest"
        case .disconnect: "disconnect"
        }
    }
}

/// Asks for all events that match a filter.
public struct Subscribe: Sendable, Equatable {
    /// The client's number for it, in use for nothing else on this connection.
    public var subscription: UInt32
    /// What happens when the queue is full, by number; not yet checked.
    public var overflow: UInt8
    /// How long the publishers may be stalled, in milliseconds.
    public var stallMilliseconds: UInt32
    /// How many events may queue beyond the credit; 0 is the daemon's default.
    public var queueEventCount: UInt32
    /// How many bytes may queue beyond the credit; 0 is the daemon's default.
    public var queueLength: UInt64
    /// First credit, in events.
    public var creditEvents: UInt64
    /// First credit, in bytes of batches.
    public var creditBytes: UInt64
    /// The filter, not yet checked.
    public var filter: [UInt8]
    /// The group that shares it, not yet checked; empty for none.
    public var group: [UInt8]
    /// What else it is.
    public var mode: SubscribeMode
    /// The durable subscription it takes part in, not yet checked; empty for an ephemeral one.
    public var durableName: [UInt8]
    /// Where in what is stored it begins; nil: with what comes from now on, or where the durable subscription stands.
    public var start: Start?
    /// What a durable subscription is made with, where there is none of that name.
    public var settings: [Setting]

    /// A subscription of these parts.
    public init(
        subscription: UInt32, filter: [UInt8], overflow: OverflowPolicy = .dropOldest, stallMilliseconds: UInt32 = 0,
        queueEventCount: UInt32 = 0, queueLength: UInt64 = 0, creditEvents: UInt64, creditBytes: UInt64,
        group: [UInt8] = [], mode: SubscribeMode = [], durableName: [UInt8] = [], start: Start? = nil,
        settings: [Setting] = []
    ) {
        self.subscription = subscription
        self.overflow = overflow.rawValue
        self.stallMilliseconds = stallMilliseconds
        self.queueEventCount = queueEventCount
        self.queueLength = queueLength
        self.creditEvents = creditEvents
        self.creditBytes = creditBytes
        self.filter = filter
        self.group = group
        self.mode = mode
        self.durableName = durableName
        self.start = start
        self.settings = settings
    }
}

/// What a subscription is beside its filter. A daemon refuses what it doesn't know.
public struct SubscribeMode: OptionSet, Sendable, Hashable {
    /// The bits on the wire.
    public let rawValue: UInt32
    /// A mode of these bits.
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// Of a group: one member gets everything, the others stand by.
    public static let exclusive = SubscribeMode(rawValue: 1)
    /// It answers requests: each that it is delivered brings the right to.
    public static let responds = SubscribeMode(rawValue: 2)
    /// It begins with the last value of every matching topic.
    public static let last = SubscribeMode(rawValue: 4)

    /// Of a durable subscription: several consumers share it, each event goes to one of them.
    public static let shared = SubscribeMode(rawValue: 8)
    /// Of a durable subscription: what was sent counts as acknowledged.
    public static let unacknowledged = SubscribeMode(rawValue: 16)

    /// All that an ephemeral subscription may be.
    public static let ephemeral: SubscribeMode = [.exclusive, .responds, .last]
    /// All that a durable one may be.
    public static let durable: SubscribeMode = [.exclusive, .shared, .unacknowledged]
    /// All that this version knows.
    public static let known: SubscribeMode = ephemeral.union(durable)
}

/// The end of a subscription and its account.
public struct Unsubscribed: Sendable, Equatable {
    /// Which.
    public var subscription: UInt32
    /// Why.
    public var reason: Reason
    /// How many events it was sent.
    public var deliveredCount: UInt64
    /// How many it was told it missed.
    public var missedCount: UInt64

    /// An end of these parts.
    public init(subscription: UInt32, reason: Reason, deliveredCount: UInt64, missedCount: UInt64) {
        self.subscription = subscription
        self.reason = reason
        self.deliveredCount = deliveredCount
        self.missedCount = missedCount
    }
}

/// How much a subscriber is ready for, as running totals since it subscribed: a lost or repeated frame of this
/// kind cannot add up wrong.
public struct Credit: Sendable, Equatable {
    /// Which subscription.
    public var subscription: UInt32
    /// The daemon may have sent this many events in all, overdrawn by at most one batch.
    public var events: UInt64
    /// The daemon may have sent this many bytes of batches in all, overdrawn by at most one batch.
    public var bytes: UInt64

    /// Credit of these parts.
    public init(subscription: UInt32, events: UInt64, bytes: UInt64) {
        self.subscription = subscription
        self.events = events
        self.bytes = bytes
    }
}

/// A subscriber has handled all deliveries up to a number.
public struct Acknowledge: Sendable, Equatable {
    /// Which subscription.
    public var subscription: UInt32
    /// The last delivery handled.
    public var delivery: UInt64

    /// An acknowledgement of these parts.
    public init(subscription: UInt32, delivery: UInt64) {
        self.subscription = subscription
        self.delivery = delivery
    }
}

/// Whose seal a number is; sent once to each connection, before its first batch.
public struct Announcement: Sendable, Equatable {
    /// The seal.
    public var seal: UInt64
    /// Its generation of keys.
    public var epoch: UInt32
    /// The publisher's user, from the kernel.
    public var uid: UInt32
    /// The publisher's group, from the kernel.
    public var gid: UInt32
    /// The publisher's salt, 32 bytes.
    public var salt: [UInt8]
    /// Which key belongs to this salt, topic and epoch, 16 bytes.
    public var keyCheck: [UInt8]
    /// The topic's name.
    public var topic: [UInt8]
    /// What the publisher calls itself.
    public var publisher: String
    /// Which life of the topic this is: an idle topic is forgotten, and one of the same name begins anew. Unique within
    /// the daemon's incarnation; 0 when it wasn't told.
    public var topicIncarnation: UInt64
    /// Whether the receiver drops all announcements and grants it had before: they are told anew when needed, so
    /// that neither side grows with the publishers that came and went.
    public var forgetsEarlier: Bool

    /// An announcement of these parts.
    public init(
        seal: UInt64, epoch: UInt32, uid: UInt32, gid: UInt32, salt: [UInt8], keyCheck: [UInt8], topic: [UInt8],
        publisher: String, topicIncarnation: UInt64 = 0, forgetsEarlier: Bool = false
    ) {
        self.seal = seal
        self.epoch = epoch
        self.uid = uid
        self.gid = gid
        self.salt = salt
        self.keyCheck = keyCheck
        self.topic = topic
        self.publisher = publisher
        self.topicIncarnation = topicIncarnation
        self.forgetsEarlier = forgetsEarlier
    }
}

/// A topic's secret under the connection's key; sent before the first batch of that topic and epoch.
public struct Grant: Sendable, Equatable {
    /// The generation of keys.
    public var epoch: UInt32
    /// Incarnation of the grant's nonce.
    public var incarnation: UInt32
    /// Counter of the grant's nonce.
    public var counter: UInt64
    /// The topic's name.
    public var topic: [UInt8]
    /// The topic secret (32 bytes) and a tag.
    public var sealed: [UInt8]

    /// A grant of these parts.
    public init(epoch: UInt32, incarnation: UInt32, counter: UInt64, topic: [UInt8], sealed: [UInt8]) {
        self.epoch = epoch
        self.incarnation = incarnation
        self.counter = counter
        self.topic = topic
        self.sealed = sealed
    }
}

/// A batch on its way to one subscription.
public struct Deliver: Sendable, Equatable {
    /// Which subscription.
    public var subscription: UInt32
    /// 1 the first time, more when it is redelivered.
    public var attempt: UInt16
    /// The subscription's number for this delivery: 1, 2, 3 …
    public var delivery: UInt64
    /// Position of the batch's first event in its topic; the others follow it.
    public var firstSequence: UInt64
    /// When the daemon accepted it, microseconds since 1970, monotone within a topic.
    public var time: Int64
    /// Whether it was kept for whoever asks later, rather than published now.
    public var isStored: Bool
    /// Of answers: whether more of them follow.
    public var hasMore: Bool
    /// Of requests: whether this session may answer.
    public var isAnswerable: Bool
    /// Whether somebody may have had it before: the daemon was started anew since it was stored.
    public var mayBeRepeated: Bool
    /// Which events of the batch are meant: bit k of byte k/8 for event k. Empty: all of them. See `Selection`.
    public var selection: SharedBytes
    /// The sealed batch, exactly as its publisher sent it.
    public var batch: SharedBytes

    /// A delivery of these parts.
    public init(
        subscription: UInt32, attempt: UInt16 = 1, delivery: UInt64, firstSequence: UInt64, time: Int64,
        isStored: Bool = false, hasMore: Bool = false, isAnswerable: Bool = false, mayBeRepeated: Bool = false,
        selection: SharedBytes = .empty, batch: SharedBytes
    ) {
        self.subscription = subscription
        self.attempt = attempt
        self.delivery = delivery
        self.firstSequence = firstSequence
        self.time = time
        self.isStored = isStored
        self.hasMore = hasMore
        self.isAnswerable = isAnswerable
        self.mayBeRepeated = mayBeRepeated
        self.selection = selection
        self.batch = batch
    }
}

/// What a subscription missed, told before its next delivery.
public struct Gap: Sendable, Equatable {
    /// Which subscription.
    public var subscription: UInt32
    /// Why.
    public var reason: Reason
    /// How many events; nil when that can't be known.
    public var count: UInt64?
    /// First position missed; 0 when unknown.
    public var firstSequence: UInt64
    /// Last position missed; 0 when unknown.
    public var lastSequence: UInt64
    /// On which topic; empty when unknown.
    public var topic: [UInt8]

    /// A gap of these parts.
    public init(
        subscription: UInt32, reason: Reason, count: UInt64?, firstSequence: UInt64, lastSequence: UInt64,
        topic: [UInt8]
    ) {
        self.subscription = subscription
        self.reason = reason
        self.count = count
        self.firstSequence = firstSequence
        self.lastSequence = lastSequence
        self.topic = topic
    }
}

/// A subscription has got all that was kept for it; what follows is new.
public struct CaughtUp: Sendable, Equatable {
    /// Which subscription.
    public var subscription: UInt32
    /// How many kept events were delivered.
    public var count: UInt64

    /// A marker of these parts.
    public init(subscription: UInt32, count: UInt64) {
        self.subscription = subscription
        self.count = count
    }
}
