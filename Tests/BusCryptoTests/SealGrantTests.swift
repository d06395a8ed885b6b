import Testing

@testable import BusCrypto

@Suite struct SealGrantTests {
    @Test("Key, nonce base and key check are the known parts")
    func parts() throws {
        let grant = try Known.sealGrant()
        let check = grant.keyCheck.bytes
        let base = grant.nonceBase.withUnsafeBytes { [UInt8]($0) }
        var key: [UInt8] = []
        try grant.secret.withLeadingKey { (bytes) throws(CryptoError) in key = [UInt8](bytes) }
        #expect(key + base + check == KnownAnswers.sealMaterial)
        #expect(SealGrant.byteCount == 60)
    }
}
