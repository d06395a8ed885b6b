// How what is due is read: in the order in which it is due, page behind page, and what can't be published now is left
// where it is and passed. So nobody's event waits for another user's room. What was left is tried again in a walk that
// begins at the head once more, after a pause; what falls due meanwhile is read on behind the last place.

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

    /// What was left is tried again after so long at least. Not tuned.
    static let pause: Moment.Nanoseconds = 1_000_000_000
    /// And after so many times as long as the walk took: reading again and again what can't be published leaves most of
    /// the store's time to others, however much it is. Not tuned.
    private static let pauseShare: Moment.Nanoseconds = 4
    /// Clocks are looked at so often at least, in microseconds. Not tuned.
    private static let glance: Int64 = 1_000_000

    /// Behind which place to read on; nil: from the head.
    private(set) var place: DuePlace?
    /// When the first behind it is due: maybe too early, where that waits no more, and never too late. nil: none is there.
    private(set) var next: Int64?
    /// The same of those up to it that were left.
    private(set) var left: Int64?
    /// Whose were left. Those of the same user on the same topic are left, too, so that they keep their order.
    private var held: Set<Origin> = []
    /// Whether a page is being read, of what is due by `asked`.
    private(set) var isReading = false
    private var asked: Int64 = .min
    /// When the first is due of those that came on disk meanwhile, and may be missing in it.
    private var arrived: Int64?
    /// The walk that is under way: up to what was due when it began.
    private var walk: (until: Int64, began: Moment.Nanoseconds)?
    /// When what was left is tried again; nil while the walk goes on that left it.
    private var retry: Moment.Nanoseconds?

    init(next: Int64? = nil) { self.next = next }

    /// When the first of all is due that may be on disk.
    var first: Int64? { [next, left].compactMap(\.self).min() }

    /// An event waits on disk now.
    mutating func note(due: Int64) {
        next = min(next ?? .max, due)
        if isReading { arrived = min(arrived ?? .max, due) } else { goBack(before: due) }
    }

    /// What to do at this time.
    mutating func step(_ time: Int64, at now: Moment.Nanoseconds) -> Step {
        guard !isReading else { return .rest }
        endWalk(time, at: now)
        if walk == nil, let left, left <= time, retry ?? now <= now {
            (place, next, self.left, held, retry) = (nil, first, nil, [], nil)
        }
        if let next, next <= time {
            walk = walk ?? (time, now)
            (isReading, asked) = (true, time)
            return .read(after: place)
        }
        let moments = [
            next.map { now + DueWalk.wait(for: $0, time) },
            left.map { max(retry ?? now, now + DueWalk.wait(for: $0, time)) },
        ]
        return moments.compactMap(\.self).min().map { .wait(until: $0) } ?? .rest
    }

    /// A walk ends where nothing more is due of what was when it began: of more there may be no end.
    private mutating func endWalk(_ time: Int64, at now: Moment.Nanoseconds) {
        guard let walk, next.map({ $0 > min(walk.until, time) }) ?? true else { return }
        self.walk = nil
        guard left != nil, retry == nil else { return }
        retry = now + max(DueWalk.pause, (now - min(walk.began, now)) * DueWalk.pauseShare)
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
        let goesOn = end.map { place.map($0.isBehind) ?? true } ?? false
        if goesOn { place = end }
        // Something due behind it that isn't found there is damage. It is told by the store, and not asked for in a circle.
        next = goesOn || following.map { $0 > asked } ?? true ? following : nil
        guard let arrived else { return }
        self.arrived = nil
        note(due: arrived)
    }

    /// Whether something that was left has to come before an event.
    func isHeld(topic: UInt64, uid: UInt32) -> Bool { held.contains(Origin(topic: topic, uid: uid)) }

    /// An event that was read can't be published now.
    mutating func leave(due: Int64, topic: UInt64, uid: UInt32) {
        left = min(left ?? .max, due)
        held.insert(Origin(topic: topic, uid: uid))
    }

    /// Something came that belongs before the place, as after a clock was set back: what lies there is read once more.
    private mutating func goBack(before due: Int64) {
        guard let place, due <= place.due else { return }
        self.place = DuePlace(due: due, number: 0)
    }
}
