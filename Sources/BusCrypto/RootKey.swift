// The root key: wraps the namespace secrets of one state directory, and does nothing else.

/// The 32 bytes at the top of the key schedule. Copies share one place in locked memory.
///
///     wrapping key = HKDF-SHA256(ikm: root key, salt: empty, info: fields("localbus store"), 32)
///     root key id  = first 8 bytes of
///                    HKDF-SHA256(ikm: root key, salt: empty, info: fields("localbus key id"), 32)
///     machine mark = first 8 bytes of
///                    HKDF-SHA256(ikm: root key, salt: empty, info: fields("localbus machine", machine id), 32)
///     wrapped      = nonce ‖ AES-256-GCM(wrapping key, random 12-byte nonce, namespace secret,
///                    AAD: fields("namespace", namespace, epoch u32)) ‖ tag
///
/// `fields` writes each value as its length (u16 little-endian) and its bytes; integers are little-endian.
public struct RootKey: Sendable {
    /// 32.
    public static let byteCount = 32
    /// Length of a wrapped namespace secret: nonce 12, ciphertext 32, tag 16.
    public static let wrappedCount = Nonce.byteCount + NamespaceSecret.byteCount + AESGCM.tagCount

    /// Tells root keys apart without telling anything about them.
    public let id: RootKeyID

    private let secret: SecretBytes

    /// Copies exactly 32 bytes (else `.wrongLength`); the caller wipes its own. `.forked` in a forked child.
    public init(_ bytes: UnsafeRawBufferPointer) throws(CryptoError) {
        try self.init(SecretBytes(count: Self.byteCount, copying: bytes))
    }

    private init(_ secret: SecretBytes) throws(CryptoError) {
        self.secret = secret
        let id = try KeyDerivation.secret(from: secret, info: Fields("localbus key id"), count: Self.byteCount)
        self.id = RootKeyID(
            rawValue: try id.withUnsafeBytes { (bytes) throws(CryptoError) in
                UInt64(bigEndian: bytes.loadUnaligned(as: UInt64.self))
            })
    }

    /// A new key from the system's generator. `.forked` in a forked child.
    public static func random() throws(CryptoError) -> RootKey {
        try RootKey(SecretBytes(randomCount: byteCount))
    }

    /// Lends the 32 bytes, to be written to the key file. `.forked` in a forked child.
    public func withUnsafeBytes<Result>(
        _ body: (UnsafeRawBufferPointer) -> Result
    ) throws(CryptoError) -> Result {
        try secret.withUnsafeBytes { (bytes) throws(CryptoError) in body(bytes) }
    }

    /// Tells the machine a key was used on from others: 8 bytes that tell nothing of its id without the key.
    /// Throws `.fieldTooLong` for an id above 65,535 bytes, `.forked`.
    public func mark(ofMachine id: [UInt8]) throws(CryptoError) -> [UInt8] {
        let info = try Fields("localbus machine").adding(id)
        return try KeyDerivation.secret(from: secret, info: info, count: Self.byteCount)
            .withUnsafeBytes { Array($0.prefix(8)) }
    }

    /// Encrypts a namespace's secret for the store: `wrappedCount` bytes, different each time.
    /// Throws `.fieldTooLong` for a namespace above 65,535 bytes, `.forked`.
    public func wrap(
        _ namespaceSecret: NamespaceSecret, namespace: [UInt8], epoch: UInt32
    ) throws(CryptoError) -> [UInt8] {
        var wrapped = [UInt8](repeating: 0, count: Self.wrappedCount)
        var output = wrapped.mutableSpan
        try output.withUnsafeMutableBytes { (output) throws(CryptoError) in
            let nonceBytes = UnsafeMutableRawBufferPointer(rebasing: output[..<Nonce.byteCount])
            fillRandomly(nonceBytes)
            let nonce = try Nonce(UnsafeRawBufferPointer(nonceBytes))
            let sealed = UnsafeMutableRawBufferPointer(rebasing: output[Nonce.byteCount...])
            try withWrappingKey(namespace, epoch) { (key, authenticated) throws(CryptoError) in
                try namespaceSecret.secret.withUnsafeBytes { (plaintext) throws(CryptoError) in
                    try AESGCM.seal(plaintext, key: key, nonce: nonce, authenticating: authenticated, into: sealed)
                }
            }
        }
        return wrapped
    }

    /// Decrypts what `wrap` made. Throws `.wrongLength`, `.unopenable` (another root key, namespace or epoch, or
    /// damage), `.fieldTooLong`, `.forked`.
    public func unwrap(
        _ wrapped: [UInt8], namespace: [UInt8], epoch: UInt32
    ) throws(CryptoError) -> NamespaceSecret {
        guard wrapped.count == Self.wrappedCount else { throw .wrongLength }
        return try lend(wrapped) { (wrapped) throws(CryptoError) in
            let nonce = try Nonce(UnsafeRawBufferPointer(rebasing: wrapped[..<Nonce.byteCount]))
            let sealed = UnsafeRawBufferPointer(rebasing: wrapped[Nonce.byteCount...])
            return try withWrappingKey(namespace, epoch) { (key, authenticated) throws(CryptoError) in
                NamespaceSecret(
                    try SecretBytes(count: NamespaceSecret.byteCount) { (output) throws(CryptoError) in
                        try AESGCM.open(sealed, key: key, nonce: nonce, authenticating: authenticated, into: output)
                    })
            }
        }
    }

    private func withWrappingKey<Result>(
        _ namespace: [UInt8], _ epoch: UInt32,
        _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) throws(CryptoError) -> Result
    ) throws(CryptoError) -> Result {
        let key = try KeyDerivation.secret(from: secret, info: Fields("localbus store"), count: Self.byteCount)
        let authenticated = try Fields("namespace").adding(namespace).adding(epoch)
        return try key.withUnsafeBytes { (key) throws(CryptoError) in
            try authenticated.withUnsafeBytes { (authenticated) throws(CryptoError) in try body(key, authenticated) }
        }
    }
}
