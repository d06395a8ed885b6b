// Deadlines, and the heap that orders them.
//
// Guarantees that actions run on the reactor, not before their deadline, in the order of deadlines and, among
// equals, of arming. Keeps nothing of a timer that is not armed. Arming again moves a timer without allocating:
// the broker's next deadline changes many times a second. Leaves the waiting to the reactor.

/// An action at a deadline. Confined to its reactor.
public final class DeadlineTimer: @unchecked Sendable {
    private let reactor: Reactor
    fileprivate let action: () -> Void
    fileprivate var instant = MonotonicInstant(nanoseconds: .max)
    fileprivate var sequence: UInt64 = 0
    /// Place in the heap, or -1.
    fileprivate var place = -1

    /// A timer that is not armed yet.
    public init(on reactor: Reactor, _ action: @escaping () -> Void) {
        self.reactor = reactor
        self.action = action
    }

    /// Whether the action is still to come.
    public var isArmed: Bool { place >= 0 }

    /// When the action is due, if it is armed.
    public var deadline: MonotonicInstant? { isArmed ? instant : nil }

    /// Runs the action once at `instant`, at once if that has passed. An earlier deadline is replaced.
    public func arm(at instant: MonotonicInstant) {
        reactor.preconditionConfined()
        reactor.timers.insert(self, at: instant)
    }

    /// Forgets the deadline.
    public func disarm() {
        reactor.preconditionConfined()
        reactor.timers.remove(self)
    }
}

/// A binary heap in which a timer knows its place, so that moving and removing need no search.
struct TimerHeap {
    private var timers: [DeadlineTimer] = []
    private var nextSequence: UInt64 = 0

    var nextDeadline: MonotonicInstant? { timers.first?.instant }
    var count: Int { timers.count }

    mutating func insert(_ timer: DeadlineTimer, at instant: MonotonicInstant) {
        timer.instant = instant
        timer.sequence = nextSequence
        nextSequence += 1
        if timer.place < 0 {
            timer.place = timers.count
            timers.append(timer)
        }
        siftUp(timer.place)
        siftDown(timer.place)
    }

    mutating func remove(_ timer: DeadlineTimer) {
        let place = timer.place
        guard place >= 0 else { return }
        let last = timers.removeLast()
        timer.place = -1
        guard last !== timer else { return }
        timers[place] = last
        last.place = place
        siftUp(place)
        siftDown(last.place)
    }

    mutating func removeAll() {
        for timer in timers { timer.place = -1 }
        timers = []
    }

    /// Takes out the first timer if it was armed before `limit` and is due at `now`.
    ///
    /// The limit keeps a timer that arms itself anew, already due, from holding the round for ever.
    mutating func popDue(at now: MonotonicInstant, armedBefore limit: UInt64) -> (() -> Void)? {
        guard let first = timers.first, first.instant <= now, first.sequence < limit else { return nil }
        remove(first)
        return first.action
    }

    /// What to pass as `armedBefore` for the timers armed until now.
    var armedSoFar: UInt64 { nextSequence }

    private func precedes(_ a: DeadlineTimer, _ b: DeadlineTimer) -> Bool {
        (a.instant, a.sequence) < (b.instant, b.sequence)
    }

    private mutating func siftUp(_ start: Int) {
        var place = start
        while place > 0 {
            let parent = (place - 1) / 2
            guard precedes(timers[place], timers[parent]) else { return }
            exchange(place, parent)
            place = parent
        }
    }

    private mutating func siftDown(_ start: Int) {
        var place = start
        while true {
            var least = place
            for child in (2 * place + 1)...(2 * place + 2) where child < timers.count {
                if precedes(timers[child], timers[least]) { least = child }
            }
            guard least != place else { return }
            exchange(place, least)
            place = least
        }
    }

    private mutating func exchange(_ a: Int, _ b: Int) {
        timers.swapAt(a, b)
        timers[a].place = a
        timers[b].place = b
    }
}
