// A row of `receipts` or `explicit_ids`: the two tables name the same things in the same order.

import BusWire

/// What is known of ids without their batch.
struct ReceiptRow {
    var publisher: Int64
    var id: BusUUID
    var position: UInt64
    /// How many ids count up from `id`; of an explicit id, its place in the batch.
    var count: UInt64
    var topic: UInt64
    var sequence: UInt64
    var accepted: Int64
    /// The checksum as it was read; of a new row, as it should be.
    private var sum: UInt64 = 0

    init(
        publisher: Int64, id: BusUUID, position: UInt64, count: UInt64, topic: UInt64, sequence: UInt64, accepted: Int64
    ) {
        self.publisher = publisher
        self.id = id
        self.position = position
        self.count = count
        self.topic = topic
        self.sequence = sequence
        self.accepted = accepted
        sum = checksum
    }

    /// The current row.
    init(_ row: SQLStatement) {
        publisher = row.int64(0)
        id = row.uuid(1)
        position = row.uint64(2)
        count = row.uint64(3)
        topic = row.uint64(4)
        sequence = row.uint64(5)
        accepted = row.int64(6)
        sum = row.uint64(7)
    }

    /// Whether it is what was written.
    var isWhole: Bool { sum == checksum }

    func bind(to insert: SQLStatement) {
        insert.bind(1, publisher)
        insert.bind(2, id)
        insert.bind(3, position)
        insert.bind(4, count)
        insert.bind(5, topic)
        insert.bind(6, sequence)
        insert.bind(7, accepted)
        insert.bind(8, sum)
    }

    private var checksum: UInt64 {
        let columns = (
            publisher.littleEndian, id.high.littleEndian, id.low.littleEndian, position.littleEndian,
            count.littleEndian, topic.littleEndian, sequence.littleEndian, accepted.littleEndian
        )
        return withUnsafeBytes(of: columns) { RowChecksum.of($0) }
    }
}
