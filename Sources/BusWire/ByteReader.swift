// Reading little-endian numbers and lengths from bytes that nobody vouches for: every step is checked first.

/// A cursor over received bytes. Each read says which part of which frame it was after, for the error.
struct ByteReader {
    private let bytes: SharedBytes
    private(set) var position: Int
    private let end: Int
    private let frame: FrameType?

    /// A cursor over `range` of `bytes`.
    ///
    /// - Parameter frame: what the bytes are a part of; nil for a batch, whose refusal leaves the connection open.
    init(_ bytes: SharedBytes, range: Range<Int>, frame: FrameType?) {
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
        self.frame = frame
    }

    /// Bytes not read yet.
    var remaining: Int { end - position }

    mutating func integer<T: FixedWidthInteger>(_ what: StaticString, as type: T.Type = T.self) throws(WireError) -> T {
        guard remaining >= MemoryLayout<T>.size else { throw truncated(what) }
        let value = bytes.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: position, as: T.self) }
        position += MemoryLayout<T>.size
        return T(littleEndian: value)
    }

    mutating func uuid(_ what: StaticString) throws(WireError) -> BusUUID {
        guard remaining >= 16 else { throw truncated(what) }
        let value = bytes.withUnsafeBytes {
            BusUUID(bytes: UnsafeRawBufferPointer(rebasing: $0[position..<position + 16]))
        }
        position += 16
        return value
    }

    mutating func take(_ count: Int, _ what: StaticString) throws(WireError) -> SharedBytes {
        guard count >= 0, remaining >= count else { throw truncated(what) }
        let slice = bytes.slice(position..<position + count)
        position += count
        return slice
    }

    mutating func array(_ count: Int, _ what: StaticString) throws(WireError) -> [UInt8] {
        try take(count, what).array
    }

    mutating func skip(_ count: Int, _ what: StaticString) throws(WireError) {
        guard count >= 0, remaining >= count else { throw truncated(what) }
        position += count
    }

    private func truncated(_ what: StaticString) -> WireError {
        guard let frame else { return .malformedBatch("ends within its \(what)") }
        return .truncated(frame: frame, what: "\(what)")
    }
}
