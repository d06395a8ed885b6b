// The key check: public bytes that tell whether two sides derived the same seal, before a batch is opened.

/// Sixteen public bytes derived beside a seal's key. Announced with the seal; compared in constant time.
public struct KeyCheck: Equatable, Sendable {
    /// 16.
    public static let byteCount = 16

    /// The 16 bytes.
    public let bytes: [UInt8]

    /// Takes exactly 16 bytes, else `.wrongLength`.
    public init(_ bytes: [UInt8]) throws(CryptoError) {
        guard bytes.count == Self.byteCount else { throw .wrongLength }
        self.bytes = bytes
    }

    /// Whether both are the same, found in constant time.
    public static func == (one: KeyCheck, other: KeyCheck) -> Bool {
        one.bytes.withUnsafeBytes { one in other.bytes.withUnsafeBytes { ConstantTime.areEqual(one, $0) } }
    }
}
