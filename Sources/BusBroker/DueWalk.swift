// How what is due is read: in the order in which it is due, page behind page, and what can't be published now is left
// where it is and passed. So nobody's event waits for another user's room. What was left is tried again from the head on,
// after a pause and in turns with what falls due meanwhile: however much was left, it keeps that waiting for a page.

import BusWire

/// An event's place among those that wait: by due time, ties in the order in which they were taken.
public struct DuePlace: Sendable, Equatable {
    /// When it is due, microseconds since 1970.
    public var due: Int64
    /// Its number.
    public var number: UInt64

    /// A place.
    public init(due: Int64, number: UInt64) {
        self.due = due
        self.number = number
    }

    func isBehind(_ other: DuePlace) -> Bool { (due, number) > (other.due, other.number) }
}

/// How far what is due was read, and what was left behind.
struct DueWalk {
    /// What there is to do.
    enum Step: Equatable {
        /// Read on behind this place; from the head where it is nil.
        case read(after: DuePlace?)
        /// Look again then.
        case wait(until: Moment.Nanoseconds)
        /// Nothing waits.
        case rest
    }

    /// Whose events on which topic.
    private struct Origin: Hashable {
        let topic: UInt64
        let uid: UInt32
    }

    /// How far reading is.
    private struct Reading {
        /// Behind which place it goes on; nil: from the head.
        var place: DuePlace?
        /// When the first behind it is due: maybe too early, where that waits no more, and never too late. nil: none is there.
        var next: Int64?

        func isDue(_ time: Int64) -> Bool { next.map { $0 <= time } ?? false }

        /// A page was read of what is due by a time.
        mutating func took(upTo end: DuePlace?, following: Int64?, asked: Int64) {
            let goesOn = end.map { place.map($0.isBehind) ?? true } ?? false
            if goesOn { place = end }
            // Something due behind it that isn't found there is damage. It is told by the store, and not asked for in a
            // circle.
            next = goesOn || following.map { $0 > asked } ?? true ? following : nil
        }
    }

    /// Reading from the head on what was left, as far as reading was when it began.
    private struct Retry {
        var reading: Reading
        let end: DuePlace?
        let began: Moment.Nanoseconds
    }

    /// What was left is tried again after so long at least. Not tuned.
    static let pause: Moment.Nanoseconds = 1_000_000_000
    /// And after so many times as long as the last time took: reading again and again what can't be published leaves most
    /// of the store's time to others, however much it is. Not tuned.
    private static let pauseShare: Moment.Nanoseconds = 4
    /// Clocks are looked at so often at least, in microseconds. Not tuned.
    private static let glance: Int64 = 1_000_000

    /// Reading what falls due, and again what was left of it.
    private var front: Reading
    private var again: Retry?
    /// Whether it was the other one's turn last, whose page is being read or published.
    private var isAgain = false
    /// Whether a page is being read, of what is due by `asked`.
    private(set) var isReading = false
    private var asked: Int64 = .min
    /// When the first is due of those that came on disk meanwhile, and may be missing in it.
    private var arrived: Int64?

    /// When the first of those is due that were left and aren't being tried again.
    private(set) var left: Int64?
    /// When they are; nil where none was left.
    private var due: Moment.Nanoseconds?
    /// Whose were left. Those of the same user on the same topic are left, too, so that they keep their order.
    private var held: Set<Origin> = []
    /// While it is tried again: whose were left before, which holds for what falls due until that is done, and whose were
    /// left of what fell due.
    private var heldBefore: Set<Origin> = []
    private var heldAhead: Set<Origin> = []

    init(next: Int64? = nil) { front = Reading(next: next) }

    /// Behind which place reading goes on.
    var place: DuePlace? { front.place }

    /// An event waits on disk now.
    mutating func note(due: Int64) {
        front.next = min(front.next ?? .max, due)
        guard !isReading else { return arrived = min(arrived ?? .max, due) }
        // It belongs before the place, as after a clock was set back: what lies there is read once more.
        if let place = front.place, due <= place.due { front.place = DuePlace(due: due, number: 0) }
    }

    /// What to do at this time.
    mutating func step(_ time: Int64, at now: Moment.Nanoseconds) -> Step {
        guard !isReading else { return .rest }
        endRetry(time, at: now)
        beginRetry(time, at: now)
        let isAgainDue = again?.reading.isDue(time) ?? false
        if front.isDue(time) || isAgainDue {
            isAgain = isAgainDue && !(isAgain && front.isDue(time))
            (isReading, asked) = (true, time)
            return .read(after: isAgain ? again?.reading.place : front.place)
        }
        let moments = [
            front.next.map { now + DueWalk.wait(for: $0, time) },
            left.map { max(self.due ?? now, now + DueWalk.wait(for: $0, time)) },
        ]
        return moments.compactMap(\.self).min().map { .wait(until: $0) } ?? .rest
    }

    private mutating func beginRetry(_ time: Int64, at now: Moment.Nanoseconds) {
        guard again == nil, let left else { return }
        let due = self.due ?? now + DueWalk.pause
        guard due <= now, left <= time else { return self.due = due }
        again = Retry(reading: Reading(next: left), end: front.place, began: now)
        (self.left, self.due) = (nil, nil)
        (heldBefore, held) = (held, [])
    }

    private mutating func endRetry(_ time: Int64, at now: Moment.Nanoseconds) {
        guard let again else { return }
        let isThrough = again.reading.place.map { place in again.end.map { !$0.isBehind(place) } ?? false } ?? false
        guard isThrough || !again.reading.isDue(time) else { return }
        self.again = nil
        held.formUnion(heldAhead)
        // Later ones that weren't seen any more, as when the clock was set back, are seen the next time, and come before what
        // falls due meanwhile.
        if !isThrough, let next = again.reading.next, let end = again.end, next <= end.due {
            left = min(left ?? .max, next)
            held.formUnion(heldBefore)
        }
        (heldBefore, heldAhead) = ([], [])
        guard left != nil else { return }
        due = now + max(DueWalk.pause, (now - min(again.began, now)) * DueWalk.pauseShare)
    }

    private static func wait(for due: Int64, _ time: Int64) -> Moment.Nanoseconds {
        guard due > time else { return 0 }
        let (ahead, isOver) = due.subtractingReportingOverflow(time)
        return Moment.Nanoseconds(isOver ? glance : min(ahead, glance)) * 1000
    }

    /// A page was read.
    ///
    /// - Parameters:
    ///   - end: where it ends; nil where nothing was due.
    ///   - following: when the first behind it is due.
    mutating func took(upTo end: DuePlace?, following: Int64?) {
        isReading = false
        if isAgain {
            again?.reading.took(upTo: end, following: following, asked: asked)
        } else {
            front.took(upTo: end, following: following, asked: asked)
        }
        guard let arrived else { return }
        self.arrived = nil
        note(due: arrived)
    }

    /// Whether something that was left has to come before an event of the page that was read last.
    func isHeld(topic: UInt64, uid: UInt32) -> Bool {
        let origin = Origin(topic: topic, uid: uid)
        if held.contains(origin) { return true }
        return !isAgain && (heldBefore.contains(origin) || heldAhead.contains(origin))
    }

    /// An event of the page that was read last can't be published now.
    mutating func leave(due: Int64, topic: UInt64, uid: UInt32) {
        left = min(left ?? .max, due)
        let origin = Origin(topic: topic, uid: uid)
        if again != nil, !isAgain { heldAhead.insert(origin) } else { held.insert(origin) }
    }
}
