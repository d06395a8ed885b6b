import Testing

@testable import BusCrypto

@Suite struct SecretBytesTests {
    @Test("Bytes are copied in and lent out, in every length a slot holds")
    func lending() throws {
        for count in 0...64 {
            let bytes = (0..<count).map { UInt8($0) }
            let secret = try lend(bytes) { (bytes) throws(CryptoError) in
                try SecretBytes(count: count, copying: bytes)
            }
            #expect(try secret.copied() == bytes)
        }
    }

    @Test("Another length is refused")
    func wrongLength() {
        let error = refusal { () throws(CryptoError) in
            _ = try lend([1, 2]) { (bytes) throws(CryptoError) in try SecretBytes(count: 3, copying: bytes) }
        }
        #expect(error == .wrongLength)
    }

    @Test("Random secrets differ and are random up to their last byte")
    func random() throws {
        let secrets = try (0..<64).map { _ in try SecretBytes(randomCount: 13).copied() }
        #expect(Set(secrets).count == 64)
        for index in 0..<13 { #expect(Set(secrets.map { $0[index] }).count > 1) }
    }

    @Test("An error while it is written comes out as it is")
    func failingFill() {
        let error = refusal { () throws(CryptoError) in
            _ = try SecretBytes(count: 32) { (_) throws(CryptoError) in throw .weakKey }
        }
        #expect(error == .weakKey)
    }
}
