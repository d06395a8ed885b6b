// What an application says of events of a durable subscription.

import BusWire
import Synchronization

/// Which delivery of which connection brought a batch, so that word of it finds its way.
struct SettlableDelivery: Sendable {
    let subscription: SubscriptionState
    /// The connection's life it came in: word of another one's is too late.
    let life: UInt64
    let number: UInt64

    /// Whether word of it can still reach the daemon. If not, it comes again.
    var isCurrent: Bool { subscription.life.load(ordering: .relaxed) == life }
}

extension Event {
    /// Says that it is handled.
    ///
    /// Word of events is gathered and leaves at the end of the round; nothing waits for the daemon. It changes nothing
    /// for an event that was settled already, or whose connection was lost since: that one comes again.
    /// - Throws: `BusError.invalid` for events of a subscription that acknowledges nothing; why the connection ended.
    public func acknowledge() async throws(BusError) { try await batch.settle(.acknowledge, index) }

    /// Says that it couldn't be handled now: it comes again after a pause, or becomes a dead letter when it has been
    /// tried often enough.
    ///
    /// - Parameters:
    ///   - delay: the shortest pause, up to 49 days; nil for the subscription's backoff.
    ///   - why: for people who look at it.
    /// - Throws: as `acknowledge`.
    public func retry(after delay: Duration? = nil, because why: String = "") async throws(BusError) {
        try await batch.settle(.retry, index, delay: delay, because: why)
    }

    /// Says that it is being worked on: the time to acknowledge it begins anew. With automatic acknowledgement that
    /// happens by itself.
    ///
    /// - Throws: as `acknowledge`.
    public func extend() async throws(BusError) { try await batch.settle(.extend, index) }

    /// Says that it can't be handled at all: it becomes a dead letter at once.
    ///
    /// - Parameter why: for people who look at it.
    /// - Throws: as `acknowledge`.
    public func reject(because why: String) async throws(BusError) {
        try await batch.settle(.reject, index, because: why)
    }
}

extension EventBatch {
    /// Says that all its events are handled; see `Event.acknowledge`.
    public func acknowledge() async throws(BusError) { try await settle(.acknowledge, nil) }

    /// Says that those of its events that aren't settled couldn't be handled now; see `Event.retry`.
    public func retry(after delay: Duration? = nil, because why: String = "") async throws(BusError) {
        try await settle(.retry, nil, delay: delay, because: why)
    }

    /// Says that its events are being worked on; see `Event.extend`.
    public func extend() async throws(BusError) { try await settle(.extend, nil) }

    /// Says that those of its events that aren't settled can't be handled at all; see `Event.reject`.
    public func reject(because why: String) async throws(BusError) { try await settle(.reject, nil, because: why) }

    fileprivate func settle(
        _ settlement: Settlement, _ place: Int?, delay: Duration? = nil, because why: String = ""
    ) async throws(BusError) {
        guard let delivery else {
            throw .invalid("only events of a durable subscription that acknowledges can be settled")
        }
        guard let connection = delivery.subscription.connection else { throw .closed }
        try await connection.settle(settlement, delivery, place, delay: delay, because: why)
    }
}

extension BusConnection {
    fileprivate func settle(
        _ settlement: Settlement, _ delivery: SettlableDelivery, _ place: Int?, delay: Duration?, because why: String
    ) throws(BusError) {
        if let failure = core.failure { throw failure }
        delivery.subscription.settle(settlement, delivery, place, delay: delay, because: why)
    }
}
