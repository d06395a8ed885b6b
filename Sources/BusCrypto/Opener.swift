// The subscriber's side of a seal: opens its batches, in any order and as often as they are delivered.

/// Opens the batches of one seal. Has no state but keys, so copies are equal and may be used from any thread.
public struct Opener: Sendable {
    private let nonceBase: Nonce
    private let secret: SecretBytes

    /// Derives the seal's key from what was granted (`secret`) and announced (the rest).
    ///
    /// - Throws: `.keyCheckMismatch` when the derived key check is not `keyCheck` (compared in constant time);
    ///   `.fieldTooLong`; `.forked`.
    public init(
        secret: TopicSecret, salt: SealSalt, topic: [UInt8], epoch: UInt32, suite: CryptoSuite = .aes256GCM,
        keyCheck: KeyCheck
    ) throws(CryptoError) {
        let grant = try secret.sealGrant(salt: salt, topic: topic, epoch: epoch, suite: suite)
        guard grant.keyCheck == keyCheck else { throw .keyCheckMismatch }
        nonceBase = grant.nonceBase
        self.secret = grant.secret
    }

    /// Decrypts one batch.
    ///
    /// - Parameters:
    ///   - counter: The counter in the batch's header.
    ///   - authenticated: The batch's header and columns, byte for byte.
    ///   - sealed: Ciphertext ‖ tag, as `Sealer` wrote it.
    ///   - output: Exactly `sealed.count - Sealer.overhead` bytes. May overlap the other two. Stays as it was when
    ///     the batch does not open.
    /// - Throws: `.unopenable` when anything does not belong together or `sealed` is shorter than a tag;
    ///   `.wrongLength` when `output` has another size; `.forked`.
    public func open(
        counter: UInt64, authenticating authenticated: UnsafeRawBufferPointer, sealed: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        let nonce = nonceBase.combined(withCounter: counter)
        try secret.withLeadingKey { (key) throws(CryptoError) in
            try AESGCM.open(sealed, key: key, nonce: nonce, authenticating: authenticated, into: output)
        }
    }
}
