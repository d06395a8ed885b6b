// One session's interest in a filter: its credit, its queue, its account of what it missed.

import BusWire

final class Subscription {
    let number: UInt32
    let serial: UInt64
    let filter: TopicFilter
    let policy: OverflowPolicy
    /// How long publishers may be stalled, in nanoseconds.
    let stallTime: UInt64
    unowned let session: Session

    var queue: DeliveryQueue
    /// Running totals since it subscribed, as the credit's.
    var sentEvents: UInt64 = 0
    var sentBytes: UInt64 = 0
    var creditEvents: UInt64
    var creditBytes: UInt64
    /// The number of the last delivery.
    var lastDelivery: UInt64 = 0
    var acknowledged: UInt64 = 0
    var missedCount: UInt64 = 0
    /// Whether it stands in its session's list of those that go on when the connection has drained.
    var isWaiting = false
    var stall = Stall.none

    /// Whether publishers wait for this subscription.
    enum Stall: Equatable {
        /// No.
        case none
        /// Yes, until this moment.
        case until(Moment.Nanoseconds)
        /// They have waited long enough; until the queue has emptied by half, the oldest make room.
        case timedOut
    }

    init(_ request: Subscribe, filter: TopicFilter, policy: OverflowPolicy, serial: UInt64, session: Session) {
        number = request.subscription
        self.serial = serial
        self.filter = filter
        self.policy = policy
        self.session = session
        stallTime = UInt64(request.stallMilliseconds) * 1_000_000
        creditEvents = request.creditEvents
        creditBytes = request.creditBytes
        queue = DeliveryQueue(
            eventCountMax: request.queueEventCount == 0 ? Limits.queueEventCountDefault : request.queueEventCount,
            lengthMax: request.queueLength == 0 ? Limits.queueLengthDefault : request.queueLength)
    }

    /// Whether the subscriber is ready for another batch. The last one may overdraw.
    var hasCredit: Bool { sentEvents < creditEvents && sentBytes < creditBytes }

    var stallDeadline: Moment.Nanoseconds? {
        if case .until(let deadline) = stall { deadline } else { nil }
    }
}
