// Rows of the small tables: one blob with all fields and a checksum behind them. The key stands beside it for SQLite
// and inside it for us, so that a row that changed places is noticed too.

import BusWire
import Crypto

/// SHA-256 over the parts of a row, cut to 64 bits: what a flipped bit gets past with a chance of 2^-64.
struct RowChecksum {
    private var hash = SHA256()

    mutating func add(_ bytes: UnsafeRawBufferPointer) { hash.update(bufferPointer: bytes) }

    consuming func finish() -> UInt64 {
        var hash = self.hash
        hash = consume hash
        return hash.finalize().withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
    }

    static func of(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var sum = RowChecksum()
        sum.add(bytes)
        return sum.finish()
    }
}

/// Why a record isn't what was written.
enum RecordFault: Error {
    case checksum
    case content
}

/// Tables with records; the number is part of each record's checksum.
enum RecordTable: UInt8, CaseIterable {
    case meta = 1
    case topics
    case seals
    case declarations
    case subscriptions
    case cursors
    case deadLetters
    case ledger
    case secrets
    case head
    case explicitIDs
    case receipts
    case scheduled = 13
    case usage = 14
    /// In the quarantine, which has records of what can't be served.
    case lostPositions = 15

    /// The table's name in SQL.
    var name: String {
        switch self {
        case .deadLetters: "dead_letters"
        case .explicitIDs: "explicit_ids"
        default: "\(self)"
        }
    }
}

/// Fields of a record, one behind the other, little-endian.
struct RecordWriter {
    private(set) var bytes: [UInt8]

    init(_ table: RecordTable) { bytes = [table.rawValue] }

    mutating func put<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(_ value: Bool) { put(UInt8(value ? 1 : 0)) }

    mutating func put(_ id: BusUUID) {
        put(id.high)
        put(id.low)
    }

    mutating func put(_ array: [UInt8]) {
        put(UInt32(array.count))
        bytes.append(contentsOf: array)
    }

    mutating func put(_ text: String) { put([UInt8](text.utf8)) }

    mutating func put(_ value: Int64?) {
        put(value != nil)
        if let value { put(value) }
    }

    /// The record with its checksum.
    consuming func finish() -> [UInt8] {
        let sum = bytes.withUnsafeBytes { RowChecksum.of($0) }
        put(sum)
        return bytes
    }
}

/// Reads a record whose checksum is right.
struct RecordReader {
    private let bytes: [UInt8]
    private var place = 1
    private let end: Int

    init(_ bytes: [UInt8], _ table: RecordTable) throws(RecordFault) {
        guard bytes.count >= 9 else { throw .checksum }
        end = bytes.count - 8
        let (found, written) = bytes.withUnsafeBytes { all in
            (
                RowChecksum.of(UnsafeRawBufferPointer(rebasing: all[..<(all.count - 8)])),
                UInt64(littleEndian: all.loadUnaligned(fromByteOffset: all.count - 8, as: UInt64.self))
            )
        }
        guard found == written, bytes[0] == table.rawValue else { throw .checksum }
        self.bytes = bytes
    }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(RecordFault) -> T {
        let size = MemoryLayout<T>.size
        guard end - place >= size else { throw .content }
        defer { place += size }
        return T(littleEndian: bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: place, as: T.self) })
    }

    mutating func bool() throws(RecordFault) -> Bool { try integer(UInt8.self) != 0 }

    mutating func uuid() throws(RecordFault) -> BusUUID {
        let high: UInt64 = try integer()
        return BusUUID(high: high, low: try integer())
    }

    mutating func array() throws(RecordFault) -> [UInt8] {
        let count = Int(try integer(UInt32.self))
        guard end - place >= count else { throw .content }
        defer { place += count }
        return [UInt8](bytes[place..<place + count])
    }

    mutating func text() throws(RecordFault) -> String { String(decoding: try array(), as: UTF8.self) }

    mutating func optionalInt64() throws(RecordFault) -> Int64? { try bool() ? try integer() : nil }

    /// Whether everything was read: what a version before this one wrote may end here.
    var isAtEnd: Bool { place == end }

    /// Checks that nothing is left: a record of another version would have passed its checksum.
    func finish() throws(RecordFault) {
        guard place == end else { throw .content }
    }
}
