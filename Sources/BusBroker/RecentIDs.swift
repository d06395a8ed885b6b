// The ids that one user published on live topics lately, so that what is sent again after a lost connection is known.
// Durable topics have theirs in the store.
//
// Nearly all of this is written and never read: only publishes that say they may have been there before are looked up.
// So writing costs a comparison and at most one entry at the end of a ring, and what reading needs is done by the reader:
// it takes the newest entries over into a sorted array once there are more of them than are quickly looked through.

import BusWire
import DequeModule
import HeapModule

/// Ids that count up in their lower 62 bits, published on one topic and accepted as one run of sequences.
struct RecentRange {
    /// The topic's number.
    let topic: UInt64
    let high: UInt64
    private(set) var low: UInt64
    private(set) var count: UInt64
    private(set) var firstSequence: UInt64
    /// When the first of them was accepted, by the time that things grow old by.
    let begun: Int64
    /// When the last was: they are forgotten together.
    private(set) var accepted: Int64
    /// Its place in the order in which ranges came.
    let number: UInt64

    init(_ ids: IDRun, topic: UInt64, firstSequence: UInt64, at time: Int64, number: UInt64) {
        (high, low, count) = (ids.first.high, ids.first.low, ids.count)
        (self.topic, self.firstSequence, self.number) = (topic, firstSequence, number)
        (begun, accepted) = (time, time)
    }

    /// The lower half of its last id. A run ends before its upper half would change, so this is never beyond what there is.
    var lastLow: UInt64 { low + (count - 1) }

    /// Takes in ids that follow without a gap, on the same topic and in the same run of sequences.
    mutating func join(_ ids: IDRun, topic: UInt64, firstSequence: UInt64, at time: Int64) -> Bool {
        guard self.topic == topic, high == ids.first.high, lastLow < .max, lastLow + 1 == ids.first.low,
            self.firstSequence + count == firstSequence, count + ids.count <= RecentIDs.joinedCountMax,
            time >= begun, time - begun <= RecentIDs.joinedTimeMax
        else { return false }
        count += ids.count
        accepted = max(accepted, time)
        return true
    }

    /// What of it lies before an id's lower half; nil for nothing.
    fileprivate func part(before low: UInt64) -> RecentRange? {
        guard self.low < low else { return nil }
        var part = self
        part.count = min(count, low - self.low)
        return part
    }

    /// What of it lies behind an id's lower half; nil for nothing.
    fileprivate func part(behind low: UInt64) -> RecentRange? {
        guard low < lastLow else { return nil }
        guard low >= self.low else { return self }
        var part = self
        let gone = low - self.low + 1
        (part.low, part.count, part.firstSequence) = (low + 1, count - gone, firstSequence + gone)
        return part
    }

    fileprivate func precedes(_ other: RecentRange) -> Bool {
        (topic, high, low) < (other.topic, other.high, other.low)
    }

    /// Of two of which neither follows the other in order: whether they have an id in common.
    fileprivate func overlaps(_ next: RecentRange) -> Bool {
        topic == next.topic && high == next.high && lastLow >= next.low
    }

    /// Whether all its ids come before one.
    fileprivate func ends(before id: BusUUID, of topic: UInt64) -> Bool {
        (self.topic, high, lastLow) < (topic, id.high, id.low)
    }
}

/// Ids that count up from the first within its lower 62 bits.
struct IDRun: Equatable {
    let first: BusUUID
    let count: UInt64

    /// The runs of a batch's ids, in its order: one for nearly every batch.
    ///
    /// - Parameter explicit: the ids where they don't count up from the first.
    static func forEach(
        from first: BusUUID, count: UInt32, explicit: [BusUUID] = [], _ body: (IDRun) -> Void
    ) {
        guard !explicit.isEmpty else { return forEach(from: first, UInt64(count), body) }
        var start = 0
        while start < explicit.count {
            var end = start + 1
            while end < explicit.count, explicit[start].advanced(by: UInt64(end - start)) == explicit[end] { end += 1 }
            forEach(from: explicit[start], UInt64(end - start), body)
            start = end
        }
    }

    /// Ids that count up to where their upper half changes, then those behind it.
    private static func forEach(from first: BusUUID, _ count: UInt64, _ body: (IDRun) -> Void) {
        let room = (1 << 62) - first.low & (1 << 62 - 1)
        body(IDRun(first: first, count: min(count, room)))
        guard count > room, let next = first.advanced(by: room) else { return }
        body(IDRun(first: next, count: count - room))
    }
}

