// The seal grant: the key material of one seal, which is all that a publisher needs to know.

/// Sixty bytes in locked memory: seal key 32 ‖ nonce base 12 ‖ key check 16.
///
/// Not copyable, and a `Sealer` consumes it, so that one grant cannot start two counters. It travels only inside
/// a grant: `ConnectionKeys.sealSealGrant` and `openSealGrant`.
public struct SealGrant: ~Copyable, Sendable {
    /// 60.
    public static let byteCount = keyCount + Nonce.byteCount + KeyCheck.byteCount

    static let keyCount = 32

    /// To be announced with the seal; an `Opener` compares it with its own.
    public let keyCheck: KeyCheck

    let nonceBase: Nonce
    let secret: SecretBytes

    init(_ secret: SecretBytes) throws(CryptoError) {
        let checkStart = Self.keyCount + Nonce.byteCount
        let nonceBase = try secret.withUnsafeBytes { (bytes) throws(CryptoError) in
            try Nonce(UnsafeRawBufferPointer(rebasing: bytes[Self.keyCount..<checkStart]))
        }
        let keyCheck = try secret.withUnsafeBytes { (bytes) throws(CryptoError) in
            try KeyCheck([UInt8](bytes[checkStart...]))
        }
        self.secret = secret
        self.nonceBase = nonceBase
        self.keyCheck = keyCheck
    }
}

extension SecretBytes {
    /// The first 32 bytes: the key of a seal, or of a connection's sending direction.
    func withLeadingKey(
        _ body: (UnsafeRawBufferPointer) throws(CryptoError) -> Void
    ) throws(CryptoError) {
        try withUnsafeBytes { (bytes) throws(CryptoError) in
            try body(UnsafeRawBufferPointer(rebasing: bytes[..<SealGrant.keyCount]))
        }
    }
}
