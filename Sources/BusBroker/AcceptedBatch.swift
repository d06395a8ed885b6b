// A batch the broker accepted, and the part of it that is meant for somebody. The batch's bytes are shared by all who
// get it; a portion says which of its events are still to be handed over, how often that was tried, and no more.

import BusWire

/// A batch accepted by the broker, on its way to its subscriptions.
///
/// An object, because it waits in many queues at once: each holds one reference and not one for each of its parts.
final class AcceptedBatch {
    let seal: Seal
    let bytes: SharedBytes
    let firstSequence: UInt64
    let eventCount: UInt32
    let time: Int64
    /// Where it lies in the store; 0 on live topics.
    var position: UInt64 = 0
    /// When the last of those of its events that expire does, by the time that things grow old by; nil where none does.
    var expiry: Int64?
    /// When the first of them does.
    var firstExpiry: Int64 = .max
    /// Where its events' ordering keys lie; nil where none has one.
    var keys: OrderingKeyColumn?
    /// Of answers: whether more of them follow.
    let hasMore: Bool
    /// Of requests: whose they are.
    let requests: RequestBatch?

    init(
        seal: Seal, bytes: SharedBytes, firstSequence: UInt64, eventCount: UInt32, time: Int64, hasMore: Bool = false,
        requests: RequestBatch? = nil
    ) {
        self.seal = seal
        self.bytes = bytes
        self.firstSequence = firstSequence
        self.eventCount = eventCount
        self.time = time
        self.hasMore = hasMore
        self.requests = requests
    }

    var lastSequence: UInt64 { firstSequence + UInt64(eventCount) - 1 }

    /// The same batch in storage of its own, for what outlives its round.
    var compacted: AcceptedBatch { copy(requests: requests) }

    /// As a value: what it was as a request is over.
    var value: AcceptedBatch { copy(requests: nil) }

    private func copy(requests: RequestBatch?) -> AcceptedBatch {
        let copy = AcceptedBatch(
            seal: seal, bytes: bytes.compacted(), firstSequence: firstSequence, eventCount: eventCount, time: time,
            hasMore: hasMore, requests: requests)
        (copy.position, copy.expiry, copy.firstExpiry, copy.keys) = (position, expiry, firstExpiry, keys)
        return copy
    }
}

/// Events of one batch that wait to be handed to somebody.
struct Portion {
    var batch: AcceptedBatch
    var selection = Selection.all
    /// 1 the first time, more when it comes back from somebody who had it.
    var attempt: UInt16 = 1
    /// Whether somebody had it and it was taken back without counting as an attempt: behind an event of its key that is
    /// to be tried again.
    var isRepeated = false
    /// Whether events behind it were handed out before it: where it stands says nothing of what lies behind.
    var isPassed = false
    /// How many events are selected.
    private(set) var eventCount: UInt64

    init(_ batch: AcceptedBatch, _ selection: Selection = .all, attempt: UInt16 = 1) {
        self.batch = batch
        self.selection = selection
        self.attempt = attempt
        eventCount = UInt64(selection.count(of: Int(batch.eventCount)))
    }

    var length: UInt64 { UInt64(batch.bytes.count) }

    /// The same of other events of its batch.
    func of(_ selection: Selection) -> Portion {
        var other = Portion(batch, selection, attempt: attempt)
        (other.isRepeated, other.isPassed) = (isRepeated, isPassed)
        return other
    }

    /// The positions of its first and last event.
    var sequences: ClosedRange<UInt64> {
        let bounds = selection.bounds(of: Int(batch.eventCount))
        return batch.firstSequence + UInt64(bounds.lowerBound)...batch.firstSequence + UInt64(bounds.upperBound)
    }

    /// Takes the first `count` events off; the rest stays.
    ///
    /// - Precondition: 0 < count < eventCount.
    mutating func split(first count: UInt64) -> Portion {
        let total = Int(batch.eventCount)
        var taken = 0
        var border = 0
        while taken < count {
            if selection.contains(border) { taken += 1 }
            border += 1
        }
        let (all, cut) = (selection, border)
        guard let head = Selection(of: total, where: { $0 < cut && all.contains($0) }),
            let tail = Selection(of: total, where: { $0 >= cut && all.contains($0) })
        else { preconditionFailure("both parts have events: 0 < \(count) < \(eventCount)") }
        let first = of(head)
        self = of(tail)
        return first
    }
}