/// One user's. It outlives the account, which goes with its last connection: whoever comes back is known.
final class RecentIDs {
    /// How many ranges are remembered of one user, at 64 bytes each, twice while they are looked at: 2 MiB. Beyond, the
    /// oldest are forgotten before their time. Not tuned.
    static let countMax = 16_384
    /// How many ids a range takes in, and for how long, in microseconds: with the last of it, all of it is remembered.
    static let joinedCountMax: UInt64 = 65_536
    static let joinedTimeMax: Int64 = 1_000_000
    /// How many of the newest are looked through one by one. Not tuned.
    private static let unsortedMin = 64

    /// The newest, in the order in which they came.
    private var recent: Deque<RecentRange> = []
    /// The number of the first of them.
    private var firstRecent: UInt64 = 1
    /// Those before, in the order of topics and ids. No two have an id in common.
    private var sorted: [RecentRange] = []
    private var nextNumber: UInt64 = 1
    /// Until when the last of them is remembered, by the time that things grow old by.
    private(set) var rememberedUntil: Int64 = .min

    /// Those of all users, which are bounded together.
    private weak var all: RecentIDsOfUsers?

    init(among all: RecentIDsOfUsers? = nil) { self.all = all }

    /// How many ranges are held.
    var count: Int { recent.count + sorted.count }

    /// Takes note of ids that were accepted.
    ///
    /// - Parameters:
    ///   - last: the range that the same publisher's ids were noted in before; 0 for none.
    ///   - window: how long they are to be remembered, in microseconds.
    func note(
        _ ids: IDRun, topic: UInt64, firstSequence: UInt64, at time: Int64, window: Int64, after last: inout UInt64
    ) {
        let (end, isOver) = time.addingReportingOverflow(window)
        rememberedUntil = max(rememberedUntil, isOver ? .max : end)
        if last >= firstRecent, last < nextNumber,
            recent[Int(last - firstRecent)].join(ids, topic: topic, firstSequence: firstSequence, at: time)
        {
            return
        }
        let before = count
        if recent.count == RecentIDs.countMax {
            recent.removeFirst()
            firstRecent += 1
        }
        recent.append(RecentRange(ids, topic: topic, firstSequence: firstSequence, at: time, number: nextNumber))
        last = nextNumber
        nextNumber += 1
        if count > before { all?.grew(at: time) }
    }

    /// Forgets all but the newest.
    fileprivate func shorten(to kept: Int) {
        guard count > kept else { return }
        guard kept > 0 else { return removeAll() }
        let numbers = (sorted.map(\.number) + recent.map(\.number)).sorted()
        let oldest = numbers[numbers.count - kept]
        sorted.removeAll { $0.number < oldest }
        while let first = recent.first, first.number < oldest {
            recent.removeFirst()
            firstRecent += 1
        }
    }

    /// Forgets everything, which is out of date.
    fileprivate func removeAll() {
        (recent, sorted) = ([], [])
        firstRecent = nextNumber
    }

    /// The sequence under which each of these ids was accepted, as many as there are, in their order; 0 for none.
    ///
    /// - Parameter oldest: what was accepted before is forgotten.
    func sequences(of ids: [IDRun], topic: UInt64, since oldest: Int64) -> [UInt64] {
        if recent.count > max(RecentIDs.unsortedMin, sorted.count / 64) { sortRecent() }
        var sequences = [UInt64](repeating: 0, count: ids.reduce(0) { $0 + Int($1.count) })
        var start = 0
        for run in ids {
            let runLast = run.first.low + (run.count - 1)
            func take(_ range: RecentRange) {
                guard range.topic == topic, range.high == run.first.high, range.accepted >= oldest else { return }
                let (first, last) = (max(range.low, run.first.low), min(range.lastLow, runLast))
                guard first <= last else { return }
                for low in first...last where sequences[start + Int(low - run.first.low)] == 0 {
                    sequences[start + Int(low - run.first.low)] = range.firstSequence + (low - range.low)
                }
            }
            var index = firstIndex(reaching: run.first, of: topic)
            while index < sorted.count, sorted[index].topic == topic, sorted[index].high == run.first.high,
                sorted[index].low <= runLast
            {
                take(sorted[index])
                index += 1
            }
            for range in recent { take(range) }
            start += Int(run.count)
        }
        return sequences
    }

