// What makes a subscription durable: a name, settings, a place in the store, and what waits to be tried again.

import BusWire
import DequeModule
import HeapModule

/// The durable part of a subscription. Its subscription lives as long as nobody deletes it, with consumers or without.
final class Durable {
    /// Its number in the store.
    let number: UInt64
    let name: GroupName
    /// What was set, as it was said.
    var settings: [Setting]
    var values: DurableSettings
    /// Whose it is.
    let uid: UInt32
    let created: Int64
    /// When it last had a consumer.
    var attended: Int64
    let catchUp: CatchUp
    /// What waits for its time.
    var delayed = Heap<DelayedPortion>()
    var delayedLength: UInt64 = 0
    /// When deliveries are to be looked at; nil for never.
    var lookAt: Moment.Nanoseconds?
    /// Whether where it stands is to be saved.
    var isDirty = false
    /// The first position it had not got when that was saved last.
    var savedNext: UInt64
    /// Events its consumers hold.
    var outstanding: UInt64 = 0
    var acknowledgedCount: UInt64 = 0
    var redeliveredCount: UInt64 = 0
    var deadCount: UInt64 = 0
    /// Whether it was reported that nobody attends it.
    var isReported = false
    /// Consumers that are to be told when the end is reached.
    var untold: [Consumer] = []
    /// Positions before this one may have been handed to somebody, in another daemon's time or before all consumers left.
    private(set) var repeatedBefore: UInt64

    init(_ stored: StoredSubscription, _ values: DurableSettings, repeatedBefore: UInt64) {
        number = stored.number
        name = stored.name
        settings = stored.settings
        self.values = values
        uid = stored.uid
        created = stored.created
        attended = stored.attended
        self.repeatedBefore = repeatedBefore
        savedNext = stored.cursor.next
        catchUp = CatchUp(next: stored.cursor.next, again: stored.cursor.pending)
    }

    /// What was removed from the store before it was read, to be told before the next delivery.
    var missed = MissedEvents()
    /// Events that wait for their time.
    var delayedCount: UInt64 { delayed.unordered.reduce(0) { $0 + $1.portion.eventCount } }

    /// Whether its consumers may be handed more: what they hold and what waits to be tried again is bounded, or who never
    /// acknowledges would have the whole store in memory.
    var mayHandOut: Bool {
        outstanding < values.outstandingCountMax && UInt64(delayed.count) < Durable.delayedCountMax
            && delayedLength < Durable.delayedLengthMax
    }

    /// How much of a subscriber's words is kept with a dead letter, in characters. Not tuned.
    static let messageLengthMax = 1024

    /// The longest pause a subscriber may ask for: a day, as long as the longest backoff.
    static let delayMax: Moment.Nanoseconds = 86_400_000_000_000

    /// Portions that may wait for their next attempt, and the bytes of their batches. Not tuned.
    static let delayedCountMax: UInt64 = 16_384
    static let delayedLengthMax: UInt64 = 16 << 20

    /// Whether a portion may have been handed to somebody before the daemon was started.
    func mayBeRepeated(_ portion: Portion) -> Bool {
        portion.attempt > 1 || portion.isRepeated || portion.batch.position < repeatedBefore
    }

    /// What was taken back is forgotten here and read again: it may have been handed to somebody, and so may all before.
    func noteRepeated(_ portion: Portion) {
        if portion.isRepeated { repeatedBefore = max(repeatedBefore, portion.positions.upperBound + 1) }
    }

    /// Events kept in memory for its consumers: what they work through while the next page is read. Not tuned.
    static let windowEventCount: UInt32 = 8192
    /// Bytes kept in memory for its consumers. Not tuned.
    static let windowLength: UInt64 = 4 << 20
}

