// What a member of a group was handed and hasn't acknowledged, and until when it is to be.

import BusWire

/// What a member holds, oldest first.
final class Holding {
    /// By the numbers of their deliveries.
    private var deliveries = NumberedValues<Held>()
    private(set) var eventCount: UInt64 = 0
    /// Bytes of the batches they are in.
    private(set) var length = 0
    /// Its place in its user's list of those that get nothing until something is acknowledged.
    var starvedPlace: Int?
    /// Ordering keys of which it has events and others wait that only it can be handed.
    var ripeKeys = KeyLine()
    /// Before this nothing is late that wasn't found.
    private(set) var lateFrom: Moment.Nanoseconds = .max
    private let group: Group

    init(of group: Group) { self.group = group }

    var portions: some Collection<Held> { deliveries.values }
    var first: Held? { deliveries.first?.value }

    func append(_ held: Held) {
        deliveries.append(held, under: held.delivery)
        let portion = held.portion
        eventCount += portion.eventCount
        length += Int(portion.length)
        lateFrom = min(lateFrom, held.deadline)
        if portion.batch.keys != nil { group.keys?.hold(portion, by: self, in: held.delivery) }
    }

    /// Takes note that it has a portion no more.
    private func letGo(_ portion: Portion, of delivery: UInt64) {
        if portion.batch.keys != nil { group.keys?.release(portion, of: delivery) }
    }

    /// Lets go of everything up to a delivery and says how much that was.
    func release(through delivery: UInt64) -> (events: UInt64, length: Int) {
        let before = (eventCount, length)
        while let first, first.delivery <= delivery { _ = removeFirst() }
        return (before.0 - eventCount, before.1 - length)
    }

    /// Lets go of everything.
    func releaseAll() -> [Held] {
        let all = Array(portions)
        deliveries.removeAll()
        (eventCount, length) = (0, 0)
        for held in all { letGo(held.portion, of: held.delivery) }
        return all
    }

    /// What a delivery brought and isn't settled yet.
    func find(_ delivery: UInt64) -> Held? { deliveries[delivery] }

    /// Takes events of a delivery out; nil where none of them is held.
    func remove(_ selection: Selection, of delivery: UInt64) -> Portion? {
        guard let held = deliveries[delivery]?.portion else { return nil }
        let count = Int(held.batch.eventCount)
        let taken = Selection(of: count) { held.selection.contains($0) && selection.contains($0) }
        guard let taken else { return nil }
        let removed = held.of(taken)
        eventCount -= removed.eventCount
        if let rest = Selection(of: count, where: { held.selection.contains($0) && !taken.contains($0) }) {
            deliveries[delivery]?.portion = held.of(rest)
        } else {
            length -= Int(held.length)
            deliveries[delivery] = nil
        }
        letGo(removed, of: delivery)
        return removed
    }

    /// Takes the oldest out.
    func removeFirst() -> Held? {
        guard let first = deliveries.popFirst() else { return nil }
        eventCount -= first.portion.eventCount
        length -= Int(first.portion.length)
        letGo(first.portion, of: first.delivery)
        return first
    }

    /// Gives a delivery more time.
    func extend(_ delivery: UInt64, to deadline: Moment.Nanoseconds) {
        deliveries[delivery]?.deadline = deadline
        if deliveries[delivery] != nil { lateFrom = min(lateFrom, deadline) }
    }

    /// What wasn't acknowledged in time. All that is held is looked through for it, and not again before a pause: a
    /// little late, never early.
    func late(at now: Moment.Nanoseconds, pause: Moment.Nanoseconds) -> [Held] {
        guard lateFrom <= now else { return [] }
        var late: [Held] = []
        var next = Moment.Nanoseconds.max
        for held in portions {
            if held.deadline <= now { late.append(held) } else { next = min(next, held.deadline) }
        }
        lateFrom = max(next, now + pause)
        return late
    }
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
