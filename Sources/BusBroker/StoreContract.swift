// What a broker asks of a store and hears from it. The store decides nothing: positions, sequences, what is a duplicate
// and what may be removed come from here.
//
// A *position* numbers the events of all durable topics in the order in which they were accepted: event k of a batch has
// the batch's position + k. Cursors and acknowledgements are ranges of positions, one number line for the whole store.

public import BusWire

/// A change to what is stored, or a question to be answered in the order of the changes.
public enum StoreWrite: Sendable {
    /// Store a batch.
    case append(StoredBatch)
    /// Keep an event until it is due.
    case schedule(StoredScheduled)
    /// Let go of an event that waits.
    case unschedule(UInt64)
    /// Put an event aside that waits and can't be published ever: it is damage, and told as such. Nothing where it waits no
    /// more.
    case setAsideScheduled(UInt64)
    /// Store the batch of the event that waits under this number, which then doesn't any more: both, or neither.
    case publishScheduled(UInt64, StoredBatch)
    /// Remember whose seal a number is; before its first batch.
    case seal(StoredSeal)
    /// Nothing more comes under a seal, unless it is told of again.
    case sealClosed(UInt64)
    /// Make a topic.
    case topic(number: UInt64, name: Topic)
    /// Remove a topic and everything in it.
    case removeTopic(number: UInt64)
    /// Remove a topic's batches before a position.
    case trim(topic: UInt64, before: UInt64)
    /// The batch at this position has the topic's last value; nil: nothing is kept any more. Goes behind the batch that
    /// made it so, and is nothing where that was refused.
    case retain(topic: UInt64, position: UInt64?)
    /// Remember what an administrator says of topics.
    case declare(TopicFilter, [Setting])
    /// Forget it.
    case undeclare(TopicFilter)
    /// Remember a subscription, where it stands included.
    case subscription(StoredSubscription)
    /// Remember where a subscription stands.
    case cursor(subscription: UInt64, StoredCursor)
    /// Forget a subscription.
    case removeSubscription(UInt64)
    /// Remember events given up on.
    case deadLetter(StoredDeadLetter)
    /// Forget them.
    case removeDeadLetter(UInt64, events: [UInt8])
    /// A line for the ledger.
    case ledger(LedgerLine)
    /// Forget what the ledger says of positions before this one.
    case trimLedger(before: UInt64)
    /// Which of a batch's ids this user has published before on a topic, by its number in the store; or, where it has
    /// something waiting there and `includesWaiting`, left to be published later: of these one at least.
    case lookUp(uid: UInt32, firstID: BusUUID, count: UInt32, ids: [BusUUID], topic: UInt64, includesWaiting: Bool)
    /// Forget ids of removed batches accepted before this time.
    case trimIDs(before: Int64)
}

/// Asks for batches to be read.
public struct StoreRead: Sendable {
    /// Echoed in the answer.
    public var number: UInt64
    /// Where to begin: batches with an event at this position or later.
    public var from: UInt64
    /// Where to end: nothing at this position or later is read, though it may be there.
    public var before: UInt64
    /// Of which topics, by number in the store; nil for all.
    public var topics: [UInt64]?
    /// Bytes after which a page ends.
    public var lengthMax: Int
    /// Events after which a page ends.
    public var eventCountMax: Int
}

/// Asks where a subscription is to begin.
public struct SeekOrder: Sendable {
    /// Echoed in the answer.
    public var number: UInt64
    /// In which topics, by number in the store; nil for all.
    public var topics: [UInt64]?
    /// What is sought.
    public var start: Start
    /// Everything before is on disk; what begins later is `next`.
    public var committed: UInt64
}

/// What was read.
public struct StoredPage: Sendable {
    /// The read's number.
    public var number: UInt64
    /// The batches, by position.
    public var batches: [StoredBatch]
    /// The seals of these batches.
    public var seals: [UInt64: StoredSeal]
    /// Everything of these topics before this position was read.
    public var reached: UInt64
    /// Whether nothing of them is stored between there and the read's end, which is then where it reached.
    public var isLast: Bool
    /// What was found damaged and is missing here, by topic and position; topic 0 where it can't be told which.
    public var damaged: [(topic: UInt64, position: UInt64)]

