// Where a subscription stands in what is stored.
//
// The store is read a page at a time. What is committed while a page is read is kept beside it, within a bound: if the
// page turns out to be the last one, that is what follows it, and from then on what is committed goes to the queue at
// once. If it was too much to keep, another page is read. So there is no moment at which an event could be both read and
// queued, or neither.

import BusWire

/// A subscription's place in the store.
final class CatchUp {
    /// Whom it is for.
    enum Reader {
        /// A durable subscription, whose queue it fills.
        case durable(Subscription)
        /// A subscription that begins with what is stored, whose backlog it fills.
        case ephemeral(Consumer)
    }

    /// The first position that was neither read nor queued.
    private(set) var next: UInt64
    /// Positions before `next` that are to be read once more, ascending.
    private(set) var again: [PendingRange]
    /// Whether the end was reached: what is committed goes to the queue.
    private(set) var isLive = false
    /// Whether the store looks where to begin; until it has, nothing is read.
    private(set) var isSeeking = false
    /// The number of the read under way.
    private(set) var read: UInt64?
    /// What was committed since the read began; nil when it was too much to keep.
    private var meanwhile: [Portion]? = []
    private var meanwhileLength: UInt64 = 0
    /// Bytes kept beside a read. Not tuned.
    private static let meanwhileLengthMax: UInt64 = 1 << 20

    init(next: UInt64, again: [PendingRange] = []) {
        self.next = next
        self.again = again
    }

    /// Where to read on.
    var position: UInt64 { again.first?.first ?? next }

    func begin(_ number: UInt64) {
        read = number
        meanwhile = []
        meanwhileLength = 0
    }

    /// Something was committed; whether it is to be queued now. If not it is kept here, or read later.
    func admits(_ portion: Portion) -> Bool {
        // A page can hold what its reader is only told of now.
        guard portion.batch.position >= next else { return false }
        guard !isLive else { return true }
        guard read != nil, meanwhile != nil else { return false }
        meanwhileLength += portion.length
        if meanwhileLength > CatchUp.meanwhileLengthMax { meanwhile = nil } else { meanwhile?.append(portion) }
        return false
    }

    /// The page that was asked for came: what of it is new here, and behind it, when it was the last, what was committed
    /// meanwhile.
    func take(_ page: StoredPage, _ batches: [AcceptedBatch]) -> [Portion] {
        read = nil
        var found: [Portion] = []
        for batch in batches { found.append(contentsOf: portions(of: batch)) }
        again.removeAll { $0.end <= page.reached }
        if let first = again.first, first.first < page.reached {
            again[0] = PendingRange(first: page.reached, count: first.end - page.reached, attempts: first.attempts)
        }
        next = max(next, page.reached)
        guard page.isLast, again.isEmpty, let behind = meanwhile else { return found }
        isLive = true
        meanwhile = []
        return found + behind.filter { $0.batch.position >= next }
    }

    /// What of a batch wasn't settled before: everything from `next` on, and of what lies before it the ranges that are
    /// read again, each with the attempts it had.
    private func portions(of batch: AcceptedBatch) -> [Portion] {
        guard batch.position < next else { return [Portion(batch)] }
        let (count, start) = (Int(batch.eventCount), batch.position)
        var found: [Portion] = []
        for range in again where range.first < batch.end && range.end > start {
            let selection = Selection(of: count) { range.contains(start + UInt64($0)) && start + UInt64($0) < next }
            if let selection { found.append(Portion(batch, selection, attempt: range.attempts + 1)) }
        }
        if batch.end > next, let rest = Selection(of: count, where: { start + UInt64($0) >= next }) {
            found.append(Portion(batch, rest))
        }
        return found
    }

    /// The queue is full: what is committed from this position on is read later.
    func fallBehind(at position: UInt64) {
        isLive = false
        next = position
        meanwhile = nil
    }

    /// The store is asked where to begin.
    func beginSeeking() {
        reset(StoredCursor(next: next))
        isSeeking = true
    }

    /// Begins somewhere else, or where it was left. A page under way is of no use any more.
    func reset(_ cursor: StoredCursor) {
        (next, again) = (cursor.next, cursor.pending)
        isSeeking = false
        isLive = false
        read = nil
        meanwhile = nil
    }

    /// Has settled positions read once more.
    ///
    /// - Parameter committed: everything before is on disk.
    func readAgain(_ ranges: [PendingRange], committed: UInt64) {
        if isLive { fallBehind(at: committed) }
        again = (again + ranges).sorted { $0.first < $1.first }
        // A page under way began behind them.
        if read != nil { read = nil }
    }
}

extension PendingRange {
    func contains(_ position: UInt64) -> Bool { position >= first && position - first < count }
}
