// A batch of which the daemon knows some events and others not: each goes alone, under the same id, and when the last
// has its answer those who wait for the whole have theirs.
//
// It happens to what was batched otherwise the first time: events that the application gave ids of its own, and sent
// again after it was started anew.

import BusWire

/// A batch in parts. Confined to its reactor.
final class SplitBatch {
    /// One event of it.
    struct Part {
        let whole: SplitBatch
        let index: Int
    }

    let batch: OutgoingBatch
    private var outcomes: [Result<Receipt?, BusError>?]
    private var openCount: Int

    init(_ batch: OutgoingBatch) {
        self.batch = batch
        outcomes = Array(repeating: nil, count: batch.eventCount)
        openCount = batch.eventCount
    }

    /// A batch for each event.
    func parts() -> [OutgoingBatch] { batch.split(for: self) }

    /// A part has its answer. Returns whether it was the last.
    func finished(_ index: Int, _ result: Result<Receipt?, BusError>) -> Bool {
        guard outcomes[index] == nil else { return false }
        outcomes[index] = result
        openCount -= 1
        return openCount == 0
    }

    /// How many events were refused.
    var refusedCount: Int {
        outcomes.count { if case .failure = $0 { true } else { false } }
    }

    /// The answer for a run of its events: the first refusal among them, or one receipt for all, from the lowest to the
    /// highest position; a duplicate if all of them are.
    func outcome(_ run: Range<Int>) -> Result<Receipt?, BusError> {
        var sum: Receipt?
        var last: UInt64 = 0
        for case let outcome? in outcomes[run] {
            switch outcome {
            case .failure: return outcome
            case .success(nil): continue
            case .success(.some(let receipt)):
                last = max(last, receipt.firstSequence + UInt64(max(1, receipt.eventCount)) - 1)
                guard var whole = sum else {
                    sum = receipt
                    continue
                }
                whole.firstSequence = min(whole.firstSequence, receipt.firstSequence)
                whole.liveMatches = max(whole.liveMatches, receipt.liveMatches)
                whole.durableMatches = max(whole.durableMatches, receipt.durableMatches)
                whole.isDurable = whole.isDurable && receipt.isDurable
                whole.isDuplicate = whole.isDuplicate && receipt.isDuplicate
                sum = whole
            }
        }
        // As if they lay one behind the other: with the parts in other places there may be others' between.
        if let first = sum?.firstSequence { sum?.eventCount = UInt32(clamping: last - first + 1) }
        return .success(sum)
    }
}
