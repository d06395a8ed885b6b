// What is to be published later, as the broker and its store speak of it.

public import BusWire

/// An event that waits until it is due, as it lies in the store: its batch as it was received.
public struct StoredScheduled: Sendable {
    /// Its number.
    public var number: UInt64
    /// Its topic's number in the store.
    public var topic: UInt64
    /// When it is to be published, microseconds since 1970.
    public var due: Int64
    /// When it was taken.
    public var taken: Int64
    /// Its seal.
    public var seal: UInt64
    /// Its publisher's user.
    public var uid: UInt32
    /// Its id.
    public var id: BusUUID
    /// Whether it becomes its topic's last value.
    public var retains: Bool
    /// Whether it clears it instead.
    public var isTombstone: Bool
    /// The batch.
    public var bytes: SharedBytes

    /// One of these parts.
    public init(
        number: UInt64, topic: UInt64, due: Int64, taken: Int64, seal: UInt64, uid: UInt32, id: BusUUID, retains: Bool,
        isTombstone: Bool, bytes: SharedBytes
    ) {
        self.number = number
        self.topic = topic
        self.due = due
        self.taken = taken
        self.seal = seal
        self.uid = uid
        self.id = id
        self.retains = retains
        self.isTombstone = isTombstone
        self.bytes = bytes
    }
}

/// Asks for what is due.
public struct DueOrder: Sendable {
    /// By this time, microseconds since 1970.
    public var time: Int64
    /// What comes behind this place; nil for all.
    public var after: DuePlace?
    /// Events after which a page ends.
    public var eventCountMax: Int
    /// Bytes after which a page ends.
    public var lengthMax: Int
}

/// Some of what is due.
public struct DuePage: Sendable {
    /// The events, the first to be due first.
    public var events: [StoredScheduled]
    /// Their seals.
    public var seals: [UInt64: StoredSeal]
    /// Where it ends, also where the last couldn't be read; nil: nothing is due behind the order's place.
    public var end: DuePlace?
    /// When the first behind it is due; nil: there is none.
    public var next: Int64?

    /// A page of these parts.
    public init(events: [StoredScheduled], seals: [UInt64: StoredSeal], end: DuePlace?, next: Int64?) {
        self.events = events
        self.seals = seals
        self.end = end
        self.next = next
    }
}

/// An event that waited and was put aside as damaged, as its store counts it.
public struct SetAsideScheduled: Sendable {
    /// Its number.
    public var number: UInt64
    /// Its topic.
    public var topic: UInt64
    /// Its publisher's user.
    public var uid: UInt32
    /// Bytes of its batch.
    public var length: UInt64

    /// One of these parts.
    public init(number: UInt64, topic: UInt64, uid: UInt32, length: UInt64) {
        self.number = number
        self.topic = topic
        self.uid = uid
        self.length = length
    }
}

/// How much waits.
struct Waiting: Equatable {
    var count = 0
    /// Bytes of the batches, but for those on their way to being stored as batches: as such they count already.
    var length: UInt64 = 0

    static func + (one: Waiting, other: Waiting) -> Waiting {
        Waiting(count: one.count + other.count, length: one.length + other.length)
    }

    /// Takes out what was put in; where damage says that it was more than there is, all there is.
    static func - (one: Waiting, other: Waiting) -> Waiting {
        Waiting(count: one.count - min(other.count, one.count), length: one.length - min(other.length, one.length))
    }
}

/// What waited when the daemon began, in numbers.
public struct ScheduledSummary: Sendable {
    /// How many and of how many bytes, by topic's number in the store and user.
    public var counts: [(topic: UInt64, uid: UInt32, count: Int, length: UInt64)]
    /// When the first is due; nil where none waits.
    public var next: Int64?
    /// The highest number.
    public var lastNumber: UInt64

    /// A summary of these parts.
    public init(
        counts: [(topic: UInt64, uid: UInt32, count: Int, length: UInt64)] = [], next: Int64? = nil,
        lastNumber: UInt64 = 0
    ) {
        self.counts = counts
        self.next = next
        self.lastNumber = lastNumber
    }
}

/// What the broker knows of what waits: not the events, of which there may be very many, but when to look for them.
struct Schedule {
    var clock: DueClock
    var nextNumber: UInt64 = 1
    /// How far what is due was read.
    var walk = DueWalk()
    /// Those that are being published, by number.
    var moving: Set<UInt64> = []
    /// Those that are being taken back, or were since what is due was asked for; whether that is on disk.
    var cancelled: [UInt64: Bool] = [:]
    /// How many wishes to take something back the store is looking for, and which events have stopped waiting meanwhile:
    /// its answer may be of a moment before.
    var searchCount = 0
    private(set) var leftMeanwhile: Set<UInt64> = []
    /// When to look again.
    var deadline: Moment.Nanoseconds?

    /// An event waits no more, on disk.
    mutating func left(_ number: UInt64) { if searchCount > 0 { leftMeanwhile.insert(number) } }

    mutating func beginSearch() { searchCount += 1 }

    mutating func endSearch() {
        searchCount = max(searchCount - 1, 0)
        if searchCount == 0 { leftMeanwhile = [] }
    }
}

/// An event on its way to the disk, to wait there.
struct PendingSchedule {
    let publish: Publish
    let topic: TopicState
    let event: StoredScheduled
}