    /// The first sorted range that doesn't end before an id.
    private func firstIndex(reaching id: BusUUID, of topic: UInt64) -> Int {
        var (low, high) = (0, sorted.count)
        while low < high {
            let middle = (low + high) / 2
            if sorted[middle].ends(before: id, of: topic) { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Takes the newest over among the sorted ones and lets go of the oldest.
    private func sortRecent() {
        let before = count
        let oldest = nextNumber - min(nextNumber, UInt64(RecentIDs.countMax))
        let newest = recent.sorted { $0.precedes($1) }
        recent.removeAll(keepingCapacity: true)
        firstRecent = nextNumber
        var merging = MergedRanges(sorted, newest)
        sorted = merging.merge { $0.number >= oldest }
        // What was cut in two is two ranges.
        shorten(to: RecentIDs.countMax)
        all?.shrank(by: before - count)
    }
}

/// Ranges of two sorted arrays become one in which no two have an id in common. Who publishes an id again without saying
/// so, or when it was forgotten: the later counts, and of the earlier what is left beside it.
///
/// One walk in the order of ids, with a heap of the ranges that reach where it is, so that ranges may lie over each other
/// as deeply as somebody likes.
private struct MergedRanges {
    /// By number: the latest is the greatest.
    private struct Open: Comparable {
        let range: RecentRange

        static func < (one: Open, other: Open) -> Bool { one.range.number < other.range.number }
        static func == (one: Open, other: Open) -> Bool { one.range.number == other.range.number }
    }

    private var old: ArraySlice<RecentRange>
    private var new: ArraySlice<RecentRange>
    private var open = Heap<Open>()
    private var merged: [RecentRange] = []
    /// The lower half of the last id that is merged, while a range is open.
    private var done: UInt64?

    init(_ old: [RecentRange], _ new: [RecentRange]) { (self.old, self.new) = (old[...], new[...]) }

    mutating func merge(_ isWanted: (RecentRange) -> Bool) -> [RecentRange] {
        merged.reserveCapacity(old.count + new.count)
        while let next = popFirst() {
            guard isWanted(next) else { continue }
            while let top = open.max?.range, !top.overlaps(next) { close(top) }
            if let top = open.max?.range, top.number < next.number, let part = rest(of: top)?.part(before: next.low) {
                merged.append(part)
                done = part.lastLow
            }
            open.insert(Open(range: next))
        }
        while let top = open.max?.range { close(top) }
        return merged
    }

    /// The latest ends; where it does, the latest of those that reach further goes on.
    private mutating func close(_ top: RecentRange) {
        if let rest = rest(of: top) { merged.append(rest) }
        done = top.lastLow
        while let next = open.max?.range, next.lastLow <= top.lastLow { open.removeMax() }
        if open.isEmpty { done = nil }
    }

    /// What of an open range isn't merged yet.
    private func rest(of range: RecentRange) -> RecentRange? {
        guard let done else { return range }
        return range.part(behind: done)
    }

    private mutating func popFirst() -> RecentRange? {
        guard let first = new.first else { return old.popFirst() }
        guard let known = old.first, !first.precedes(known) else { return new.popFirst() }
        return old.popFirst()
    }
}

/// Those of all users that published lately.
final class RecentIDsOfUsers {
    /// How many ranges are remembered of all users together: sixteen times what one may have, 16 MiB, and half as much
    /// again at most while they are looked at. Beyond, who has most forgets the older half of its own. Not tuned.
    static let countMax = 16 * RecentIDs.countMax

    private var users: [UInt32: RecentIDs] = [:]
    private let countMax: Int
    /// How many ranges they have, all together.
    private(set) var rangeCount = 0

    init(countMax: Int = RecentIDsOfUsers.countMax) { self.countMax = countMax }

    var count: Int { users.count }

    /// A user's, made now if there are none.
    func of(_ uid: UInt32) -> RecentIDs {
        if let known = users[uid] { return known }
        let made = RecentIDs(among: self)
        users[uid] = made
        return made
    }

    /// One of them has a range more.
    fileprivate func grew(at time: Int64) {
        rangeCount += 1
        guard rangeCount > countMax else { return }
        // First what nobody is to remember any more.
        for user in users.values where user.rememberedUntil < time { user.removeAll() }
        recount()
        while rangeCount > countMax, let longest = users.values.max(by: { $0.count < $1.count }) {
            longest.shorten(to: longest.count / 2)
            recount()
        }
    }

    fileprivate func shrank(by difference: Int) { rangeCount -= difference }

    private func recount() { rangeCount = users.values.reduce(0) { $0 + $1.count } }

    /// Forgets those of users that are gone, where nothing is remembered any more. Looked at when somebody new comes,
    /// and not before: what is held for whoever is gone is bounded, and gone users are few.
    func forget(at time: Int64, except isHere: (UInt32) -> Bool) {
        users = users.filter { isHere($0.key) || $0.value.rememberedUntil >= time }
        recount()
    }
}
