// A session's end of a subscription: what it was sent, what it is ready for, and, in a group, what it holds.

import BusWire
import DequeModule

final class Consumer {
    /// The session's number for the subscription.
    let number: UInt32
    /// Whether it stands in its session's list of those that go on when the connection has drained.
    var isWaiting = false
    unowned let session: Session
    let subscription: Subscription
    /// Running totals since it subscribed, as the credit's.
    var sentEvents: UInt64 = 0
    var sentBytes: UInt64 = 0
    var creditEvents: UInt64
    var creditBytes: UInt64
    /// The number of the last delivery.
    var lastDelivery: UInt64 = 0
    private var extra = Extra.none

    /// What few have, and nobody both.
    private enum Extra {
        case none
        case holding(Holding)
        case backlog(Backlog)
    }

    init(_ request: Subscribe, _ session: Session, _ subscription: Subscription) {
        number = request.subscription
        self.session = session
        self.subscription = subscription
        creditEvents = request.creditEvents
        creditBytes = request.creditBytes
        if subscription.isShared { extra = .holding(Holding()) }
    }

    /// What it was handed and hasn't acknowledged; of a group's members only.
    var holding: Holding? { if case .holding(let holding) = extra { holding } else { nil } }

    /// Last values it gets before everything else; never of a group's members.
    var backlog: Backlog? {
        get { if case .backlog(let backlog) = extra { backlog } else { nil } }
        set { extra = newValue.map { .backlog($0) } ?? .none }
    }

    /// Whether the subscriber is ready for another batch. The last one may overdraw.
    var hasCredit: Bool { sentEvents < creditEvents && sentBytes < creditBytes }
    /// Events handed over and not acknowledged, in a group.
    var outstanding: UInt64 { holding?.eventCount ?? 0 }
}

/// What a member of a group was handed and hasn't acknowledged, oldest first.
final class Holding {
    private(set) var portions: Deque<(delivery: UInt64, portion: Portion)> = []
    private(set) var eventCount: UInt64 = 0
    /// Bytes of the batches they are in.
    private(set) var length = 0
    /// Its place in its user's list of those that get nothing until something is acknowledged.
    var starvedPlace: Int?

    func append(_ portion: Portion, delivery: UInt64) {
        portions.append((delivery, portion))
        eventCount += portion.eventCount
        length += Int(portion.length)
    }

    /// Lets go of everything up to a delivery and says how much that was.
    func release(through delivery: UInt64) -> (events: UInt64, length: Int) {
        let before = (eventCount, length)
        while let first = portions.first, first.delivery <= delivery {
            eventCount -= first.portion.eventCount
            length -= Int(first.portion.length)
            portions.removeFirst()
        }
        return (before.0 - eventCount, before.1 - length)
    }

    /// Lets go of everything.
    func releaseAll() -> Deque<(delivery: UInt64, portion: Portion)> {
        defer { (portions, eventCount, length) = ([], 0, 0) }
        return portions
    }
}

/// The last values of all topics that matched when a subscription began, in the order in which they were accepted.
final class Backlog {
    var portions: Deque<Portion>
    /// Charged to the subscriber as queued.
    var length: Int
    private(set) var told: UInt64 = 0

    init(_ portions: [Portion]) {
        self.portions = Deque(portions)
        length = portions.reduce(0) { $0 + Int($1.length) }
    }

    func popFirst() -> Portion? {
        guard let portion = portions.popFirst() else { return nil }
        length -= Int(portion.length)
        told += portion.eventCount
        return portion
    }
}
