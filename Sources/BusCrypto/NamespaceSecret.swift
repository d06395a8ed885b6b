// The namespace secret: random, one for each namespace and epoch; dropping it shreds that epoch's events.

/// Thirty-two secret bytes of one namespace and epoch. Copies share one place in locked memory.
///
///     topic secret = HKDF-SHA256(ikm: namespace secret, salt: empty, info: fields("localbus topic", topic), 32)
public struct NamespaceSecret: Sendable {
    /// 32.
    public static let byteCount = 32

    let secret: SecretBytes

    init(_ secret: SecretBytes) {
        self.secret = secret
    }

    /// Copies exactly 32 bytes (else `.wrongLength`); the caller wipes its own. `.forked` in a forked child.
    public init(_ bytes: UnsafeRawBufferPointer) throws(CryptoError) {
        self.init(try SecretBytes(count: Self.byteCount, copying: bytes))
    }

    /// A new secret from the system's generator. `.forked` in a forked child.
    public static func random() throws(CryptoError) -> NamespaceSecret {
        NamespaceSecret(try SecretBytes(randomCount: byteCount))
    }

    /// Lends the 32 bytes, for a client's own keyring. `.forked` in a forked child.
    public func withUnsafeBytes<Result>(
        _ body: (UnsafeRawBufferPointer) -> Result
    ) throws(CryptoError) -> Result {
        try secret.withUnsafeBytes { (bytes) throws(CryptoError) in body(bytes) }
    }

    /// The secret of one topic of this namespace and epoch. `topic` is the name's bytes. Throws `.fieldTooLong`,
    /// `.forked`.
    public func topicSecret(topic: [UInt8]) throws(CryptoError) -> TopicSecret {
        let info = try Fields("localbus topic").adding(topic)
        return TopicSecret(try KeyDerivation.secret(from: secret, info: info, count: TopicSecret.byteCount))
    }
}
