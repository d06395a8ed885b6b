// A session's end of a subscription: what it was sent, what it is ready for, and, in a group, what it holds.

import BusWire
import DequeModule

final class Consumer {
    /// The session's number for the subscription.
    let number: UInt32
    /// Whether it stands in its session's list of those that go on when the connection has drained.
    var isWaiting = false
    unowned let session: Session
    let subscription: Subscription
    /// Running totals since it subscribed, as the credit's.
    var sentEvents: UInt64 = 0
    var sentBytes: UInt64 = 0
    var creditEvents: UInt64
    var creditBytes: UInt64
    /// The number of the last delivery.
    var lastDelivery: UInt64 = 0
    private var extra = Extra.none

    /// What few have, and nobody both.
    private enum Extra {
        case none
        case holding(Holding)
        case backlog(Backlog)
    }

    init(_ request: Subscribe, _ session: Session, _ subscription: Subscription) {
        number = request.subscription
        self.session = session
        self.subscription = subscription
        creditEvents = request.creditEvents
        creditBytes = request.creditBytes
        if let group = subscription.group { extra = .holding(Holding(of: group)) }
    }

    /// What it was handed and hasn't acknowledged; of a group's members only.
    var holding: Holding? { if case .holding(let holding) = extra { holding } else { nil } }

    /// Last values it gets before everything else; never of a group's members.
    var backlog: Backlog? {
        get { if case .backlog(let backlog) = extra { backlog } else { nil } }
        set { extra = newValue.map { .backlog($0) } ?? .none }
    }

    /// Whether the subscriber is ready for another batch. The last one may overdraw.
    var hasCredit: Bool { sentEvents < creditEvents && sentBytes < creditBytes }
    /// Events handed over and not acknowledged, in a group.
    var outstanding: UInt64 { holding?.eventCount ?? 0 }
}

/// What a member of a group was handed and hasn't acknowledged, oldest first.
final class Holding {
    private(set) var portions: Deque<Held> = []
    private(set) var eventCount: UInt64 = 0
    /// Bytes of the batches they are in.
    private(set) var length = 0
    /// Its place in its user's list of those that get nothing until something is acknowledged.
    var starvedPlace: Int?
    /// Ordering keys of which it has events and others wait that only it can be handed.
    var ripeKeyCount = 0
    private let group: Group

    init(of group: Group) { self.group = group }

    func append(_ held: Held) {
        portions.append(held)
        let portion = held.portion
        eventCount += portion.eventCount
        length += Int(portion.length)
        if portion.batch.keys != nil { group.keys?.hold(portion, by: self) }
    }

    /// Takes note that it has a portion no more.
    private func letGo(_ portion: Portion) {
        if portion.batch.keys != nil { group.keys?.release(portion) }
    }

    /// Lets go of everything up to a delivery and says how much that was.
    func release(through delivery: UInt64) -> (events: UInt64, length: Int) {
        let before = (eventCount, length)
        while let first = portions.first, first.delivery <= delivery {
            eventCount -= first.portion.eventCount
            length -= Int(first.portion.length)
            letGo(first.portion)
            portions.removeFirst()
        }
        return (before.0 - eventCount, before.1 - length)
    }

    /// Lets go of everything.
    func releaseAll() -> Deque<Held> {
        defer { (portions, eventCount, length) = ([], 0, 0) }
        for held in portions { letGo(held.portion) }
        return portions
    }
}

extension Holding {
    /// What a delivery brought and isn't settled yet.
    func find(_ delivery: UInt64) -> Held? { place(of: delivery).map { portions[$0] } }

    private func place(of delivery: UInt64) -> Int? {
        let index = index(of: delivery)
        return index < portions.endIndex && portions[index].delivery == delivery ? index : nil
    }

    /// Where a delivery is, or would be. They lie in the order of their numbers.
    private func index(of delivery: UInt64) -> Int {
        var (low, high) = (portions.startIndex, portions.endIndex)
        while low < high {
            let middle = (low + high) / 2
            if portions[middle].delivery < delivery { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Takes events of a delivery out; nil where none of them is held.
    func remove(_ selection: Selection, of delivery: UInt64) -> Portion? {
        guard let place = place(of: delivery) else { return nil }
        let (held, count) = (portions[place].portion, Int(portions[place].portion.batch.eventCount))
        let taken = Selection(of: count) { held.selection.contains($0) && selection.contains($0) }
        guard let taken else { return nil }
        let removed = held.of(taken)
        eventCount -= removed.eventCount
        if let rest = Selection(of: count, where: { held.selection.contains($0) && !taken.contains($0) }) {
            portions[place].portion = held.of(rest)
        } else {
            length -= Int(held.length)
            portions.remove(at: place)
        }
        letGo(removed)
        return removed
    }

    /// Takes the oldest out.
    func removeFirst() -> Held? {
        guard let first = portions.popFirst() else { return nil }
        eventCount -= first.portion.eventCount
        length -= Int(first.portion.length)
        letGo(first.portion)
        return first
    }

    /// Gives a delivery more time.
    func extend(_ delivery: UInt64, to deadline: Moment.Nanoseconds) {
        if let place = place(of: delivery) { portions[place].deadline = deadline }
    }

    /// What is held from a delivery on.
    func held(from delivery: UInt64) -> [Held] { Array(portions[index(of: delivery)...]) }

    /// What wasn't acknowledged in time.
    func late(at now: Moment.Nanoseconds) -> [Held] { portions.filter { $0.deadline <= now } }
}

/// A portion somebody was handed.
struct Held {
    let delivery: UInt64
    /// What of it isn't settled yet.
    var portion: Portion
    /// What the delivery brought.
    var brought = Selection.all
    /// Until when it is to be settled; of durable subscriptions only.
    var deadline: Moment.Nanoseconds = .max
    /// When it was handed over, microseconds since 1970.
    var sent: Int64 = 0
}

/// The last values of all topics that matched when a subscription began, in the order in which they were accepted.
final class Backlog {
    var portions: Deque<Portion>
    /// Charged to the subscriber as queued.
    var length: Int
    /// Events of it that were delivered.
    var told: UInt64 = 0
    /// Where the rest of what is stored is read; nil for last values, which are all here.
    let catchUp: CatchUp?

    init(_ portions: [Portion], catchUp: CatchUp? = nil) {
        self.portions = Deque(portions)
        self.catchUp = catchUp
        length = portions.reduce(0) { $0 + Int($1.length) }
    }

    /// Whether nothing of it is still to come.
    var isOver: Bool { portions.isEmpty && catchUp?.isLive != false }

    func append(_ portion: Portion) {
        portions.append(portion)
        length += Int(portion.length)
    }

    func popFirst() -> Portion? {
        guard let portion = portions.popFirst() else { return nil }
        length -= Int(portion.length)
        return portion
    }
}
