// Writing little-endian numbers and lengths to the end of an array that its owner keeps and reuses.

extension [UInt8] {
    /// Appends an integer, little-endian.
    @inline(__always)
    mutating func put<T: FixedWidthInteger>(_ value: T) {
        Swift.withUnsafeBytes(of: value.littleEndian) { append(contentsOf: $0) }
    }

    /// Appends a UUID in network byte order.
    mutating func put(_ id: BusUUID) {
        Swift.withUnsafeBytes(of: (id.high.bigEndian, id.low.bigEndian)) { append(contentsOf: $0) }
    }

    /// Overwrites four bytes at `index` with an integer, little-endian.
    mutating func patch(_ value: UInt32, at index: Int) {
        Swift.withUnsafeBytes(of: value.littleEndian) { bytes in
            for i in 0..<4 { self[index + i] = bytes[i] }
        }
    }
}
