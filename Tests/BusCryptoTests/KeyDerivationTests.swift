import Testing

@testable import BusCrypto

@Suite struct KeyDerivationTests {
    @Test("Every Wycheproof vector for HKDF with SHA-256 derives what it says, or is known to be too long")
    func wycheproof() throws {
        let file = try Wycheproof.read("hkdf_sha256_test", Wycheproof.HKDFGroup.self)
        var derived = 0
        var refused = 0
        for test in file.testGroups.flatMap(\.tests) {
            if test.result == "valid" {
                let output = try written(count: test.size) { (output) throws(CryptoError) in
                    try lend(hex(test.ikm)) { (keyMaterial) throws(CryptoError) in
                        try lend(hex(test.salt)) { (salt) throws(CryptoError) in
                            try lend(hex(test.info)) { (info) throws(CryptoError) in
                                KeyDerivation.derive(from: keyMaterial, salt: salt, info: info, into: output)
                            }
                        }
                    }
                }
                #expect(output == hex(test.okm), "vector \(test.tcId)")
                derived += 1
            } else {
                #expect(test.flags == ["SizeTooLarge"])
                #expect(!KeyDerivation.canDerive(count: test.size), "vector \(test.tcId)")
                refused += 1
            }
        }
        #expect(derived == 83)
        #expect(refused == 3)
        #expect(derived + refused == file.numberOfTests)
    }

    @Test("Nothing and one byte above 255 hashes cannot be derived")
    func bounds() {
        #expect(!KeyDerivation.canDerive(count: 0))
        #expect(KeyDerivation.canDerive(count: 1))
        #expect(KeyDerivation.canDerive(count: 8160))
        #expect(!KeyDerivation.canDerive(count: 8161))
    }
}
