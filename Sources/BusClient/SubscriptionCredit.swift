// How much one subscription is ready for: running totals since it subscribed on this connection. Pure.

/// Credit of one subscription.
struct SubscriptionCredit {
    /// Events of the window.
    let events: UInt64
    /// Bytes of the window.
    let bytes: UInt64
    private var consumedEvents: UInt64 = 0
    private var consumedBytes: UInt64 = 0
    private(set) var grantedEvents: UInt64
    private(set) var grantedBytes: UInt64
    /// What waited for the application when this connection began: it has its place in the window until it is taken.
    private var heldEvents: UInt64 = 0
    private var heldBytes: UInt64 = 0

    /// More than any process holds, and far enough from where totals end: "as much as you like" must leave room to
    /// count on.
    private static let creditMax: UInt64 = 1 << 48

    init(events: UInt64, bytes: UInt64) {
        self.events = min(events, SubscriptionCredit.creditMax)
        self.bytes = min(bytes, SubscriptionCredit.creditMax)
        grantedEvents = self.events
        grantedBytes = self.bytes
    }

    /// The application has taken this much. Returns whether it is worth telling: when a quarter of the window is free,
    /// so that credit costs a frame a quarter window and not one a batch.
    mutating func consume(events: UInt64, bytes: UInt64) -> Bool {
        consumedEvents += events
        consumedBytes += bytes
        return isDue
    }

    private var isDue: Bool {
        let freeEvents = total(consumedEvents, events, heldEvents) - grantedEvents
        let freeBytes = total(consumedBytes, bytes, heldBytes) - grantedBytes
        return freeEvents >= (events + 3) / 4 || freeBytes >= (bytes + 3) / 4
    }

    /// The running totals to tell now; nil when there is nothing worth telling.
    mutating func takeDue() -> (events: UInt64, bytes: UInt64)? {
        guard isDue else { return nil }
        grantedEvents = total(consumedEvents, events, heldEvents)
        grantedBytes = total(consumedBytes, bytes, heldBytes)
        return (grantedEvents, grantedBytes)
    }

    /// A new connection begins with this much still waiting for the application: it fills the window, or every
    /// reconnect would let another window's worth in.
    mutating func restart(heldEvents: UInt64, heldBytes: UInt64) {
        self.heldEvents = heldEvents
        self.heldBytes = heldBytes
        consumedEvents = 0
        consumedBytes = 0
        grantedEvents = total(0, events, heldEvents)
        grantedBytes = total(0, bytes, heldBytes)
    }

    /// The running total that may be credited. Never below what was granted at the beginning of this connection,
    /// which is the same with nothing consumed.
    private func total(_ consumed: UInt64, _ window: UInt64, _ held: UInt64) -> UInt64 {
        consumed + window > held ? consumed + window - held : 0
    }
}
