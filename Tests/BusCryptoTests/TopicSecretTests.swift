import Testing

@testable import BusCrypto

@Suite struct TopicSecretTests {
    @Test("The seal material is the known one")
    func knownSealMaterial() throws {
        let grant = try Known.sealGrant()
        let material = try grant.secret.copied()
        #expect(material == KnownAnswers.sealMaterial)
    }

    @Test("Each of salt, topic, epoch and secret changes the whole material")
    func separation() throws {
        let secret = try TopicSecret(SecretBytes(randomCount: 32))
        let other = try TopicSecret(SecretBytes(randomCount: 32))
        let (salt, otherSalt) = (SealSalt.random(), SealSalt.random())
        let materials = try [
            material(secret, salt, [1], 1), material(other, salt, [1], 1), material(secret, otherSalt, [1], 1),
            material(secret, salt, [2], 1), material(secret, salt, [1], 2),
        ]
        for part in [0..<32, 32..<44, 44..<60] {
            #expect(Set(materials.map { $0[part] }).count == materials.count)
        }
    }

    private func material(
        _ secret: TopicSecret, _ salt: SealSalt, _ topic: [UInt8], _ epoch: UInt32
    ) throws(CryptoError) -> [UInt8] {
        try secret.sealGrant(salt: salt, topic: topic, epoch: epoch).secret.copied()
    }
}
