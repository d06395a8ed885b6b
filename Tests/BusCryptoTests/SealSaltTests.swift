import Testing

@testable import BusCrypto

@Suite struct SealSaltTests {
    @Test("New salts differ and keep their bytes")
    func random() throws {
        let salts = Set((0..<100).map { _ in SealSalt.random() })
        #expect(salts.count == 100)
        for salt in salts { #expect(try SealSalt(salt.bytes) == salt) }
    }

    @Test("Another length is refused", arguments: [0, 31, 33])
    func lengths(count: Int) {
        let error = refusal { () throws(CryptoError) in _ = try SealSalt([UInt8](repeating: 0, count: count)) }
        #expect(error == .wrongLength)
    }
}
