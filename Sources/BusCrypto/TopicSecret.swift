// The topic secret: what a subscriber is granted, and what every seal of the topic is derived from.

/// Thirty-two secret bytes of one topic and epoch. Copies share one place in locked memory.
///
///     seal material = HKDF-SHA256(ikm: topic secret, salt: seal salt,
///                     info: fields("localbus seal", suite u8, topic, epoch u32), 60)
///                   = seal key 32 ‖ nonce base 12 ‖ key check 16
///
/// It travels only inside a grant: `ConnectionKeys.sealTopicGrant` and `openTopicGrant`.
public struct TopicSecret: Sendable {
    /// 32.
    public static let byteCount = 32

    let secret: SecretBytes

    init(_ secret: SecretBytes) {
        self.secret = secret
    }

    /// Derives what one publisher seals with. `salt` must be new for each seal: the same one gives the same key.
    /// Throws `.fieldTooLong`, `.forked`.
    public func sealGrant(
        salt: SealSalt, topic: [UInt8], epoch: UInt32, suite: CryptoSuite = .aes256GCM
    ) throws(CryptoError) -> SealGrant {
        let info = try Fields("localbus seal").adding(suite.rawValue).adding(topic).adding(epoch)
        return try SealGrant(
            KeyDerivation.secret(from: secret, salt: salt.bytes, info: info, count: SealGrant.byteCount))
    }
}
