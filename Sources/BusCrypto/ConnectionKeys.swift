// The keys of one connection: encrypt grants in one direction, open them in the other, each at most once.

/// Two keys in locked memory, the sending one first, and what was sealed and opened with them.
///
///     nonce = incarnation u32 big-endian ‖ counter u64 big-endian
///
/// Not copyable: two owners of one counter do not compile. A successor daemon takes them over with
/// `withUnsafeBytes` and `init(handedOver:incarnation:lastOpened:)` under a higher incarnation, and so needs no
/// counter of its predecessor.
public struct ConnectionKeys: ~Copyable, Sendable {
    /// Length of both keys: 64.
    public static let byteCount = 64
    /// How much longer a sealed grant is than its plaintext: the tag, 16 bytes.
    public static let overhead = AESGCM.tagCount

    /// Far more grants than a connection meets, far fewer than the cipher bears.
    static let grantsMax: UInt64 = 1 << 32

    /// The last position opened; nil before the first. A successor must be told.
    public private(set) var lastOpened: GrantPosition?

    private let secret: SecretBytes
    private var next: GrantPosition

    init(_ secret: SecretBytes, incarnation: UInt32, lastOpened: GrantPosition?, counter: UInt64 = 0) {
        self.secret = secret
        self.lastOpened = lastOpened
        next = GrantPosition(incarnation: incarnation, counter: counter)
    }

    /// Takes over a predecessor's connection. `incarnation` must be above the predecessor's: with the same one,
    /// nonces would repeat. Throws `.wrongLength` unless `bytes` are 64; `.forked`.
    public init(
        handedOver bytes: UnsafeRawBufferPointer, incarnation: UInt32, lastOpened: GrantPosition?
    ) throws(CryptoError) {
        self.init(
            try SecretBytes(count: Self.byteCount, copying: bytes), incarnation: incarnation, lastOpened: lastOpened)
    }

    /// The incarnation under which this side seals.
    public var incarnation: UInt32 {
        next.incarnation
    }

    /// Lends both keys, the sending one first, to be handed to a successor. `.forked` in a forked child.
    public borrowing func withUnsafeBytes<Result>(
        _ body: (UnsafeRawBufferPointer) -> Result
    ) throws(CryptoError) -> Result {
        try secret.withUnsafeBytes { (bytes) throws(CryptoError) in body(bytes) }
    }

    /// Encrypts `plaintext` for the peer. Throws `.connectionExhausted` after 2^32 grants; `.forked`.
    public mutating func sealGrant(
        _ plaintext: UnsafeRawBufferPointer, authenticating authenticated: [UInt8]
    ) throws(CryptoError) -> SealedGrant {
        try ForkGuard.check()
        guard next.counter < Self.grantsMax else { throw .connectionExhausted }
        let position = next
        next.counter += 1
        var sealed = [UInt8](repeating: 0, count: plaintext.count + Self.overhead)
        var output = sealed.mutableSpan
        try output.withUnsafeMutableBytes { (output) throws(CryptoError) in
            try secret.withLeadingKey { (key) throws(CryptoError) in
                try lend(authenticated) { (authenticated) throws(CryptoError) in
                    try AESGCM.seal(
                        plaintext, key: key, nonce: Nonce(position), authenticating: authenticated, into: output)
                }
            }
        }
        return SealedGrant(position: position, bytes: sealed)
    }

    /// Opens the peer's grant into `output`, exactly `grant.bytes.count - overhead` bytes.
    ///
    /// Throws `.replayedGrant` unless its position is above `lastOpened`, which moves only when a grant opens;
    /// `.unopenable`; `.wrongLength` when `output` has another size; `.forked`.
    public mutating func openGrant(
        _ grant: SealedGrant, authenticating authenticated: [UInt8], into output: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        if let lastOpened, grant.position <= lastOpened { throw .replayedGrant }
        try secret.withUnsafeBytes { (keys) throws(CryptoError) in
            let key = UnsafeRawBufferPointer(rebasing: keys[SealGrant.keyCount...])
            try lend(authenticated) { (authenticated) throws(CryptoError) in
                try lend(grant.bytes) { (sealed) throws(CryptoError) in
                    try AESGCM.open(
                        sealed, key: key, nonce: Nonce(grant.position), authenticating: authenticated, into: output)
                }
            }
        }
        lastOpened = grant.position
    }

    static func split(
        _ keys: UnsafeMutableRawBufferPointer
    ) -> (sending: UnsafeMutableRawBufferPointer, receiving: UnsafeMutableRawBufferPointer) {
        (
            UnsafeMutableRawBufferPointer(rebasing: keys[..<SealGrant.keyCount]),
            UnsafeMutableRawBufferPointer(rebasing: keys[SealGrant.keyCount...])
        )
    }
}
