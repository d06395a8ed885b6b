// The two things that are granted over a connection, each bound to what it is for.

extension ConnectionKeys {
    /// Seals a topic's secret for a subscriber: 48 bytes.
    ///
    ///     AAD = fields("localbus grant", topic, epoch u32); plaintext = topic secret, 32 bytes
    ///
    /// Throws as `sealGrant`, and `.fieldTooLong`.
    public mutating func sealTopicGrant(
        _ secret: TopicSecret, topic: [UInt8], epoch: UInt32
    ) throws(CryptoError) -> SealedGrant {
        let authenticated = try Self.topicGrantFields(topic, epoch)
        return try seal(secret.secret, authenticated)
    }

    /// Opens what `sealTopicGrant` made for the same topic and epoch.
    /// Throws as `openGrant`, `.unopenable` also for another length, and `.fieldTooLong`.
    public mutating func openTopicGrant(
        _ grant: SealedGrant, topic: [UInt8], epoch: UInt32
    ) throws(CryptoError) -> TopicSecret {
        let authenticated = try Self.topicGrantFields(topic, epoch)
        return TopicSecret(try open(grant, authenticated, count: TopicSecret.byteCount))
    }

    /// Seals a seal's key material for its publisher: 76 bytes.
    ///
    ///     AAD = fields("localbus seal grant", topic, epoch u32, seal number u64); plaintext = seal material, 60 bytes
    ///
    /// Throws as `sealGrant`, and `.fieldTooLong`.
    public mutating func sealSealGrant(
        _ grant: borrowing SealGrant, topic: [UInt8], epoch: UInt32, sealNumber: UInt64
    ) throws(CryptoError) -> SealedGrant {
        let authenticated = try Self.sealGrantFields(topic, epoch, sealNumber)
        return try seal(grant.secret, authenticated)
    }

    /// Opens what `sealSealGrant` made for the same topic, epoch and seal number.
    /// Throws as `openGrant`, `.unopenable` also for another length, and `.fieldTooLong`.
    public mutating func openSealGrant(
        _ grant: SealedGrant, topic: [UInt8], epoch: UInt32, sealNumber: UInt64
    ) throws(CryptoError) -> SealGrant {
        let authenticated = try Self.sealGrantFields(topic, epoch, sealNumber)
        return try SealGrant(open(grant, authenticated, count: SealGrant.byteCount))
    }

    private static func topicGrantFields(_ topic: [UInt8], _ epoch: UInt32) throws(CryptoError) -> [UInt8] {
        try Fields("localbus grant").adding(topic).adding(epoch).bytes
    }

    private static func sealGrantFields(
        _ topic: [UInt8], _ epoch: UInt32, _ sealNumber: UInt64
    ) throws(CryptoError) -> [UInt8] {
        try Fields("localbus seal grant").adding(topic).adding(epoch).adding(sealNumber).bytes
    }

    private mutating func seal(_ secret: SecretBytes, _ authenticated: [UInt8]) throws(CryptoError) -> SealedGrant {
        // Not a closure over `self`: the secret is lent while the counter moves.
        var sealed: SealedGrant?
        try secret.withUnsafeBytes { (plaintext) throws(CryptoError) in
            sealed = try sealGrant(plaintext, authenticating: authenticated)
        }
        guard let sealed else { throw .libraryFailure }
        return sealed
    }

    private mutating func open(
        _ grant: SealedGrant, _ authenticated: [UInt8], count: Int
    ) throws(CryptoError) -> SecretBytes {
        guard grant.bytes.count == count + Self.overhead else { throw .unopenable }
        return try SecretBytes(count: count) { (output) throws(CryptoError) in
            try openGrant(grant, authenticating: authenticated, into: output)
        }
    }
}
