// Length-prefixed fields: how names and numbers enter a key derivation or a tag, so that no two lists of values
// ever become the same bytes.

/// A list of fields. Each is its length as u16 little-endian, then its bytes; the first is a label.
struct Fields {
    private(set) var bytes: [UInt8] = []

    init(_ label: StaticString) {
        precondition(label.utf8CodeUnitCount <= Int(UInt16.max), "labels are short literals of this room")
        label.withUTF8Buffer { append(UnsafeRawBufferPointer($0)) }
    }

    /// Adds `value` as it is; `.fieldTooLong` above 65,535 bytes.
    func adding(_ value: [UInt8]) throws(CryptoError) -> Fields {
        guard value.count <= Int(UInt16.max) else { throw .fieldTooLong }
        var fields = self
        value.withUnsafeBytes { fields.append($0) }
        return fields
    }

    /// Adds `value` little-endian, as wide as its type.
    func adding<Integer: FixedWidthInteger & UnsignedInteger>(_ value: Integer) -> Fields {
        var fields = self
        Swift.withUnsafeBytes(of: value.littleEndian) { fields.append($0) }
        return fields
    }

    func withUnsafeBytes<Result: ~Copyable>(
        _ body: (UnsafeRawBufferPointer) throws(CryptoError) -> Result
    ) throws(CryptoError) -> Result {
        try lend(bytes, body)
    }

    private mutating func append(_ field: UnsafeRawBufferPointer) {
        Swift.withUnsafeBytes(of: UInt16(field.count).littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(contentsOf: field)
    }
}

/// Lends an array's bytes to a body with typed errors, which `Array.withUnsafeBytes` would widen to `any Error`.
func lend<Result: ~Copyable>(
    _ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(CryptoError) -> Result
) throws(CryptoError) -> Result {
    try bytes.span.withUnsafeBytes(body)
}
