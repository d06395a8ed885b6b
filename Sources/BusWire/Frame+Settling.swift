// Frames of durable subscriptions: what became of a delivery, and what an administrator asks for.

/// What a subscriber says of events it was delivered.
public enum Settlement: UInt8, Sendable, CaseIterable {
    /// They are handled.
    case acknowledge = 0
    /// They couldn't be handled now: again, after a pause.
    case retry = 1
    /// They are being worked on: the wait begins anew.
    case extend = 2
    /// They can't be handled at all: never again.
    case reject = 3
}

/// Word of one delivery, or of some of its events.
public struct Settle: Sendable, Equatable {
    /// Which subscription.
    public var subscription: UInt32
    /// What is said, by number; not yet checked.
    public var settlement: UInt8
    /// The delivery.
    public var delivery: UInt64
    /// Of `retry`: how long to wait at least, in milliseconds; 0 is as long as the subscription's backoff says.
    public var delayMilliseconds: UInt32
    /// Which events of the batch are meant, as in a delivery; empty: all it brought.
    public var selection: SharedBytes
    /// Of `retry` and `reject`: why, for people.
    public var message: String

    /// Word of these parts.
    public init(
        _ settlement: Settlement, subscription: UInt32, delivery: UInt64, delayMilliseconds: UInt32 = 0,
        selection: SharedBytes = .empty, message: String = ""
    ) {
        self.subscription = subscription
        self.settlement = settlement.rawValue
        self.delivery = delivery
        self.delayMilliseconds = delayMilliseconds
        self.selection = selection
        self.message = message
    }
}

/// What an administrator can ask for.
public struct Operation: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt8
    /// An operation by number.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Declare what a filter's topics are. Filter and settings.
    public static let createTopic = Operation(rawValue: 1)
    /// Change some settings of a declaration. Filter and settings.
    public static let alterTopic = Operation(rawValue: 2)
    /// Take a declaration back, and delete what its topics have stored. Filter.
    public static let deleteTopic = Operation(rawValue: 3)
    /// Delete what one topic has stored. Key: the topic's name.
    public static let purgeTopic = Operation(rawValue: 4)
    /// Make a durable subscription. Key: its name; filter, settings, start, mode.
    public static let createSubscription = Operation(rawValue: 10)
    /// Change some settings of a durable subscription. Key and settings.
    public static let alterSubscription = Operation(rawValue: 11)
    /// Have a durable subscription begin somewhere else. Key and start.
    public static let seekSubscription = Operation(rawValue: 12)
    /// End a durable subscription. Key.
    public static let deleteSubscription = Operation(rawValue: 13)
    /// Have dead letters delivered again to the subscription that gave them up. Key: a subscription's name, or an event's id.
    public static let redriveDead = Operation(rawValue: 20)
    /// Delete dead letters. Key: a subscription's name, or an event's id.
    public static let dropDead = Operation(rawValue: 21)
    /// Write a consistent copy of the store into a directory. Key: its path.
    public static let backup = Operation(rawValue: 30)
    /// Read every row of the store and check it.
    public static let scrub = Operation(rawValue: 31)
    /// As `backup`, and the root key with it. Key: its path.
    public static let backupWithKey = Operation(rawValue: 32)
    /// Take back an event that is to be published later. Key: its id.
    public static let cancelScheduled = Operation(rawValue: 40)

    private static let names: [Operation: String] = [
        .createTopic: "create-topic", .alterTopic: "alter-topic", .deleteTopic: "delete-topic",
        .purgeTopic: "purge-topic", .createSubscription: "create-subscription",
        .alterSubscription: "alter-subscription", .seekSubscription: "seek-subscription",
        .deleteSubscription: "delete-subscription", .redriveDead: "redrive-dead", .dropDead: "drop-dead",
        .backup: "backup", .scrub: "scrub", .backupWithKey: "backup-with-key", .cancelScheduled: "cancel-scheduled",
    ]

    /// The name in the documents and in errors.
    public var name: String { Operation.names[self] ?? "operation-\(rawValue)" }
}

/// Asks for a change to what is stored.
public struct Administer: Sendable, Equatable {
    /// The client's number for this request.
    public var request: UInt32
    /// What is asked for.
    public var operation: Operation
    /// The thing it is about; see the operation.
    public var key: String
    /// The topics it is about, not yet checked; empty where none are.
    public var filter: [UInt8]
    /// Of a new durable subscription: whether it is shared, exclusive, unacknowledged.
    public var mode: SubscribeMode
    /// Where to begin, of the operations that say so.
    public var start: Start?
    /// Settings, in their order.
    public var settings: [Setting]

    /// A request of these parts.
    public init(
        request: UInt32, _ operation: Operation, key: String = "", filter: [UInt8] = [], mode: SubscribeMode = [],
        start: Start? = nil, settings: [Setting] = []
    ) {
        self.request = request
        self.operation = operation
        self.key = key
        self.filter = filter
        self.mode = mode
        self.start = start
        self.settings = settings
    }
}

/// What was asked for is done, and on disk.
public struct Administered: Sendable, Equatable {
    /// The request it answers.
    public var request: UInt32
    /// How many things it touched: events purged, letters redriven, rows found damaged.
    public var count: UInt64

    /// An answer of these parts.
    public init(request: UInt32, count: UInt64) {
        self.request = request
        self.count = count
    }
}
