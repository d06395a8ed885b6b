// What the broker has stored: batches, seals, topics, subscriptions and where they stand, dead letters, the ledger. Records
// of values; the store decides how they lie on disk.

public import BusWire

/// A batch as it lies in the store.
public struct StoredBatch: Sendable {
    /// Position of its first event.
    public var position: UInt64
    /// Its topic's number in the store.
    public var topic: UInt64
    /// Sequence of its first event.
    public var firstSequence: UInt64
    /// How many events it has.
    public var eventCount: UInt32
    /// When it was accepted, microseconds since 1970.
    public var time: Int64
    /// When the last of its events expires; nil for never.
    public var expiry: Int64?
    /// Its seal.
    public var seal: UInt64
    /// Its publisher's user.
    public var uid: UInt32
    /// Id of its first event.
    public var firstID: BusUUID
    /// The events' ids, where they don't count up from the first.
    public var ids: [BusUUID]
    /// The batch.
    public var bytes: SharedBytes

    /// A batch of these parts.
    public init(
        position: UInt64, topic: UInt64, firstSequence: UInt64, eventCount: UInt32, time: Int64, expiry: Int64?,
        seal: UInt64, uid: UInt32, firstID: BusUUID, ids: [BusUUID] = [], bytes: SharedBytes
    ) {
        self.position = position
        self.topic = topic
        self.firstSequence = firstSequence
        self.eventCount = eventCount
        self.time = time
        self.expiry = expiry
        self.seal = seal
        self.uid = uid
        self.firstID = firstID
        self.ids = ids
        self.bytes = bytes
    }

    /// The position behind its last event.
    var end: UInt64 { position + UInt64(eventCount) }
}

/// Whose seal a number is.
public struct StoredSeal: Sendable, Equatable {
    /// The seal.
    public var number: UInt64
    /// Its topic's number in the store.
    public var topic: UInt64
    /// Its generation of keys.
    public var epoch: UInt32
    /// Its publisher.
    public var publisher: PeerIdentity
    /// What the publisher called itself.
    public var name: String
    /// The publisher's salt.
    public var salt: [UInt8]
    /// Which key belongs to it.
    public var keyCheck: [UInt8]

    /// A seal of these parts.
    public init(
        number: UInt64, topic: UInt64, epoch: UInt32, publisher: PeerIdentity, name: String, salt: [UInt8],
        keyCheck: [UInt8]
    ) {
        self.number = number
        self.topic = topic
        self.epoch = epoch
        self.publisher = publisher
        self.name = name
        self.salt = salt
        self.keyCheck = keyCheck
    }
}

/// A topic as it lies in the store.
public struct StoredTopic: Sendable {
    /// Its number in the store, below 2^32.
    public var number: UInt64
    /// Its name.
    public var name: Topic
    /// Sequence of its last event.
    public var lastSequence: UInt64
    /// When that was accepted.
    public var lastTime: Int64
    /// Sequence of the oldest event that is kept.
    public var firstSequence: UInt64
    /// A position at or before its batch; 0 where it isn't known.
    public var firstPosition: UInt64
    /// When that batch was accepted; microseconds since 1970.
    public var firstTime: Int64
    /// How many events are kept.
    public var eventCount: UInt64
    /// How many bytes their batches have.
    public var byteCount: UInt64
    /// The batch with its last value, and that batch's seal.
    public var retained: (batch: StoredBatch, seal: StoredSeal)?

    /// A topic of these parts.
    public init(
        number: UInt64, name: Topic, lastSequence: UInt64, lastTime: Int64, firstSequence: UInt64,
        firstPosition: UInt64,
        firstTime: Int64, eventCount: UInt64, byteCount: UInt64, retained: (batch: StoredBatch, seal: StoredSeal)? = nil
    ) {
        self.number = number
        self.name = name
        self.lastSequence = lastSequence
        self.lastTime = lastTime
        self.firstSequence = firstSequence
        self.firstPosition = firstPosition
        self.firstTime = firstTime
        self.eventCount = eventCount
        self.byteCount = byteCount
        self.retained = retained
    }
}

extension StoredTopic {
    /// How many of its oldest events are more than may be kept, by their number and their bytes; bytes are taken to be
    /// spread evenly, and looked at again afterwards.
    public func eventsOver(_ order: RetentionOrder) -> UInt64 {
        var over: UInt64 = 0
        if order.eventCountMax > 0, eventCount > order.eventCountMax { over = eventCount - order.eventCountMax }
        if order.lengthMax > 0, byteCount > order.lengthMax {
            let share = Double(byteCount - order.lengthMax) / Double(byteCount)
            over = max(over, UInt64((Double(eventCount) * share).rounded(.up)))
        }
        return over
    }
}

/// Consecutive positions below a cursor that aren't settled.
public struct PendingRange: Sendable, Equatable {
    /// The first.
    public var first: UInt64
    /// How many.
    public var count: UInt64
    /// How often they were handed out.
    public var attempts: UInt16

