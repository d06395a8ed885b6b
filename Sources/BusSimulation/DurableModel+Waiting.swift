// What is left to be published later: receipted as waiting it is published once when it is due, or taken back, never both,
// never twice and never early, whatever the clock does and whenever the daemon dies.

import BusBroker
import BusWire

/// An event that somebody left for later.
final class WaitingEvent {
    enum State {
        /// On its way to the disk.
        case coming
        /// On disk, until it is due.
        case waits
        /// Published, taken back, or gone with its topic: on disk.
        case published, takenBack, takenAlong
        /// The store had no room for it.
        case refused
    }

    let stored: StoredScheduled
    var state = State.coming
    /// The write that publishes it, or takes it back, is on its way to the disk.
    var isMoving = false
    var isLeaving = false
    /// Whether the broker has heard that it waits, and whether it had when it last asked for what is due.
    var isHeard = false
    var wasHeardAtRead = false
    /// The tickets with which it came, with which it stopped waiting, and with which the store refused to publish it.
    var cameAt: UInt64 = 0
    var goneAt: UInt64 = 0
    var refusedAt: UInt64?
    /// The last ticket when the broker last had it on its way.
    var lastMoved: UInt64 = 0

    init(_ stored: StoredScheduled) { self.stored = stored }

    var isThere: Bool { state == .coming || state == .waits }

    func isBehind(_ other: StoredScheduled) -> Bool { (stored.due, stored.number) > (other.due, other.number) }
}

/// Everything that was left for later, as far as the model has to know.
struct Waitings {
    /// By the store's number; a new daemon gives numbers again of which nothing is left.
    var events: [UInt64: WaitingEvent] = [:]
    var past: [WaitingEvent] = []
    /// When publishers wanted an id to be published, each time that they sent it; the beginning of time: at once.
    var asked: [BusUUID: [Int64]] = [:]
    /// Wishes to take something back that aren't answered, by request.
    var wishes: [UInt32: Wish] = [:]
    /// How many may wait of one user.
    var countMax = Int.max
    /// Counts what the broker is told, and when a user last had as many waiting as it may.
    var tick: UInt64 = 0
    var hadMost: [UInt32: UInt64] = [:]
    /// The last write's ticket, and the last that the broker has heard of.
    var ticket: UInt64 = 0
    var heardTicket: UInt64 = 0
    /// The same, before it was told what it is being told now.
    var heardBefore: UInt64 = 0
    /// By which time the broker last asked for what is due.
    var readThrough = Int64.min
    /// The last event of the page that is being published.
    var last: StoredScheduled?
    var clock = BelievedClock()

    /// Somebody wants an event back.
    struct Wish {
        let id: BusUUID
        let uid: UInt32
        /// The last ticket when that was said.
        let since: UInt64
        /// What the broker knew to wait under this id then.
        let waiting: [WaitingEvent]
    }

    var all: [WaitingEvent] { past + events.values }
    var inOrder: [WaitingEvent] { events.values.sorted { $0.stored.number < $1.stored.number } }
}

extension DurableModel {
    /// The latest time it can be by the clock for what is due.
    func dueTime(clockOffset: Int64) -> Int64 {
        now.wall - clockOffset + waitings.clock.offset(at: now.monotonic)
    }

    // MARK: What the broker wants written

    /// - Parameter time: the latest that it can be by the clock for what is due.
    func check(_ write: StoreWrite, ticket: UInt64, at time: Int64) throws(Violation) {
        waitings.ticket = ticket
        switch write {
        case .append(let batch): try checkAtOnce(batch, time)
        case .schedule(let event): try comes(event)
        case .publishScheduled(let number, let batch): try publishes(number, batch, ticket, time)
        case .unschedule(let number):
            let event = try waiting(number, "is taken back")
            let isWanted = waitings.wishes.values.contains {
                $0.id == event.stored.id && [0, event.stored.uid].contains($0.uid)
            }
            try expect(isWanted, "\(number) is taken back, and nobody who may wanted that")
            event.isLeaving = true
        case .setAsideScheduled(let number):
            let isWithTopic = waitings.events[number].map { removedTopics.contains($0.stored.topic) } ?? false
            try expect(isWithTopic, "\(number) is put aside, and nothing is damaged")
        default: break
        }
    }

    /// What was left for later and is published at once is due.
    private func checkAtOnce(_ batch: StoredBatch, _ time: Int64) throws(Violation) {
        guard let asked = waitings.asked[batch.firstID] else { return }
        try expect(asked.contains { $0 <= time }, "\(batch.firstID) is published at once at \(time), due at \(asked)")
        try expect(
            !isWaiting(batch.firstID, on: batch.topic), "\(batch.firstID) is published at once, and waits")
    }

    private func comes(_ event: StoredScheduled) throws(Violation) {
        if let before = waitings.events[event.number] {
            try expect(!before.isThere, "the number \(event.number) is given again")
            waitings.past.append(before)
        }
        let isAsked = waitings.asked[event.id]?.contains(event.due) == true
        try expect(isAsked, "\(event.id) waits until \(event.due), and nobody wanted that")
        let count = waitings.events.values.count {
            $0.isThere && $0.stored.uid == event.uid && !removedTopics.contains($0.stored.topic)
        }
        try expect(count < waitings.countMax, "\(count) events of \(event.uid) wait already")
        waitings.events[event.number] = WaitingEvent(event)
    }