extension Subscription {
    /// The position before which everything is settled but for what it returns as pending: where it would begin again if
    /// all that it holds in memory were lost.
    func cursor(committed: UInt64) -> StoredCursor {
        guard let durable else { return StoredCursor(next: committed) }
        let catchUp = durable.catchUp
        var next = catchUp.isLive ? committed : catchUp.next
        var pending = catchUp.again
        for consumer in consumers {
            guard let holding = consumer.holding else { continue }
            for held in holding.portions {
                pending.append(contentsOf: held.portion.ranges(attempts: 0))
            }
        }
        for delayed in durable.delayed.unordered { pending.append(contentsOf: delayed.portion.ranges(attempts: 1)) }
        for portion in group?.keys?.portions ?? [] { pending.append(contentsOf: portion.ranges(attempts: 1)) }
        let queued = queue.map { Array($0.portions) } ?? []
        // What was removed meanwhile is in no page that is read again: it is named, to be missed there.
        let isCut = queued.contains { $0.isRemoved }
        for portion in queued {
            if isCut || portion.attempt > 1 || portion.isPassed || portion.batch.position < catchUp.beginning {
                pending.append(contentsOf: portion.ranges(attempts: 1))
            } else {
                // What nobody has had yet lies behind everything else, in order.
                next = min(next, portion.positions.lowerBound)
            }
        }
        return StoredCursor(next: next, pending: PendingRange.joined(pending, before: next))
    }
}

extension Subscription {
    /// The first position that isn't settled, which is the first that its cursor names: without the cursor.
    func floor(committed: UInt64) -> UInt64 {
        guard let durable else { return committed }
        let catchUp = durable.catchUp
        var floor = catchUp.isLive ? committed : catchUp.next
        for range in catchUp.again { floor = min(floor, range.first) }
        for consumer in consumers {
            guard let holding = consumer.holding else { continue }
            for held in holding.portions { floor = min(floor, held.portion.positions.lowerBound) }
        }
        for delayed in durable.delayed.unordered { floor = min(floor, delayed.portion.positions.lowerBound) }
        if let first = group?.keys?.oldest() { floor = min(floor, first.batch.position + UInt64(first.index)) }
        if let queue { for portion in queue.portions { floor = min(floor, portion.positions.lowerBound) } }
        return floor
    }
}

/// What waits until it is tried again.
struct DelayedPortion: Comparable {
    let due: Moment.Nanoseconds
    let portion: Portion

    static func < (a: DelayedPortion, b: DelayedPortion) -> Bool { a.due < b.due }
    static func == (a: DelayedPortion, b: DelayedPortion) -> Bool { a.due == b.due }
}

extension Portion {
    /// The positions of its first and last event.
    var positions: ClosedRange<UInt64> {
        let bounds = selection.bounds(of: Int(batch.eventCount))
        return batch.position + UInt64(bounds.lowerBound)...batch.position + UInt64(bounds.upperBound)
    }

    /// Whether its events are in the store no more.
    var isRemoved: Bool {
        let topic = batch.seal.topic
        return !topic.isDurable || batch.position < topic.stored.firstPosition
    }

    /// The positions of its events.
    ///
    /// - Parameter attempts: how many of the attempts it counts haven't been made.
    func ranges(attempts unmade: UInt16) -> [PendingRange] {
        let attempts = attempt - unmade
        guard !selection.isAll else {
            return [PendingRange(first: batch.position, count: UInt64(batch.eventCount), attempts: attempts)]
        }
        var ranges: [PendingRange] = []
        for index in selection.bounds(of: Int(batch.eventCount)) where selection.contains(index) {
            let position = batch.position + UInt64(index)
            if let last = ranges.last, last.end == position {
                ranges[ranges.count - 1].count += 1
            } else {
                ranges.append(PendingRange(first: position, count: 1, attempts: attempts))
            }
        }
        return ranges
    }
}

extension PendingRange {
    /// Ranges in order, neighbours with the same attempts as one. What nobody has had yet and lies behind `next` isn't
    /// pending: it is read anyway.
    static func joined(_ ranges: [PendingRange], before next: UInt64) -> [PendingRange] {
        var joined: [PendingRange] = []
        for range in ranges.sorted(by: { $0.first < $1.first }) where range.first < next {
            if let last = joined.last, last.end == range.first, last.attempts == range.attempts {
                joined[joined.count - 1].count += range.count
            } else {
                joined.append(range)
            }
        }
        return joined
    }
}
