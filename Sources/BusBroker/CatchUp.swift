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
    /// The number of the read under way.
    private(set) var read: UInt64?
    /// What was committed since the read began; nil when it was too much to keep.
    private var meanwhile: [Portion]? = []
    private var meanwhileLength: UInt64 = 0
    /// The question of where to begin, while the store looks for the answer: nothing is read before.
    private(set) var seek: UInt64?
    /// Whether it waits until its user has less in memory.
    var isHungry = false
    /// What lies before was settled, or is among the ranges to be read once more, when it last began anew.
    private(set) var beginning: UInt64
    /// Bytes of a page: a quarter of what a durable subscription keeps in memory. Not tuned.
    static let pageLength = 1 << 20
    /// Events of a page. Not tuned.
    static let pageEventCount = 4096
    /// Bytes kept beside a read. Not tuned.
    private static let meanwhileLengthMax: UInt64 = 1 << 20
    /// Bytes set aside for a read: the page, and what is kept beside it.
    static let readLength = pageLength + Int(meanwhileLengthMax)

    init(next: UInt64, again: [PendingRange] = []) {
        self.next = next
        self.again = PendingRange.united(again, before: next)
        beginning = next
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

    /// What of the ranges to be read again no batch has of a page that reached so far: it was there, and is gone.
    func gone(from batches: [AcceptedBatch], reached: UInt64) -> [PendingRange] {
        var gone: [PendingRange] = []
        var place = 0
        for range in again {
            let end = min(range.end, reached)
            var from = range.first
            while from < end {
                while place < batches.count, batches[place].end <= from { place += 1 }
                let batch = place < batches.count ? batches[place] : nil
                let until = min(end, max(from, batch?.position ?? end))
                if until > from { gone.append(PendingRange(first: from, count: until - from, attempts: 0)) }
                from = max(until, batch?.end ?? end)
            }
        }
        return gone
    }

    /// What of a batch wasn't settled before: everything from `next` on, and of what lies before it the ranges that are
    /// read again, each with the attempts it had.
    private func portions(of batch: AcceptedBatch) -> [Portion] {
        guard batch.position < next else { return [Portion(batch)] }
        let (count, start) = (Int(batch.eventCount), batch.position)
        var found: [Portion] = []
        for range in again where range.first < batch.end && range.end > start {
            let selection = Selection(of: count) { range.contains(start + UInt64($0)) && start + UInt64($0) < next }
            if let selection {
                found.append(Portion(batch, selection, attempt: max(range.attempts, range.attempts &+ 1)))
            }
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

    /// A page under way is of no use: it is read anew.
    func dropPage() { read = nil }

    /// Something that lies before what it reads first is removed: from now on it stands behind its beginning, so that another
    /// daemon misses what it doesn't find there. The first position is 1.
    func leaveBeginning() { if next == 0 { next = 1 } }

    /// Begins somewhere else, or where it was left. A page under way is of no use any more.
    func reset(_ cursor: StoredCursor) {
        (next, again) = (cursor.next, PendingRange.united(cursor.pending, before: cursor.next))
        beginning = next
        isLive = false
        read = nil
        seek = nil
        meanwhile = nil
    }

    /// Nobody takes anything now. A place that is being looked for is still to be found, and this is where it stands if that
    /// is never told.
    func leave(at cursor: StoredCursor) {
        let sought = seek
        reset(cursor)
        seek = sought
    }

    /// The store is asked where to begin. A page under way is of no use any more.
    ///
    /// - Parameter committed: everything before is on disk.
    func await(_ number: UInt64, committed: UInt64) {
        // At the end it was, and is until the answer comes.
        if isLive { next = committed }
        isLive = false
        read = nil
        meanwhile = nil
        seek = number
    }

    /// Has settled positions read once more. What lies behind where it is gets read anyway.
    ///
    /// - Parameter committed: everything before is on disk.
    func readAgain(_ ranges: [PendingRange], committed: UInt64) {
        if isLive { fallBehind(at: committed) }
        again = PendingRange.united(again + ranges, before: next)
        // Tried for the first time again, and yet no sign that nothing behind them was settled.
        beginning = next
        // A page under way began behind them.
        dropPage()
    }
}

extension PendingRange {
    /// Ranges in order, each position once, none at or behind `next`: of what two of them say the greater number of attempts
    /// holds. Whatever a file may say, none overflows.
    static func united(_ ranges: [PendingRange], before next: UInt64) -> [PendingRange] {
        var united: [PendingRange] = []
        for range in ranges.sorted(by: { $0.first < $1.first }) where range.first < next && range.count > 0 {
            var range = PendingRange(
                first: range.first, count: min(range.count, next - range.first), attempts: range.attempts)
            if let last = united.last, last.end > range.first {
                if range.attempts > last.attempts { united[united.count - 1].attempts = range.attempts }
                guard range.end > last.end else { continue }
                range = PendingRange(first: last.end, count: range.end - last.end, attempts: range.attempts)
            }
            united.append(range)
        }
        return united
    }

    /// What of some ranges is settled by where a subscription stands, in order: it doesn't come by itself.
    static func settled(_ ranges: [PendingRange], by cursor: StoredCursor) -> [PendingRange] {
        let owed = united(cursor.pending, before: cursor.next)
        var (settled, place) = ([PendingRange](), 0)
        for range in united(ranges, before: cursor.next) {
            var from = range.first
            while place < owed.count, owed[place].end <= from { place += 1 }
            var later = place
            while from < range.end {
                let next = later < owed.count ? owed[later] : nil
                let until = min(range.end, max(from, next?.first ?? range.end))
                if until > from {
                    settled.append(PendingRange(first: from, count: until - from, attempts: range.attempts))
                }
                from = max(until, next?.end ?? range.end)
                later += 1
            }
        }
        return settled
    }

    func contains(_ position: UInt64) -> Bool { position >= first && position - first < count }
}

extension Start {
    /// Whether only the store knows where it is.
    var isSought: Bool {
        switch self {
        case .new, .all: false
        case .last, .since, .sequence: true
        }
    }
}