    private func publishes(
        _ number: UInt64, _ batch: StoredBatch, _ ticket: UInt64, _ time: Int64
    ) throws(Violation) {
        let event = try waiting(number, "is published")
        let stored = event.stored
        // The clock may be set back while it is read.
        let through = max(time, waitings.readThrough)
        try expect(
            stored.due <= through, "\(number) is published \(stored.due - through) microseconds before it is due")
        let isSame =
            stored.topic == batch.topic && stored.uid == batch.uid && stored.seal == batch.seal
            && stored.bytes == batch.bytes && batch.eventCount == 1 && batch.firstID == stored.id
        try expect(isSame, "\(number) is published as something else")
        try expect(waitings.last.map(event.isBehind) ?? true, "\(number) is published out of its order")
        for other in waitings.events.values where other.state == .waits && other.wasHeardAtRead {
            guard other.stored.topic == stored.topic, other.stored.uid == stored.uid, !other.isMoving, !other.isLeaving
            else { continue }
            try expect(
                !event.isBehind(other.stored), "\(number) is published before \(other.stored.number), due earlier")
        }
        waitings.last = stored
        (event.isMoving, event.lastMoved) = (true, ticket)
    }

    private func waiting(_ number: UInt64, _ what: String) throws(Violation) -> WaitingEvent {
        guard let event = waitings.events[number], event.state == .waits, !event.isMoving, !event.isLeaving else {
            throw Violation(
                "\(number) \(what), and doesn't wait: \(String(describing: waitings.events[number]?.state))")
        }
        return event
    }

    // MARK: On disk

    /// A write is on disk, or was refused.
    func onDisk(_ write: StoreWrite, ticket: UInt64, isRefused: Bool) throws(Violation) {
        switch write {
        case .schedule(let stored):
            guard let event = waitings.events[stored.number] else { return }
            guard !isRefused else { return (event.state, event.goneAt) = (.refused, ticket) }
            try expect(!isWaiting(stored.id, on: stored.topic), "\(stored.id) waits twice")
            let id = KnownID(uid: stored.uid, topic: stored.topic, id: stored.id)
            let isRecent = known[id].map { now.wall - $0.stored.time < 300_000_000 } ?? false
            try expect(!isRecent, "\(stored.id) was published, and waits to be published again")
            (event.state, event.cameAt) = (.waits, ticket)
            tally[.left] += 1
        case .publishScheduled(let number, let batch):
            guard let event = waitings.events[number] else { return }
            guard !isRefused else {
                tally[.keptWaiting] += 1
                return event.refusedAt = ticket
            }
            try onDisk(batch)
            (event.state, event.isMoving, event.goneAt) = (.published, false, ticket)
            tally[.cameDue] += 1
        case .unschedule(let number):
            guard let event = waitings.events[number] else { return }
            (event.state, event.isLeaving, event.goneAt) = (.takenBack, false, ticket)
            tally[.tookBack] += 1
        case .removeTopic(let topic):
            for event in waitings.events.values where event.stored.topic == topic && event.state == .waits {
                (event.state, event.goneAt) = (.takenAlong, ticket)
            }
        default: break
        }
    }

    /// Whether an id waits on a topic: what waited for one that is on its way to be removed goes with it.
    private func isWaiting(_ id: BusUUID, on topic: UInt64) -> Bool {
        waitings.events.values.contains { $0.stored.id == id && $0.stored.topic == topic && $0.state == .waits }
    }

    /// The broker hears of everything up to a ticket.
    func hear(through ticket: UInt64) {
        (waitings.heardBefore, waitings.heardTicket) = (waitings.heardTicket, ticket)
        for event in waitings.events.values where event.state != .coming {
            event.isHeard = event.isHeard || event.cameAt <= ticket
            guard let refused = event.refusedAt, refused <= ticket else { continue }
            (event.isMoving, event.refusedAt, event.lastMoved) = (false, nil, waitings.ticket)
        }
    }

    /// The broker asks for what is due.
    func asksForDue(_ order: DueOrder, at time: Int64) throws(Violation) {
        try expect(order.time <= time, "what is due by \(order.time) is asked for at \(time)")
        waitings.readThrough = order.time
        for event in waitings.events.values { event.wasHeardAtRead = event.isHeard }
    }

    /// What is on disk waits on, and nothing else does.
    func dieWaiting(leaving disk: MemoryStore.Disk, clockOffset: Int64) throws(Violation) {
        waitings.events = waitings.events.filter { $0.value.state != .coming }
        for event in waitings.inOrder {
            (event.isMoving, event.isLeaving, event.isHeard, event.wasHeardAtRead) = (false, false, true, false)
            event.refusedAt = nil
            let isThere = disk.scheduled[event.stored.number] != nil
            try expect(isThere == (event.state == .waits), "\(event.stored.number) \(event.state), on disk: \(isThere)")
        }
        (waitings.wishes, waitings.last, waitings.readThrough) = ([:], nil, .min)
        (waitings.ticket, waitings.heardTicket, waitings.heardBefore) = (0, 0, 0)
        for event in waitings.all { (event.cameAt, event.goneAt, event.lastMoved) = (0, 0, 0) }
        waitings.clock.begin(clockOffset)
    }
}
