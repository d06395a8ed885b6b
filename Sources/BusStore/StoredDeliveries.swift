// What the store keeps of deliveries: subscriptions with their cursors, dead letters and the ledger. All places are
// ranges of positions, one number line for the whole store.

public import BusWire

/// Consecutive positions below a cursor that aren't settled: handed out and not acknowledged, or to be redelivered.
public struct PendingRange: Sendable, Equatable {
    /// The first.
    public var first: UInt64
    /// How many.
    public var count: UInt32
    /// How often they were handed out.
    public var attempts: UInt16

    /// A range of these parts.
    public init(first: UInt64, count: UInt32, attempts: UInt16) {
        self.first = first
        self.count = count
        self.attempts = attempts
    }
}

/// How far a subscription is: everything before `next` is settled but for what is pending.
public struct StoredCursor: Sendable, Equatable {
    /// The first position it has not got.
    public var next: UInt64
    /// What before it isn't settled, ascending, without overlap.
    public var pending: [PendingRange]

    /// A cursor of these parts.
    public init(next: UInt64, pending: [PendingRange] = []) {
        self.next = next
        self.pending = pending
    }
}

/// A durable subscription.
public struct StoredSubscription: Sendable, Equatable {
    /// Its number: chosen by the caller, never given twice; below 2^63.
    public var id: UInt64
    /// Its name.
    public var name: [UInt8]
    /// Filter, group, waits and so on, in bytes of the caller's own.
    public var options: [UInt8]
    /// How far it is; written by itself, since it changes all the time and the rest hardly ever does.
    public var cursor: StoredCursor

    /// A subscription of these parts.
    public init(id: UInt64, name: [UInt8], options: [UInt8], cursor: StoredCursor) {
        self.id = id
        self.name = name
        self.options = options
        self.cursor = cursor
    }
}

/// Events of one batch that a subscription gave up on. The batch is kept as long as a dead letter names it.
public struct StoredDeadLetter: Sendable, Equatable {
    /// Its number: chosen by the caller, ascending; below 2^63.
    public var id: UInt64
    /// Which subscription gave up.
    public var subscription: UInt64
    /// Where the batch begins.
    public var position: UInt64
    /// Which of its events, as `Selection.bytes`; empty: all.
    public var selection: [UInt8]
    /// Why, as a number of the caller's.
    public var reason: UInt16
    /// Why, in words.
    public var reasonText: String
    /// How often it was handed out.
    public var attempts: UInt16
    /// When it was first handed out, microseconds since 1970.
    public var firstAttempt: Int64
    /// When it was last handed out.
    public var lastAttempt: Int64
    /// When it was given up on.
    public var died: Int64

    /// A dead letter of these parts.
    public init(
        id: UInt64, subscription: UInt64, position: UInt64, selection: [UInt8] = [], reason: UInt16,
        reasonText: String, attempts: UInt16, firstAttempt: Int64, lastAttempt: Int64, died: Int64
    ) {
        self.id = id
        self.subscription = subscription
        self.position = position
        self.selection = selection
        self.reason = reason
        self.reasonText = reasonText
        self.attempts = attempts
        self.firstAttempt = firstAttempt
        self.lastAttempt = lastAttempt
        self.died = died
    }
}

/// One line of the ledger: what became of consecutive positions for one subscription.
public struct LedgerEntry: Sendable, Equatable {
    /// Which subscription; 0 is free for the caller's use.
    public var subscription: UInt64
    /// The first position; below 2^63.
    public var first: UInt64
    /// How many positions, 1 to `LedgerEntry.countMax`.
    public var count: UInt32
    /// What became of them, as a number of the caller's.
    public var outcome: UInt8
    /// By which session.
    public var session: UInt64
    /// At which attempt.
    public var attempt: UInt16
    /// When they were handed to it, microseconds since 1970; 0 when they weren't.
    public var sent: Int64
    /// When, microseconds since 1970.
    public var time: Int64
    /// Why, as a number of the caller's.
    public var reason: UInt16
    /// The event that answers the one at this position; none else.
    public var answer: BusUUID

    /// Longest range of one entry: what a look-up has to go back to find the entries that reach a position.
    public static let countMax: UInt32 = 4096

    /// An entry of these parts.
    public init(
        subscription: UInt64, first: UInt64, count: UInt32, outcome: UInt8, session: UInt64 = 0, attempt: UInt16,
        sent: Int64 = 0, time: Int64, reason: UInt16 = 0, answer: BusUUID = .zero
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
