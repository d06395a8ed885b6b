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
        if let group = subscription.group { extra = .holding(Holding(of: group)) }
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

/// The last values of all topics that matched when a subscription began, in the order in which they were accepted.
final class Backlog {
    var portions: Deque<Portion>
    /// Charged to the subscriber as queued.
    var length: Int
    /// Events of it that were delivered.
    var told: UInt64 = 0
    /// Where the rest of what is stored is read; nil for last values, which are all here.
    let catchUp: CatchUp?

    init(_ portions: [Portion], catchUp: CatchUp? = nil) {
        self.portions = Deque(portions)
        self.catchUp = catchUp
        length = portions.reduce(0) { $0 + Int($1.length) }
    }

    /// Whether nothing of it is still to come.
    var isOver: Bool { portions.isEmpty && catchUp?.isLive != false }

    func append(_ portion: Portion) {
        portions.append(portion)
        length += Int(portion.length)
    }

    func popFirst() -> Portion? {
        guard let portion = portions.popFirst() else { return nil }
        length -= Int(portion.length)
        return portion
    }
}
