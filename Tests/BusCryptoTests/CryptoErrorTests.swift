import Testing

@testable import BusCrypto

@Suite("A refusal of this room")
struct CryptoErrorTests {
    /// A case that carried a length, a position or the library's own words would take more than the byte that names it.
    @Test("is its name and nothing else, whatever a peer did")
    func carriesNothing() {
        #expect(MemoryLayout<CryptoError>.size == 1)
    }

    /// Which of these was wrong is what an attacker would ask, one flipped bit after the other.
    @Test("is the same for a wrong tag, a wrong ciphertext, other authenticated bytes, another counter and another key")
    func tellsNothingApart() throws {
        let (nonce, key, aad) = ([UInt8](repeating: 2, count: 12), [UInt8](repeating: 1, count: 32), [UInt8](1...9))
        let sealed = try sealing(Array(0..<40), key: key, nonce: nonce, aad: aad)
        #expect(opening(sealed, key: key, nonce: nonce, aad: aad) == nil)
        func flipped(_ bytes: [UInt8], _ place: Int) -> [UInt8] {
            var other = bytes
            other[place] ^= 1
            return other
        }
        let wrong = [
            opening(flipped(sealed, sealed.count - 1), key: key, nonce: nonce, aad: aad),
            opening(flipped(sealed, 0), key: key, nonce: nonce, aad: aad),
            opening(sealed, key: key, nonce: nonce, aad: flipped(aad, 0)),
            opening(sealed, key: key, nonce: flipped(nonce, 11), aad: aad),
            opening(sealed, key: flipped(key, 31), nonce: nonce, aad: aad),
            opening(Array(sealed.dropLast()), key: key, nonce: nonce, aad: aad),
        ]
        #expect(wrong.allSatisfy { $0 == .unopenable })
    }

    private func sealing(_ plaintext: [UInt8], key: [UInt8], nonce: [UInt8], aad: [UInt8]) throws -> [UInt8] {
        try written(count: plaintext.count + AESGCM.tagCount) { (output) throws(CryptoError) in
            let nonce = try lend(nonce) { (bytes) throws(CryptoError) in try Nonce(bytes) }
            try lend(plaintext) { (plaintext) throws(CryptoError) in
                try lend(key) { (key) throws(CryptoError) in
                    try lend(aad) { (aad) throws(CryptoError) in
                        try AESGCM.seal(plaintext, key: key, nonce: nonce, authenticating: aad, into: output)
                    }
                }
            }
        }
    }

    private func opening(_ sealed: [UInt8], key: [UInt8], nonce: [UInt8], aad: [UInt8]) -> CryptoError? {
        refusal { () throws(CryptoError) in
            _ = try written(count: max(0, sealed.count - AESGCM.tagCount)) { (output) throws(CryptoError) in
                let nonce = try lend(nonce) { (bytes) throws(CryptoError) in try Nonce(bytes) }
                try lend(sealed) { (sealed) throws(CryptoError) in
                    try lend(key) { (key) throws(CryptoError) in
                        try lend(aad) { (aad) throws(CryptoError) in
                            try AESGCM.open(sealed, key: key, nonce: nonce, authenticating: aad, into: output)
                        }
                    }
                }
            }
        }
    }
}
