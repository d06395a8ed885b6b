// Where a batch has its ordering keys. They are read where they lie, one at a time: who hands events out by their keys
// looks at them again and again, and a copy of them would be held, and charged to nobody, for every batch that waits.

/// The place of the ordering keys in a batch's bytes.
public struct OrderingKeyColumn: Sendable, Equatable {
    private let offset: Int
    /// Whether each event has its own; else all have the one.
    private let isEach: Bool

    /// The place of a batch's keys; nil where it has none, which nearly always two bits tell.
    public init?(_ batch: SealedBatch) {
        guard batch.header.columnsLength > BatchColumns.bitmapLength else { return nil }
        do throws(WireError) {
            let found = try OrderingKeyColumn.find(in: batch)
            guard let found else { return nil }
            self = found
        } catch {
            // Columns that contradict themselves are refused when a batch comes, and are nobody's keys.
            return nil
        }
    }

    private init(offset: Int, isEach: Bool) {
        self.offset = offset
        self.isEach = isEach
    }

    private static func find(in batch: SealedBatch) throws(WireError) -> OrderingKeyColumn? {
        let (count, end) = (Int(batch.header.eventCount), BatchHeader.length + Int(batch.header.columnsLength))
        var reader = ByteReader(batch.bytes, range: BatchHeader.length..<end, frame: nil)
        let bitmap: UInt32 = try reader.integer("column bitmap")
        func values(_ column: UInt32) -> Int {
            switch bitmap >> (2 * column) & 0b11 {
            case 0b01: 1
            case 0b11: count
            default: 0
            }
        }
        guard values(4) > 0 else { return nil }
        try reader.skip(16 * (values(0) + values(1) + values(2)), "ids")
        for _ in 0..<values(3) {
            let length: UInt8 = try reader.integer("reply-to length")
            try reader.skip(Int(length), "reply-to column")
        }
        let offset = reader.position
        try reader.skip(8 * values(4), "ordering key column")
        return OrderingKeyColumn(offset: offset, isEach: bitmap >> 8 & 0b11 == 0b11)
    }

    /// The hash of an event's key; 0 for none.
    ///
    /// - Parameter bytes: the batch's, or a copy of them.
    public func key(at index: Int, in bytes: SharedBytes) -> UInt64 {
        let place = offset + (isEach ? 8 * index : 0)
        guard index >= 0, place + 8 <= bytes.count else { return 0 }
        return UInt64(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: UInt64.self) })
    }
}
