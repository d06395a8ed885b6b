// What the broker knows of a durable topic's place in the store: enough to show it and to know when something may be
// removed, without asking.

import BusWire

/// What is stored of one topic.
final class StoredCounts {
    /// Sequence of the oldest event kept.
    var firstSequence: UInt64 = 1
    /// A position at or before the oldest batch kept.
    var firstPosition: UInt64 = 0
    /// A time at or before that batch's.
    var firstTime: Int64 = .max
    var eventCount: UInt64 = 0
    var byteCount: UInt64 = 0
    /// Whether the store was asked to remove something and hasn't answered.
    var isTrimming = false

    /// Why something was removed last.
    var removalReason = Reason.retention

    /// What is being removed, oldest first, until the store has done it.
    var removals: [Removal] = []

    /// What is removed, and whom it is to be told.
    struct Removal {
        let reason: Reason
        /// The write that removes it.
        let ticket: UInt64
        /// Before which position.
        let position: UInt64
        /// Subscriptions that haven't got all of it, and whether they have got none.
        var losers: [(subscription: Subscription, hasNone: Bool)]
    }

    /// A batch was stored.
    func note(_ batch: AcceptedBatch) {
        if eventCount == 0 {
            (firstSequence, firstPosition, firstTime) = (batch.firstSequence, batch.position, batch.time)
        }
        eventCount += UInt64(batch.eventCount)
        byteCount += UInt64(batch.bytes.count)
    }

    /// The store says how it is.
    func update(_ stored: StoredTopic) {
        firstSequence = stored.firstSequence
        firstPosition = stored.firstPosition
        firstTime = stored.firstTime
        eventCount = stored.eventCount
        byteCount = stored.byteCount
        isTrimming = false
    }
}