    /// A page of these parts.
    public init(
        number: UInt64, batches: [StoredBatch], seals: [UInt64: StoredSeal], reached: UInt64, isLast: Bool,
        damaged: [(topic: UInt64, position: UInt64)] = []
    ) {
        self.number = number
        self.batches = batches
        self.seals = seals
        self.reached = reached
        self.isLast = isLast
        self.damaged = damaged
    }
}

/// What one commit made durable.
public struct StoreCommit: Sendable {
    /// Every write up to this ticket is on disk, but for those refused.
    public var through: UInt64
    /// Appends that were not stored, by ticket.
    public var refused: [(ticket: UInt64, reason: Reason, message: String)]
    /// Answers to look-ups, by ticket: ids known and the sequence each has.
    public var known: [(ticket: UInt64, ids: [KnownIDs])]
    /// Topics as they are after something of them was removed.
    public var trimmed: [StoredTopic]
    /// Users whose batches came or went, and the bytes they hold now.
    public var usage: [(uid: UInt32, bytes: UInt64)]
    /// Events that waited and were put aside as damaged: whose they were, by what can still be told.
    public var setAside: [SetAsideScheduled]
    /// How long it took, in microseconds; 0 where that isn't known.
    public var duration: UInt64
    /// Bytes in use.
    public var bytesUsed: UInt64

    /// A commit of these parts.
    public init(
        through: UInt64, refused: [(ticket: UInt64, reason: Reason, message: String)] = [],
        known: [(ticket: UInt64, ids: [KnownIDs])] = [], trimmed: [StoredTopic] = [],
        usage: [(uid: UInt32, bytes: UInt64)] = [], setAside: [SetAsideScheduled] = [], duration: UInt64 = 0,
        bytesUsed: UInt64 = 0
    ) {
        self.through = through
        self.refused = refused
        self.known = known
        self.trimmed = trimmed
        self.usage = usage
        self.setAside = setAside
        self.duration = duration
        self.bytesUsed = bytesUsed
    }
}

/// Ids that were published before, counting up from the first.
public struct KnownIDs: Sendable, Equatable {
    /// The first.
    public var first: BusUUID
    /// How many.
    public var count: UInt32
    /// Their topic's number in the store.
    public var topic: UInt64
    /// Sequence of the first; the others follow it. 0 for one that waits to be published.
    public var firstSequence: UInt64
    /// When they were accepted, microseconds since 1970.
    public var accepted: Int64

    /// Whether it waits to be published, and has no sequence yet.
    var isWaiting: Bool { firstSequence == 0 }

    /// Known ids of these parts.
    public init(first: BusUUID, count: UInt32, topic: UInt64, firstSequence: UInt64, accepted: Int64) {
        self.first = first
        self.count = count
        self.topic = topic
        self.firstSequence = firstSequence
        self.accepted = accepted
    }
}

/// What a store held when the daemon began.
public struct StoredState: Sendable {
    /// Which store it is.
    public var incarnation: BusUUID
    /// The first position not given yet.
    public var nextPosition: UInt64
    /// Its topics.
    public var topics: [StoredTopic] = []
    /// What was said of topics by command.
    public var declarations: [(filter: TopicFilter, settings: [Setting])] = []
    /// Its subscriptions.
    public var subscriptions: [StoredSubscription] = []
    /// The highest number that a topic had, one that is deleted included.
    public var lastTopic: UInt64 = 0
    /// The highest number that a subscription had, likewise.
    public var lastSubscription: UInt64 = 0
    /// The number of the last dead letter, and how many there are.
    public var lastDeadLetter: UInt64 = 0
    /// Events among the dead letters, by subscription.
    public var deadCounts: [UInt64: UInt64] = [:]
    /// What is to be published later, in numbers.
    public var scheduled = ScheduledSummary()
    /// Positions that were lost with the end of a damaged log, and the last topic there was then.
    public var lost: [(positions: Range<UInt64>, lastTopic: UInt64)] = []
    /// Bytes that users' batches hold.
    public var usage: [(uid: UInt32, bytes: UInt64)] = []
    /// Bytes in use.
    public var bytesUsed: UInt64 = 0
    /// Bytes it may use.
    public var bytesMax: UInt64 = .max

    /// An empty store.
    public init(incarnation: BusUUID, nextPosition: UInt64) {
        self.incarnation = incarnation
        self.nextPosition = nextPosition
    }
}
