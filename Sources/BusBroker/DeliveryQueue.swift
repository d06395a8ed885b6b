// What waits for one subscription: batches in order, and in front of them what was dropped to make room. Dropping is
// by whole batch, counting by event.

import BusWire
import DequeModule
import OrderedCollections

/// A batch accepted by the broker, on its way to its subscriptions.
struct AcceptedBatch {
    let seal: Seal
    let bytes: SharedBytes
    let firstSequence: UInt64
    let eventCount: UInt32
    let time: Int64

    var lastSequence: UInt64 { firstSequence + UInt64(eventCount) - 1 }
}

/// Events missed on one topic for one reason; without positions when the topic isn't kept.
struct Missed {
    var count: UInt64
    var firstSequence: UInt64
    var lastSequence: UInt64
}

struct DeliveryQueue {
    struct MissedKey: Hashable {
        /// Nil for all topics beyond `missedTopicCountMax` together.
        let topic: Topic?
        let reason: Reason
    }

    /// Topics whose losses are told one by one; a subscriber of everything that never reads must not hold an entry
    /// for each topic there ever was. Not tuned.
    static let missedTopicCountMax = 1024

    let eventCountMax: UInt64
    let lengthMax: UInt64
    private(set) var batches: Deque<AcceptedBatch> = []
    private(set) var eventCount: UInt64 = 0
    private(set) var length: UInt64 = 0
    /// What was dropped in front of `batches`, to be told before the next of them.
    private(set) var missed: OrderedDictionary<MissedKey, Missed> = [:]

    init(eventCountMax: UInt32, lengthMax: UInt64) {
        self.eventCountMax = UInt64(eventCountMax)
        self.lengthMax = lengthMax
    }

    var isEmpty: Bool { batches.isEmpty }
    /// Over one of its bounds. A single batch is never too much: what can't be queued could never be delivered.
    var isOverfull: Bool { batches.count > 1 && (eventCount > eventCountMax || length > lengthMax) }
    /// At one of its bounds: the next batch would have to overflow.
    var isFull: Bool { !batches.isEmpty && (eventCount >= eventCountMax || length >= lengthMax) }
    /// Emptied far enough that stalled publishers go on: half, so that they don't stop and go with every batch.
    var isRelaxed: Bool { eventCount <= eventCountMax / 2 && length <= lengthMax / 2 }

    mutating func append(_ batch: AcceptedBatch) {
        batches.append(batch)
        eventCount += UInt64(batch.eventCount)
        length += UInt64(batch.bytes.count)
    }

    mutating func popFirst() -> AcceptedBatch? {
        guard let batch = batches.popFirst() else { return nil }
        eventCount -= UInt64(batch.eventCount)
        length -= UInt64(batch.bytes.count)
        return batch
    }

    /// Drops the oldest batch and remembers it as missed.
    mutating func dropFirst(_ reason: Reason) -> AcceptedBatch? {
        guard let batch = popFirst() else { return nil }
        let key = MissedKey(topic: batch.seal.topic.name, reason: reason)
        if var entry = missed[key] {
            entry.count += UInt64(batch.eventCount)
            entry.lastSequence = batch.lastSequence
            missed[key] = entry
        } else if missed.count < DeliveryQueue.missedTopicCountMax {
            missed[key] = Missed(
                count: UInt64(batch.eventCount), firstSequence: batch.firstSequence, lastSequence: batch.lastSequence)
        } else {
            let rest = MissedKey(topic: nil, reason: reason)
            missed[rest, default: Missed(count: 0, firstSequence: 0, lastSequence: 0)].count += UInt64(batch.eventCount)
        }
        return batch
    }

    /// Forgets everything, and what was missed.
    mutating func removeAll() {
        batches = []
        eventCount = 0
        length = 0
        missed = [:]
    }

    /// What is to be told before the next batch; nothing is left to tell afterwards.
    mutating func takeMissed() -> [(key: MissedKey, missed: Missed)] {
        guard !missed.isEmpty else { return [] }
        let all = missed.map { (key: $0.key, missed: $0.value) }
        missed = [:]
        return all
    }
}
