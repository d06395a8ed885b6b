// What is to be published later: a batch as it was received, with what it takes to publish it when it is due. It lies in
// a table of its own until then, and moves to the batches in one transaction.

public import BusWire

/// A batch of one event that waits until it is due.
public struct StoredScheduled: Sendable, Equatable {
    /// Its number: chosen by the caller, given once while it is there; below 2^63.
    public var number: UInt64
    /// Its topic.
    public var topic: TopicID
    /// When it is to be published, microseconds since 1970.
    public var due: Int64
    /// When it was taken.
    public var taken: Int64
    /// Its seal.
    public var seal: UInt64
    /// Its publisher's user.
    public var uid: UInt32
    /// Its event's id.
    public var id: BusUUID
    /// Flags of the caller's own.
    public var flags: UInt8
    /// The batch.
    public var body: SharedBytes

    /// One of these parts.
    public init(
        number: UInt64, topic: TopicID, due: Int64, taken: Int64, seal: UInt64, uid: UInt32, id: BusUUID, flags: UInt8,
        body: SharedBytes
    ) {
        self.number = number
        self.topic = topic
        self.due = due
        self.taken = taken
        self.seal = seal
        self.uid = uid
        self.id = id
        self.flags = flags
        self.body = body
    }
}

extension StoredScheduled: Recorded {
    static var table: RecordTable { .scheduled }

    /// What a record has beside its batch's bytes: how long that is can be told without reading it.
    static let overhead = StoredScheduled(
        number: 0, topic: TopicID(rawValue: 0), due: 0, taken: 0, seal: 0, uid: 0, id: .zero, flags: 0,
        body: SharedBytes([])
    ).record.count

    /// The length of a row's batch, in SQL.
    static let bodyLength = "max(length(record) - \(overhead), 0)"

    func encode(into record: inout RecordWriter) {
        record.put(number)
        record.put(topic.rawValue)
        record.put(due)
        record.put(taken)
        record.put(seal)
        record.put(uid)
        record.put(id)
        record.put(flags)
        record.put(body.withUnsafeBytes { Array($0) })
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        let number: UInt64 = try record.integer()
        let topic: UInt64 = try record.integer()
        guard topic <= UInt64(Int64.max) else { throw .content }
        self.init(
            number: number, topic: TopicID(rawValue: topic), due: try record.integer(), taken: try record.integer(),
            seal: try record.integer(), uid: try record.integer(), id: try record.uuid(), flags: try record.integer(),
            body: SharedBytes(try record.array()))
    }
}

/// A row's place among those that wait: by due time, then by number.
public struct DuePlace: Sendable, Comparable {
    /// When it is due.
    public var due: Int64
    /// Its number.
    public var number: UInt64

    /// A place.
    public init(due: Int64, number: UInt64) {
        self.due = due
        self.number = number
    }

    /// Whether one comes before the other.
    public static func < (one: DuePlace, other: DuePlace) -> Bool {
        (one.due, one.number) < (other.due, other.number)
    }
}

/// Some of what is due.
public struct ScheduledPage: Sendable {
    /// By due time, then by number.
    public var events: [StoredScheduled] = []
    /// Their seals, by number; without one that is missing or damaged.
    public var seals: [UInt64: StoredSeal] = [:]
    /// The place of the last row that was looked at, also where that is damaged; nil: there is none.
    public var end: DuePlace?
    /// When the first behind it is due; nil: there is none.
    public var next: Int64?
    /// Rows that were looked at, and bytes of the events.
    var (rowCount, byteCount) = (0, 0)
}

/// A row that was put aside, as its columns count it.
public struct SetAsideScheduled: Sendable, Equatable {
    /// Its number.
    public var number: UInt64
    /// Its topic.
    public var topic: TopicID
    /// Its publisher's user.
    public var uid: UInt32
    /// Bytes of its batch.
    public var length: UInt64
}

/// What waits, in numbers: how much of whom on which topic.
public struct ScheduledSummary: Sendable, Equatable {
    /// How many and of how many bytes, by topic and user.
    public var counts: [(topic: TopicID, uid: UInt32, count: UInt64, length: UInt64)] = []
    /// When the first is due; nil where none waits.
    public var next: Int64?
    /// The highest number of one that is there.
    public var lastNumber: UInt64 = 0

    /// Whether both say the same.
    public static func == (one: ScheduledSummary, other: ScheduledSummary) -> Bool {
        one.next == other.next && one.lastNumber == other.lastNumber
            && one.counts.elementsEqual(other.counts) { $0 == $1 }
    }
}
