// What is submitted to the writer, and what a commit tells. Writes are carried out in the order they were submitted;
// everything the writer finds waiting is one transaction.

public import BusWire

/// One change, or one question that has to be answered in the order of the changes.
public enum StoreWrite: Sendable {
    /// Stores a batch. Positions ascend over all topics, sequences within one; gaps are allowed.
    ///
    /// `ids` are the events' ids where they don't count up from the first, else empty.
    case append(StoredBatch, ids: [BusUUID])
    /// Keeps an event until it is due.
    case schedule(StoredScheduled)
    /// Lets go of an event that waits.
    case unschedule(UInt64)
    /// Puts an event aside that waits, as damaged: whoever asks knows that it can't be published. Nothing where none waits
    /// under this number.
    case setAsideScheduled(UInt64)
    /// Stores the batch of an event that waited under this number, which doesn't wait any more: both or neither.
    case publishScheduled(UInt64, StoredBatch, ids: [BusUUID])
    /// Remembers whose seal a number is. Goes before the seal's first batch; again after taking over from another
    /// process, for each seal that is still open, since the store takes those of an earlier process for closed.
    case seal(StoredSeal)
    /// The seal is closed: it goes with the last batch that needs it. To be said of each.
    case sealClosed(UInt64)
    /// A new topic.
    case topic(StoredTopic)
    /// Removes a topic and everything in it.
    case topicDeleted(TopicID)
    /// Removes a topic's batches that begin before a position. `receiptsSince`: of batches accepted since then,
    /// microseconds since 1970, the ids stay known, so that a purge makes no duplicates.
    case trim(TopicID, before: UInt64, receiptsSince: Int64)
    /// The batch that begins here has the topic's retained value; nil: nothing is retained any more. Behind an append
    /// that is refused it is nothing: what was retained before still is.
    case retain(TopicID, UInt64?)
    /// A declaration, new or in place of the one with the same filter.
    case declaration(StoredDeclaration)
    /// Removes the declaration with this filter.
    case declarationRemoved([UInt8])
    /// A subscription, new or in place of the one with the same number; its cursor too.
    case subscription(StoredSubscription)
    /// Moves a subscription's cursor.
    case cursor(subscription: UInt64, StoredCursor)
    /// Removes a subscription; its dead letters stay.
    case subscriptionRemoved(UInt64)
    /// A dead letter, new or in place of the one with the same number.
    case deadLetter(StoredDeadLetter)
    /// Takes events out of a dead letter, as `Selection.bytes`; none named: all. With its last it goes, and its batch where
    /// nothing else needs it.
    case deadLetterRemoved(UInt64, events: [UInt8] = [])
    /// A line for the ledger; left out where the store has hardly any room.
    case ledger(LedgerEntry)
    /// Removes the ledger's entries that begin before a position, but for those of batches that are kept. Those of a batch
    /// that is removed go with it.
    case ledgerTrim(before: UInt64)
    /// Which of these ids are known of this publisher on a topic, and with which first receipt. Sees what was submitted
    /// before. `includesWaiting`: events of its user may wait there to be published, and are known, too: not all of them
    /// where they are long, but one at least.
    case known(StoredPublisher, [EventIDs], on: TopicID, includesWaiting: Bool = false)
    /// Forgets the ids of removed batches accepted before this time, microseconds since 1970.
    case receiptsTrim(before: Int64)
    /// A wrapped secret, new or in place of the one of the same namespace and epoch.
    case secret(StoredSecret)
    /// Shreds a secret: overwritten in the database, and the write-ahead log emptied.
    case secretRemoved(namespace: [UInt8], epoch: UInt32)
}

/// Ids that count up from the first.
public struct EventIDs: Sendable, Equatable {
    /// The first.
    public var first: BusUUID
    /// How many.
    public var count: UInt32

    /// Ids from `first` on.
    public init(first: BusUUID, count: UInt32) {
        self.first = first
        self.count = count
    }
}

/// Ids that were stored before, and the receipt they got then.
public struct KnownIDs: Sendable, Equatable {
    /// Which ids.
    public var ids: EventIDs
    /// On which topic.
    public var topic: TopicID
    /// Sequence of the first of them; the others follow it.
    public var firstSequence: UInt64
    /// When they were accepted, microseconds since 1970.
    public var accepted: Int64
}

/// Why an append was not stored though the store goes on.
public enum StoreRefusal: Sendable, Equatable {
    /// The store's bound is reached.
    case storeFull
    /// The file system is full.
    case diskFull
    /// It names a topic the store doesn't have.
    case unknownTopic
    /// It is not behind everything stored before: a position or sequence would have been given twice.
    case outOfOrder
}

/// What one commit made durable.
public struct Committed: Sendable {
    /// Every write up to this ticket is durable, but for those refused.
    public var through: UInt64 = 0
    /// Number of the commit, counted over the life of the store.
    public var commit: UInt64 = 0
    /// One past the highest position ever stored.
    public var nextPosition: UInt64 = 0
    /// Appends, and events to be kept, that were not stored, by ticket, ascending.
    public var refused: [(ticket: UInt64, reason: StoreRefusal)] = []
    /// Answers to `known`, by ticket, ascending.
    public var known: [(ticket: UInt64, ids: [KnownIDs])] = []
    /// Topics whose batches were removed, as they are now; a deleted one comes last when nothing of it is left.
    public var removedFrom: [StoredTopic] = []
    /// Users whose batches came or went, and what they hold now.
    public var usage: [StoredUsage] = []
    /// Rows of events that waited and were put aside as damaged, as far as they say whose they were.
    public var setAside: [SetAsideScheduled] = []
    /// Damage that is to be told of with it.
    var damage: [StoreDamage] = []
    /// How long it took, from the first write to the head file, in microseconds.
    public var duration: UInt64 = 0
    /// Bytes of the database in use.
    public var bytesUsed: UInt64 = 0
}
