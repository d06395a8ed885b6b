// What the daemon may see of each event beside its topic: ids, conversation, ordering key, expiry. A bitmap says
// which columns are there, two bits a column: present, and one value for each event rather than one for all.

/// One column: absent, one value for the whole batch, or one for each event.
public enum Column<Value: Sendable & Equatable>: Sendable, Equatable {
    case none
    case all(Value)
    case each([Value])

    /// The value for event `index` of the batch.
    public subscript(index: Int) -> Value? {
        switch self {
        case .none: nil
        case .all(let value): value
        case .each(let values): values[index]
        }
    }

    /// The shortest column that says the same as `values`; `absent` is the value that needs no saying.
    public static func shortest(_ values: [Value], absent: Value) -> Column {
        guard let first = values.first, values.contains(where: { $0 != absent }) else { return .none }
        return values.allSatisfy { $0 == first } ? .all(first) : .each(values)
    }
}

/// The columns of a batch.
public struct BatchColumns: Sendable, Equatable {
    /// The events' ids, where they don't count up from the first.
    public var id: Column<BusUUID> = .none
    /// The conversation each event belongs to; zero or absent: its own.
    public var correlation: Column<BusUUID> = .none
    /// The event that caused each; zero or absent: none.
    public var causation: Column<BusUUID> = .none
    /// Where answers go; empty or absent: nowhere.
    public var replyTo: Column<[UInt8]> = .none
    /// Keyed hash of the ordering key; zero or absent: none.
    public var orderingKey: Column<UInt64> = .none
    /// When each expires, microseconds since 1970; zero or absent: never.
    public var expiry: Column<Int64> = .none

    static let bitmapLength = 4
    private static let columnCount = 6

    /// No columns.
    public init() {}

    /// Reads the columns of a batch of `count` events and checks that they fill their bytes exactly.
    public init(_ bytes: SharedBytes, eventCount count: Int) throws(WireError) {
        var reader = ByteReader(bytes, range: 0..<bytes.count, frame: nil)
        let bitmap: UInt32 = try reader.integer("column bitmap")
        guard bitmap >> UInt32(2 * BatchColumns.columnCount) == 0 else {
            throw .malformedBatch("has columns this version doesn't know")
        }
        func read<V>(
            _ index: UInt32, _ value: (inout ByteReader) throws(WireError) -> V
        ) throws(WireError) -> Column<V> {
            switch (bitmap >> (2 * index)) & 0b11 {
            case 0b00: return .none
            case 0b01: return .all(try value(&reader))
            case 0b11:
                var values: [V] = []
                for _ in 0..<count { values.append(try value(&reader)) }
                return .each(values)
            default: throw .malformedBatch("column \(index) has values for each event but isn't present")
            }
        }
        id = try read(0) { (r) throws(WireError) in try r.uuid("id column") }
        correlation = try read(1) { (r) throws(WireError) in try r.uuid("correlation column") }
        causation = try read(2) { (r) throws(WireError) in try r.uuid("causation column") }
        replyTo = try read(3) { (r) throws(WireError) in
            let length: UInt8 = try r.integer("reply-to length")
            return try r.array(Int(length), "reply-to column")
        }
        orderingKey = try read(4) { (r) throws(WireError) in try r.integer("ordering key column") }
        expiry = try read(5) { (r) throws(WireError) in try r.integer("expiry column") }
        guard reader.remaining == 0 else { throw .malformedBatch("\(reader.remaining) bytes behind its columns") }
    }

    /// Appends the columns to `out`.
    public func encode(into out: inout [UInt8]) {
        out.put(bitmap)
        put(id, into: &out) { $1.put($0) }
        put(correlation, into: &out) { $1.put($0) }
        put(causation, into: &out) { $1.put($0) }
        put(replyTo, into: &out) {
            $1.put(UInt8($0.count))
            $1.append(contentsOf: $0)
        }
        put(orderingKey, into: &out) { $1.put($0) }
        put(expiry, into: &out) { $1.put($0) }
    }

    private var bitmap: UInt32 {
        bits(id) | bits(correlation) << 2 | bits(causation) << 4 | bits(replyTo) << 6 | bits(orderingKey) << 8
            | bits(expiry) << 10
    }

    private func bits<V>(_ column: Column<V>) -> UInt32 {
        switch column {
        case .none: 0b00
        case .all: 0b01
        case .each: 0b11
        }
    }

    private func put<V>(_ column: Column<V>, into out: inout [UInt8], _ write: (V, inout [UInt8]) -> Void) {
        switch column {
        case .none: break
        case .all(let value): write(value, &out)
        case .each(let values): for value in values { write(value, &out) }
        }
    }
}

extension BatchColumns {
    /// An event's id, in a batch whose first id is `first`; zero where that would overflow its counter.
    public func id(at index: Int, from first: BusUUID) -> BusUUID {
        id[index] ?? first.advanced(by: UInt64(index)) ?? .zero
    }
}

extension SealedBatch {
    /// Checks the columns: known, as many values as events, ids neither zero nor overflowing their counter.
    ///
    /// A batch without columns, which is nearly every one on a busy topic, is checked without reading any.
    public func checkColumns() throws(WireError) {
        let count = Int(header.eventCount)
        guard !header.firstID.isZero else { throw .malformedBatch("its first id is zero") }
        let isBare = header.columnsLength == 4 && columns.withUnsafeBytes { $0.loadUnaligned(as: UInt32.self) } == 0
        let ids = isBare ? .none : try BatchColumns(columns, eventCount: count).id
        switch ids {
        case .none:
            guard header.firstID.advanced(by: UInt64(count - 1)) != nil else {
                throw .malformedBatch("its ids overflow their counter")
            }
        case .all: throw .malformedBatch("gives all its events one id")
        case .each(let ids):
            guard ids[0] == header.firstID, !ids.contains(.zero) else {
                throw .malformedBatch("has a wrong or zero id")
            }
        }
    }
}
