// What waits for one subscription, or for a group of them together: a list, and the rule of its policy.

import BusWire

/// What one subscription, or a group, is owed.
final class ModelStream {
    let filter: TopicFilter
    /// Nil for a subscription alone.
    let group: GroupName?
    let isExclusive: Bool
    let responds: Bool
    let policy: OverflowPolicy
    let stallTime: UInt64
    let queueEventCount: UInt64
    let queueLength: UInt64
    /// Who gets it, oldest first: one, unless it is a group's.
    var members: [ModelSubscription] = []
    /// Accepted for it, neither delivered nor told as missed, in the order of acceptance.
    var owed: [OwedEntry] = []
    /// Gaps told since the last delivery, for a stream whose losses can't be foreseen.
    var gaps: [ToldGap] = []
    /// Events told as missed to any of its members, gone ones among them.
    var missedCount: UInt64 = 0
    /// What the account of all its members says, once it is put out.
    var missedAtEnd: UInt64?
    /// Whether something in its queue was withdrawn while it stalled: when that made room isn't known until it is empty.
    var isDoubtful = false
    /// Which batch was delivered from last, in the order of acceptance.
    var lastIndex = 0
    /// Told as missed since the last delivery.
    var told: [OwedEntry] = []
    /// Why it has to end, when it has to.
    var endReason: Reason?

    /// Whether its stall had timed out and its queue emptied among publishes that were accepted either before or behind
    /// that: it stalls nobody, or begins anew.
    var mayBeTimedOut = false
    /// Since when its queue is full, for one that stalls, until it has emptied by half.
    var fullSince: UInt64?
    /// When something was last accepted for it.
    var lastAccepted: UInt64 = 0
    /// Whether its queue was looked at after its stall timed out, when what was dropped may have relaxed it unseen.
    var mayHaveRelaxed = false

    init(_ request: Subscribe, filter: TopicFilter, group: GroupName?, policy: OverflowPolicy) {
        self.filter = filter
        self.group = group
        self.policy = policy
        isExclusive = request.mode.contains(.exclusive)
        responds = request.mode.contains(.responds)
        stallTime = UInt64(request.stallMilliseconds) * 1_000_000
        queueEventCount = UInt64(
            request.queueEventCount == 0 ? Limits.queueEventCountDefault : request.queueEventCount)
        queueLength = request.queueLength == 0 ? Limits.queueLengthDefault : request.queueLength
    }

    /// What waits to be delivered.
    var waiting: [OwedEntry] { owed.filter { $0.lost == nil } }
    /// What counts against its bounds: last values from before don't.
    var queued: [OwedEntry] { owed.filter { $0.lost == nil && !$0.isStored } }
    var queuedEvents: UInt64 { queued.reduce(0) { $0 + UInt64($1.places.count) } }
    var queuedLength: UInt64 { queued.reduce(0) { $0 + $1.length } }
    /// A single entry is never too much: what can't be queued could never be delivered.
    var isOverfull: Bool {
        queued.count > 1 && (queuedEvents > queueEventCount || queuedLength > queueLength)
    }
    var isFull: Bool {
        !queued.isEmpty && (queuedEvents >= queueEventCount || queuedLength >= queueLength)
    }
    /// Emptied by half, where a stall ends.
    var isRelaxed: Bool { queuedEvents <= queueEventCount / 2 && queuedLength <= queueLength / 2 }

    /// Does what the policy says of an entry that has come last and wasn't delivered at once.
    func overflow() {
        switch policy {
        case .dropOldest: dropOldest()
        case .dropNewest: while isOverfull { queued.last?.lost = .queueFull }
        case .latest:
            keepLatest()
            dropOldest()
        case .disconnect: if isOverfull { endReason = .queueFull }
        case .stall: break  // whether its time was over only the broker's own clock knows: see `checkNeed`
        }
    }

    private func dropOldest() {
        while isOverfull { queued.first?.lost = .queueFull }
    }

    /// Of each topic only the newest event waits.
    func keepLatest() {
        guard policy == .latest, let newest = queued.last, let last = newest.places.last else { return }
        for entry in queued where entry.batch.life === newest.batch.life && entry !== newest && entry.attempt == 1 {
            entry.lost = .superseded
        }
        guard newest.places.count > 1, let index = owed.firstIndex(where: { $0 === newest }) else { return }
        let older = newest.split { $0 != last }
        older.lost = .superseded
        owed.insert(older, at: index)
    }

    /// Whether it has to hold back its publishers: not for what nobody waits for any more.
    func stalls(at now: UInt64) -> Bool {
        let live = queued.filter { !$0.live.isEmpty }
        let isHalfEmpty =
            live.reduce(0) { $0 + $1.eventCount } <= queueEventCount / 2
            && live.reduce(0) { $0 + $1.length } <= queueLength / 2
        return !isHalfEmpty && !isDoubtful && !mayBeTimedOut && isWithin(now)
    }
    private func isWithin(_ now: UInt64) -> Bool { fullSince.map { now < $0 + stallTime } ?? false }
    /// Whether it may: what was dropped and not told yet may have let a stall end and the next begin.
    func mayStall(at now: UInt64) -> Bool {
        isWithin(now) || (mayHaveRelaxed || isDoubtful) && now < lastAccepted + stallTime
    }
    /// The broker looks at its queue.
    func look(at now: UInt64) { if fullSince != nil, !isWithin(now) { mayHaveRelaxed = true } }
}

/// A gap as it was told.
struct ToldGap {
    let topic: Topic
    let reason: Reason
    let count: UInt64
    let sequences: ClosedRange<UInt64>

    /// Whether any of an entry's events lies within, those among them that were withdrawn when it was lost or since.
    func touches(_ entry: OwedEntry) -> Bool {
        entry.topic == topic && entry.places.contains { sequences.contains(entry.batch.sequence(at: $0)) }
    }
}

/// One member's, or one lone subscription's, own part: who it is and how much it is ready for.
final class ModelSubscription {
    let number: UInt32
    let session: ModelSession
    let stream: ModelStream
    var creditEvents: UInt64
    var creditBytes: UInt64
    var sentEvents: UInt64 = 0
    var sentBytes: UInt64 = 0
    var missedCount: UInt64 = 0
    var lastDelivery: UInt64 = 0
    /// Of a group: what it was handed and hasn't acknowledged, by delivery.
    var unacknowledged: [(delivery: UInt64, entry: OwedEntry)] = []
    /// The last event it was handed for the first time: batch and place.
    var newest: (batch: Int, place: Int) = (-1, 0)
    /// Last values it was sent, as long as the marker behind them is owed.
    var storedCount: UInt64?

    init(_ request: Subscribe, session: ModelSession, stream: ModelStream) {
        number = request.subscription
        self.session = session
        self.stream = stream
        creditEvents = request.creditEvents
        creditBytes = request.creditBytes
    }

    var name: String { "\(session.id)/\(number)" }
    var hasCredit: Bool { sentEvents < creditEvents && sentBytes < creditBytes }
    var outstanding: Int { unacknowledged.reduce(0) { $0 + $1.entry.live.count } }
    /// Whether a stream's next delivery may be for this one.
    var isOnDuty: Bool { !stream.isExclusive || stream.members.first === self }
}
