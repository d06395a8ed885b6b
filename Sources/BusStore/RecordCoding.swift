// The bytes of each kind of record, written and read side by side.

import BusWire

/// A value with a record of its own.
protocol Recorded {
    static var table: RecordTable { get }
    func encode(into record: inout RecordWriter)
    init(from record: inout RecordReader) throws(RecordFault)
}

extension Recorded {
    var record: [UInt8] {
        var writer = RecordWriter(Self.table)
        encode(into: &writer)
        return writer.finish()
    }

    init(record bytes: [UInt8]) throws(RecordFault) {
        var reader = try RecordReader(bytes, Self.table)
        try self.init(from: &reader)
        try reader.finish()
    }
}

/// What is true of the store as a whole; one row.
struct StoreMeta: Equatable {
    var incarnation: BusUUID
    /// Commits over the life of the store.
    var commit: UInt64 = 0
    /// One past the highest position ever stored.
    var nextPosition: UInt64 = 1
    /// Batches before this one were in the database, and not only in the log, when this was written.
    var checkpointed: UInt64 = 1
    /// Rows of the tables that are read whole at start, so that one gone is noticed; in `counted`'s order, the
    /// tables of later versions last: an earlier one's account ends before them.
    var rowCounts = [UInt64](repeating: 0, count: StoreMeta.counted.count)

    static let counted: [RecordTable] = [
        .topics, .seals, .declarations, .subscriptions, .cursors, .secrets, .scheduled,
    ]
}

extension StoreMeta: Recorded {
    static var table: RecordTable { .meta }

    func encode(into record: inout RecordWriter) {
        record.put(incarnation)
        record.put(commit)
        record.put(nextPosition)
        record.put(checkpointed)
        for count in rowCounts { record.put(count) }
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        incarnation = try record.uuid()
        commit = try record.integer()
        nextPosition = try record.integer()
        checkpointed = try record.integer()
        for index in rowCounts.indices where !record.isAtEnd { rowCounts[index] = try record.integer() }
    }
}

extension LostPositions: Recorded {
    static var table: RecordTable { .lostPositions }

    func encode(into record: inout RecordWriter) {
        record.put(positions.lowerBound)
        record.put(positions.upperBound)
        record.put(lastTopic.rawValue)
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        let (first, end): (UInt64, UInt64) = (try record.integer(), try record.integer())
        guard first <= end else { throw .content }
        self.init(positions: first..<end, lastTopic: TopicID(rawValue: try record.integer()))
    }
}

/// A topic as it is kept, with what only the writer needs.
struct TopicRow: Equatable {
    var topic: StoredTopic
    /// Ids of batches removed since then stay known; `Int64.max`: none of them.
    var receiptsSince: Int64 = .max
}

extension TopicRow: Recorded {
    static var table: RecordTable { .topics }

    func encode(into record: inout RecordWriter) {
        record.put(topic.id.rawValue)
        record.put(topic.name)
        record.put(topic.incarnation)
        record.put(topic.lastSequence)
        record.put(topic.lastTime)
        record.put(topic.lastPosition)
        record.put(topic.floor)
        record.put(topic.firstSequence)
        record.put(topic.eventCount)
        record.put(topic.batchCount)
        record.put(topic.byteCount)
        record.put(topic.retained ?? 0)
        record.put(topic.isRemoving)
        record.put(topic.isDeleted)
        record.put(receiptsSince)
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        let id: UInt64 = try record.integer()
        guard id <= UInt64(Int64.max) else { throw .content }
        let name = try record.array()
        topic = StoredTopic(id: TopicID(rawValue: id), name: name, incarnation: try record.integer())
        topic.lastSequence = try record.integer()
        topic.lastTime = try record.integer()
        topic.lastPosition = try record.integer()
        topic.floor = try record.integer()
        topic.firstSequence = try record.integer()
        topic.eventCount = try record.integer()
        topic.batchCount = try record.integer()
        topic.byteCount = try record.integer()
        let retained: UInt64 = try record.integer()
        topic.retained = retained == 0 ? nil : retained
        topic.isRemoving = try record.bool()
        topic.isDeleted = try record.bool()
        receiptsSince = try record.integer()
    }
}

/// A seal, and how long it is needed.
struct SealRow: Equatable {
    var seal: StoredSeal
    /// Where its last batch begins; nil while it is open, when nobody has written it down.
    var lastUsed: UInt64?
}

extension SealRow: Recorded {
    static var table: RecordTable { .seals }

    func encode(into record: inout RecordWriter) {
        record.put(seal.number)
        record.put(seal.topic.rawValue)
        record.put(seal.epoch)
        record.put(seal.uid)
        record.put(seal.gid)
        record.put(seal.salt)
        record.put(seal.keyCheck)
        record.put(seal.publisher)
        record.put(seal.unit)
        record.put(lastUsed.map { Int64(bitPattern: $0) })
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        let number: UInt64 = try record.integer()
        let topic: UInt64 = try record.integer()
        guard topic <= UInt64(Int64.max) else { throw .content }
        seal = StoredSeal(
            number: number, topic: TopicID(rawValue: topic), epoch: try record.integer(), uid: try record.integer(),
            gid: try record.integer(), salt: try record.array(), keyCheck: try record.array(),
            publisher: try record.text(), unit: try record.array())
        lastUsed = try record.optionalInt64().map { UInt64(bitPattern: $0) }
    }
}

extension StoredDeclaration: Recorded {
    static var table: RecordTable { .declarations }

    func encode(into record: inout RecordWriter) {
        record.put(filter)
        record.put(options)
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        self.init(filter: try record.array(), options: try record.array())
    }
}

extension StoredSecret: Recorded {
    static var table: RecordTable { .secrets }

    func encode(into record: inout RecordWriter) {
        record.put(namespace)
        record.put(epoch)
        record.put(wrapped)
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        self.init(namespace: try record.array(), epoch: try record.integer(), wrapped: try record.array())
    }
}
