// The unit that is sealed, routed, stored and flow-controlled: consecutive events of one publisher on one topic.
//
//   0  u8   version      1
//   1  u8   suite        1: AES-256-GCM, HKDF-SHA256
//   2  u16  flags        none in version 1; unknown ones refused
//   4  u32  event count  1 … 4096
//   8  u64  seal         given by the daemon
//  16  u64  counter      0, 1, 2 … within the seal
//  24  16 B first id     the ids of the others count up from it, unless the columns say otherwise
//  40  u32  columns      their length, at least 4
//  44  u32  body         its length, tag included
//  48  columns, then the body: readable by the daemon, then readable by subscribers only
//
// Header and columns together are what the seal authenticates.

/// A batch's fixed header.
public struct BatchHeader: Sendable, Equatable {
    /// Length of the header in bytes.
    public static let length = 48
    /// The layout this version writes and reads.
    public static let version: UInt8 = 1
    /// AES-256-GCM with keys by HKDF-SHA256: the only suite of version 1.
    public static let suite: UInt8 = 1
    /// The authentication tag at the end of the body, in bytes.
    public static let tagLength = 16

    /// How many events there are.
    public var eventCount: UInt32
    /// The publisher's seal.
    public var seal: UInt64
    /// Which batch of its seal this is, from 0.
    public var counter: UInt64
    /// The first event's id.
    public var firstID: BusUUID
    /// Length of the columns in bytes.
    public var columnsLength: UInt32
    /// Length of the sealed body in bytes, tag included.
    public var bodyLength: UInt32

    /// A header of these parts.
    public init(
        eventCount: UInt32, seal: UInt64, counter: UInt64, firstID: BusUUID, columnsLength: UInt32, bodyLength: UInt32
    ) {
        self.eventCount = eventCount
        self.seal = seal
        self.counter = counter
        self.firstID = firstID
        self.columnsLength = columnsLength
        self.bodyLength = bodyLength
    }

    /// Appends the header to `out`.
    public func encode(into out: inout [UInt8]) {
        out.put(BatchHeader.version)
        out.put(BatchHeader.suite)
        out.put(UInt16(0))
        out.put(eventCount)
        out.put(seal)
        out.put(counter)
        out.put(firstID)
        out.put(columnsLength)
        out.put(bodyLength)
    }
}

/// A sealed batch as it came, with its header read and its lengths found to agree.
public struct SealedBatch: Sendable {
    /// The header.
    public let header: BatchHeader
    /// The whole batch.
    public let bytes: SharedBytes

    /// Reads and checks everything about `bytes` that can be checked without a key, except the columns' content.
    public init(_ bytes: SharedBytes) throws(WireError) {
        guard bytes.count >= BatchHeader.length else {
            throw .malformedBatch("has \(bytes.count) bytes, its header alone has \(BatchHeader.length)")
        }
        header = try BatchHeader(bytes)
        let (columns, body) = (Int(header.columnsLength), Int(header.bodyLength))
        guard columns >= BatchColumns.bitmapLength, columns <= Limits.columnsLengthMax else {
            throw .malformedBatch("columns of \(columns) bytes")
        }
        guard BatchHeader.length + columns + body == bytes.count else {
            let sum = BatchHeader.length + columns + body
            throw .malformedBatch("lengths in its header add up to \(sum), not \(bytes.count)")
        }
        guard body >= BatchHeader.tagLength + Int(header.eventCount) * EventRecord.lengthMin else {
            throw .malformedBatch("a body of \(body) bytes can't hold \(header.eventCount) events")
        }
        self.bytes = bytes
    }

    /// Header and columns: what the seal authenticates.
    public var authenticated: SharedBytes { bytes.slice(0..<BatchHeader.length + Int(header.columnsLength)) }

    /// The columns alone.
    public var columns: SharedBytes {
        bytes.slice(BatchHeader.length..<BatchHeader.length + Int(header.columnsLength))
    }

    /// The sealed body, tag included.
    public var body: SharedBytes { bytes.slice(BatchHeader.length + Int(header.columnsLength)..<bytes.count) }
}

extension BatchHeader {
    fileprivate init(_ bytes: SharedBytes) throws(WireError) {
        var reader = ByteReader(bytes, range: 0..<BatchHeader.length, frame: nil)
        let version: UInt8 = try reader.integer("version")
        let suite: UInt8 = try reader.integer("suite")
        let flags: UInt16 = try reader.integer("flags")
        eventCount = try reader.integer("event count")
        seal = try reader.integer("seal")
        counter = try reader.integer("counter")
        firstID = try reader.uuid("first id")
        columnsLength = try reader.integer("columns length")
        bodyLength = try reader.integer("body length")
        guard version == BatchHeader.version else { throw .malformedBatch("version \(version)") }
        guard suite == BatchHeader.suite else { throw .malformedBatch("suite \(suite)") }
        guard flags == 0 else { throw .malformedBatch("flags \(flags)") }
        guard eventCount >= 1, eventCount <= Limits.batchEventCountMax else {
            throw .malformedBatch("\(eventCount) events, 1 to \(Limits.batchEventCountMax) are allowed")
        }
    }
}
