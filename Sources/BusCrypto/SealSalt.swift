// The seal salt: what makes every seal's key new, whatever was lost before.

/// Thirty-two public bytes chosen at random by the publisher for each topic and epoch it opens; never used again.
public struct SealSalt: Hashable, Sendable {
    /// 32.
    public static let byteCount = 32

    /// The 32 bytes.
    public let bytes: [UInt8]

    /// Takes exactly 32 bytes, else `.wrongLength`.
    public init(_ bytes: [UInt8]) throws(CryptoError) {
        guard bytes.count == Self.byteCount else { throw .wrongLength }
        self.bytes = bytes
    }

    private init(unchecked bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// A new salt from the system's generator.
    public static func random() -> SealSalt {
        SealSalt(
            unchecked: [UInt8](unsafeUninitializedCapacity: byteCount) { buffer, count in
                fillRandomly(UnsafeMutableRawBufferPointer(buffer))
                count = byteCount
            })
    }
}
