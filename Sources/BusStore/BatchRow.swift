// A batch as a row: which column is where, and the checksum over all of them.

import BusWire

/// A batch with what only the store knows of it.
struct BatchRow {
    var batch: StoredBatch
    /// Where the batch before it on its topic begins; 0 for the first. A row that went missing is noticed by it.
    var previous: UInt64
    /// Whether its events have ids of their own, which stand in `explicit_ids`.
    var hasIDs: Bool

    /// The caller's flags, and one of ours above them.
    var flags: UInt64 { UInt64(batch.flags) | (hasIDs ? BatchRow.hasIDsFlag : 0) }

    static let hasIDsFlag: UInt64 = 1 << 32

    /// Over every column; over who the publisher is rather than its number.
    var checksum: UInt64 {
        let publisher = batch.publisher
        let columns = (
            batch.position.littleEndian, batch.topic.rawValue.littleEndian, previous.littleEndian,
            batch.firstSequence.littleEndian, UInt64(batch.count).littleEndian, batch.accepted.littleEndian,
            UInt64(batch.expiry == nil ? 0 : 1).littleEndian, (batch.expiry ?? 0).littleEndian,
            batch.seal.littleEndian, UInt64(publisher.uid).littleEndian, UInt64(publisher.unit.count).littleEndian,
            batch.firstID.high.littleEndian, batch.firstID.low.littleEndian, flags.littleEndian
        )
        var sum = RowChecksum()
        withUnsafeBytes(of: columns) { sum.add($0) }
        if !publisher.unit.isEmpty { publisher.unit.withUnsafeBytes { sum.add($0) } }
        batch.body.withUnsafeBytes { sum.add($0) }
        return sum.finish()
    }

    /// Binds all columns to an insert; the body where it is.
    func bind(to statement: SQLStatement, publisher: Int64, body: UnsafeRawBufferPointer) {
        statement.bind(1, batch.position)
        statement.bind(2, batch.topic.rawValue)
        statement.bind(3, previous)
        statement.bind(4, batch.firstSequence)
        statement.bind(5, Int64(batch.count))
        statement.bind(6, batch.accepted)
        statement.bind(7, batch.expiry)
        statement.bind(8, batch.seal)
        statement.bind(9, publisher)
        statement.bind(10, batch.firstID)
        statement.bind(11, flags)
        statement.bind(12, checksum)
        statement.bind(13, inPlace: body)
    }

    /// The current row of a statement that selects `Schema.batchColumns`; nil if it isn't what was stored.
    ///
    /// - Parameter publisher: who a publisher's number stands for.
    init?<E: Error>(_ row: SQLStatement, publisher: (Int64) throws(E) -> StoredPublisher?) throws(E) {
        guard let topic = row.topicID(1), let who = try publisher(row.int64(8)) else { return nil }
        guard let count = UInt32(exactly: row.int64(4)) else { return nil }
        let flags = row.uint64(10)
        batch = StoredBatch(
            position: row.uint64(0), topic: topic, firstSequence: row.uint64(3), count: count, accepted: row.int64(5),
            expiry: row.optionalInt64(6), seal: row.uint64(7), publisher: who, firstID: row.uuid(9),
            flags: UInt32(truncatingIfNeeded: flags), body: row.sharedBytes(12))
        previous = row.uint64(2)
        hasIDs = flags & BatchRow.hasIDsFlag != 0
        // Compared as a whole, so that flags between the caller's and ours count too.
        guard self.flags == flags, checksum == row.uint64(11), count > 0 else { return nil }
    }

    /// A batch about to be stored.
    init(_ batch: StoredBatch, previous: UInt64, hasIDs: Bool) {
        self.batch = batch
        self.previous = previous
        self.hasIDs = hasIDs
    }
}

extension SQLStatement {
    /// A topic's number; nil if none can be in this column.
    func topicID(_ column: Int32) -> TopicID? {
        let number = int64(column)
        return number >= 0 ? TopicID(rawValue: UInt64(number)) : nil
    }
}