    /// A range of these parts.
    public init(first: UInt64, count: UInt64, attempts: UInt16) {
        self.first = first
        self.count = count
        self.attempts = attempts
    }

    /// The position behind its last.
    var end: UInt64 { first + count }
}

/// Where a subscription stands: everything before `next` is settled but for what is pending.
public struct StoredCursor: Sendable, Equatable {
    /// The first position it has not got.
    public var next: UInt64
    /// What before it isn't settled, ascending.
    public var pending: [PendingRange]

    /// A cursor of these parts.
    public init(next: UInt64, pending: [PendingRange] = []) {
        self.next = next
        self.pending = pending
    }
}

/// A durable subscription as it lies in the store.
public struct StoredSubscription: Sendable {
    /// Its number, never given twice.
    public var number: UInt64
    /// Its name.
    public var name: GroupName
    /// Which topics.
    public var filter: TopicFilter
    /// Shared, exclusive or neither; with acknowledgement or without.
    public var mode: SubscribeMode
    /// Its settings, as they were given.
    public var settings: [Setting]
    /// Whose it is.
    public var uid: UInt32
    /// When it was made.
    public var created: Int64
    /// When it last had a consumer, or was made.
    public var attended: Int64
    /// Where it stands.
    public var cursor: StoredCursor

    /// A subscription of these parts.
    public init(
        number: UInt64, name: GroupName, filter: TopicFilter, mode: SubscribeMode, settings: [Setting], uid: UInt32,
        created: Int64, attended: Int64, cursor: StoredCursor
    ) {
        self.number = number
        self.name = name
        self.filter = filter
        self.mode = mode
        self.settings = settings
        self.uid = uid
        self.created = created
        self.attended = attended
        self.cursor = cursor
    }
}

/// Events of one batch that a subscription gave up on.
public struct StoredDeadLetter: Sendable {
    /// Its number, ascending.
    public var number: UInt64
    /// The subscription.
    public var subscription: UInt64
    /// Position of the batch.
    public var position: UInt64
    /// Which of its events, a bit each.
    public var selection: [UInt8]
    /// Why.
    public var reason: Reason
    /// Why, in the subscriber's words.
    public var message: String
    /// How often they were handed out.
    public var attempts: UInt16
    /// When the subscription gave up, microseconds since 1970.
    public var died: Int64
    /// When the batch was accepted.
    public var accepted: Int64

    /// A dead letter of these parts.
    public init(
        number: UInt64, subscription: UInt64, position: UInt64, selection: [UInt8], reason: Reason, message: String,
        attempts: UInt16, died: Int64, accepted: Int64
    ) {
        self.number = number
        self.subscription = subscription
        self.position = position
        self.selection = selection
        self.reason = reason
        self.message = message
        self.attempts = attempts
        self.died = died
        self.accepted = accepted
    }
}

/// What became of consecutive positions for one subscription.
public struct LedgerLine: Sendable, Equatable {
    /// What can become of an event.
    public enum Outcome: UInt8, Sendable {
        /// Handled.
        case acknowledged = 2
        /// To be tried again, at the subscriber's wish.
        case retried = 3
        /// Taken back: not acknowledged in time, or the session is gone.
        case returned = 4
        /// Given up on, kept as a dead letter.
        case dead = 5
        /// Given up on and not kept.
        case dropped = 6
        /// Of a request: answered to the end.
        case answered = 7
        /// Of a request: somebody who would have answered won't.
        case unanswered = 8
        /// Of a request: whoever made it waits no more, and not all have answered.
        case cancelled = 9
    }

    /// In the place of a subscription: what came of requests.
    public static let requests: UInt64 = 0

    /// The subscription; subscriptions' numbers begin at 1.
    public var subscription: UInt64
    /// The first position.
    public var first: UInt64
    /// How many.
    public var count: UInt32
    /// What.
    public var outcome: Outcome
    /// The session that had them.
    public var session: UInt64
    /// At which attempt.
    public var attempt: UInt16
    /// When they were handed to it, microseconds since 1970; 0 when they weren't. Of a request, when it was accepted.
    public var sent: Int64
    /// When, microseconds since 1970.
    public var time: Int64
    /// Why, where there is a reason.
    public var reason: Reason?
    /// The event that answers a request; none else.
    public var answer: BusUUID

    /// A line of these parts.
    public init(
        subscription: UInt64, first: UInt64, count: UInt32, outcome: Outcome, session: UInt64, attempt: UInt16,
        sent: Int64, time: Int64, reason: Reason? = nil, answer: BusUUID = .zero
    ) {
        self.subscription = subscription
        self.first = first
        self.count = count
        self.outcome = outcome
        self.session = session
        self.attempt = attempt
        self.sent = sent
        self.time = time
        self.reason = reason
        self.answer = answer
    }
}
