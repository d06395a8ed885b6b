// The publisher's side of a seal: encrypts batches under nonces that cannot repeat.

/// Encrypts the batches of one seal, counting them from 0.
///
///     nonce(i) = nonce base XOR (4 zero bytes ‖ i as u64 big-endian)
///
/// Not copyable: two owners of one counter do not compile. Nothing is ever saved or resumed: after a crash the
/// publisher opens a new seal with a new salt. In a forked child every call throws `.forked`.
public struct Sealer: ~Copyable, Sendable {
    /// How much longer a sealed batch is than its plaintext: the tag, 16 bytes.
    public static let overhead = AESGCM.tagCount

    private let grant: SealGrant
    private var use: SealUse

    /// Starts the grant's one counter.
    public init(_ grant: consuming SealGrant) {
        self.init(grant, limits: SealLimits())
    }

    init(_ grant: consuming SealGrant, limits: SealLimits) {
        self.grant = grant
        use = SealUse(limits: limits)
    }

    /// The counter that the next `seal` uses. The batch's header, which is authenticated, carries it.
    public var nextCounter: UInt64 {
        use.batches
    }

    /// True from half of the limits on: time to open a new seal and leave this one.
    public var shouldBeRenewed: Bool {
        use.isHalfSpent
    }

    /// Encrypts `plaintext` with `nextCounter` and advances it.
    ///
    /// - Parameters:
    ///   - authenticated: The batch's header and columns, byte for byte; may be empty.
    ///   - plaintext: The batch's body; may be empty.
    ///   - output: Exactly `plaintext.count + Sealer.overhead` bytes, which become ciphertext ‖ tag. May overlap
    ///     the other two.
    /// - Throws: `.sealExhausted` at 2^30 batches or 2^34 blocks of 16 bytes; `.forked`; `.libraryFailure`, which
    ///   spends the counter all the same.
    public mutating func seal(
        authenticating authenticated: UnsafeRawBufferPointer, plaintext: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        // First of all, and again when the key is lent: a child must not even count.
        try ForkGuard.check()
        let counter = try use.spend(plaintextCount: plaintext.count, authenticatedCount: authenticated.count)
        let nonce = grant.nonceBase.combined(withCounter: counter)
        try grant.secret.withLeadingKey { (key) throws(CryptoError) in
            try AESGCM.seal(plaintext, key: key, nonce: nonce, authenticating: authenticated, into: output)
        }
    }
}
