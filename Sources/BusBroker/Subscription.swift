// What a filter's events are queued for: one session's interest, or a group's. Who gets them is its consumers' affair:
// a subscription of its own has one, a group has a consumer for each member.
//
// A million of them must fit into 400 bytes each with their consumer, so what most don't need is made when they do.

import BusWire

/// A filter with a queue, and those who take from it.
final class Subscription {
    let serial: UInt64
    let filter: TopicFilter
    /// What only groups have.
    let group: Group?
    /// What only durable ones have; they are groups, too, if of one.
    let durable: Durable?
    private let queueLengthMax: UInt64
    private let queueEventCountMax: UInt32
    /// How long publishers may be stalled, in milliseconds.
    let stallMilliseconds: UInt32
    let mode: SubscribeMode
    let policy: OverflowPolicy
    /// Whether it ended, and a route may still remember it.
    var isEnded = false
    /// Who pays for what waits: the user of its oldest consumer.
    var account: Account

    /// Those who take from it, oldest first; never empty while it is routed to.
    var consumers: ConsumerList
    /// What waits; nil as long as nothing ever did.
    private(set) var queue: DeliveryQueue?

    init(
        _ request: Subscribe, filter: TopicFilter, group: Group?, policy: OverflowPolicy, serial: UInt64,
        account: Account, durable: Durable? = nil
    ) {
        self.serial = serial
        self.filter = filter
        self.group = group
        self.durable = durable
        self.policy = policy
        mode = request.mode
        queueEventCountMax = request.queueEventCount
        queueLengthMax = request.queueLength
        stallMilliseconds = request.stallMilliseconds
        self.account = account
        consumers = ConsumerList()
    }

    var isShared: Bool { group != nil }
    var isDurable: Bool { durable != nil }
    /// Whether its oldest consumer gets everything.
    var isExclusive: Bool { mode.contains(.exclusive) || isDurable && !mode.contains(.shared) }
    /// Whether it answers requests.
    var responds: Bool { mode.contains(.responds) }
    var hasQueued: Bool { queue.map { !$0.isEmpty } ?? false }
    /// Whether anything is still to be handed out, in the queue or beside it.
    var hasWaiting: Bool { hasQueued || group?.keys?.isEmpty == false }
    /// Bytes of all that waits, in the queue and beside it.
    var waitingLength: UInt64 { (queue?.length ?? 0) + (group?.keys?.length ?? 0) }
    /// Whether it is known who has events of a key: not where the oldest has all there is and nothing is tried again, nor
    /// where what was handed out is nobody's any more.
    var tracksKeys: Bool { isDurable ? !mode.contains(.unacknowledged) : isShared && !isExclusive }

    /// Whether anything waits that one of its consumers could be handed, if that one were ready.
    func hasAnything(for consumer: Consumer) -> Bool {
        guard let keys = group?.keys, let holding = consumer.holding else { return hasQueued }
        if keys.freeCount > 0 || !holding.ripeKeys.isEmpty { return true }
        guard let first = queue?.first, !keys.isOverfull else { return false }
        return keys.looksAhead || keys.allows(first, for: holding)
    }

    /// The queue, made now if it must be.
    func needQueue() -> DeliveryQueue {
        if let queue { return queue }
        let made = DeliveryQueue(
            eventCountMax: queueEventCountMax == 0 ? Limits.queueEventCountDefault : queueEventCountMax,
            lengthMax: queueLengthMax == 0 ? Limits.queueLengthDefault : queueLengthMax)
        queue = made
        return made
    }

    /// Events missed: what was lost had to wait first.
    var missedCount: UInt64 { queue?.missedCount ?? 0 }
    /// Whether its publishers wait for it.
    var stall: DeliveryQueue.Stall { queue?.stall ?? .none }

    var stallDeadline: Moment.Nanoseconds? {
        if case .until(let deadline) = stall { deadline } else { nil }
    }

    /// Whether another member may join with these wishes.
    func agrees(with request: Subscribe) -> Bool {
        request.overflow == policy.rawValue && request.mode == mode
            && (policy != .stall || request.stallMilliseconds == stallMilliseconds)
    }
}

/// What only groups have.
final class Group {
    let name: GroupName
    /// Whether the queue is to be handed out at the end of the round.
    var isUnsettled = false
    /// Where the next handing out begins, so that equals take turns.
    var nextTurn = 0
    /// Ordering keys, from the first event on that has one.
    var keys: KeyTable?

    init(_ name: GroupName) { self.name = name }
}

/// Which group: a name alone is none, since members with another filter want other events.
struct GroupKey: Hashable {
    let filter: TopicFilter
    let name: GroupName
}

/// The consumers of a subscription: nearly always one, which needs no array.
struct ConsumerList: Sequence {
    private(set) var first: Consumer?
    private var others: [Consumer] = []

    var count: Int { first == nil ? 0 : 1 + others.count }
    var isEmpty: Bool { first == nil }

    subscript(index: Int) -> Consumer? {
        if index == 0 { return first }
        return others.indices.contains(index - 1) ? others[index - 1] : nil
    }

    mutating func append(_ consumer: Consumer) {
        if first == nil { first = consumer } else { others.append(consumer) }
    }

    mutating func remove(_ consumer: Consumer) {
        if first === consumer {
            first = others.isEmpty ? nil : others.removeFirst()
        } else {
            others.removeAll { $0 === consumer }
        }
    }

    func makeIterator() -> Iterator { Iterator(list: self) }

    /// Walks them, oldest first.
    struct Iterator: IteratorProtocol {
        fileprivate let list: ConsumerList
        private var index = 0

        fileprivate init(list: ConsumerList) { self.list = list }

        mutating func next() -> Consumer? {
            defer { index += 1 }
            return list[index]
        }
    }
}
