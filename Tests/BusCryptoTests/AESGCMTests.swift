import Testing

@testable import BusCrypto

@Suite struct AESGCMTests {
    @Test("Every Wycheproof vector for 256-bit keys, 96-bit nonces and 128-bit tags seals and opens as it says")
    func wycheproof() throws {
        let file = try Wycheproof.read("aes_gcm_test", Wycheproof.AEADGroup.self)
        var valid = 0
        var invalid = 0
        for group in file.testGroups where group.keySize == 256 && group.ivSize == 96 && group.tagSize == 128 {
            for test in group.tests {
                let sealed = hex(test.ct) + hex(test.tag)
                if test.result == "valid" {
                    #expect(try seal(test) == sealed, "vector \(test.tcId)")
                    #expect(try open(sealed, test) == hex(test.msg), "vector \(test.tcId)")
                    valid += 1
                } else {
                    let error = refusal { () throws(CryptoError) in _ = try open(sealed, test) }
                    #expect(error == .unopenable, "vector \(test.tcId)")
                    invalid += 1
                }
            }
        }
        #expect(valid == 39)
        #expect(invalid == 27)
    }

    @Test("What is shorter than a tag does not open", arguments: 0..<AESGCM.tagCount)
    func tooShort(count: Int) throws {
        let key = [UInt8](repeating: 1, count: 32)
        let nonce = [UInt8](repeating: 2, count: 12)
        let error = refusal { () throws(CryptoError) in
            _ = try open([UInt8](repeating: 0, count: count), key: key, nonce: nonce, aad: [])
        }
        #expect(error == .unopenable)
    }

    @Test("Output may lie over the input, in both directions", arguments: [0, 1, 64, 980, 981, 996, 997, 70_000])
    func inPlace(count: Int) throws {
        let nonce = try lend([UInt8](repeating: 2, count: 12)) { (bytes) throws(CryptoError) in try Nonce(bytes) }
        let plaintext = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: count + AESGCM.tagCount, alignment: 1)
        defer { memory.deallocate() }
        memory.copyBytes(from: plaintext)
        let body = UnsafeMutableRawBufferPointer(rebasing: memory[..<count])
        try lend([UInt8](repeating: 1, count: 32)) { (key) throws(CryptoError) in
            let none = UnsafeRawBufferPointer(start: nil, count: 0)
            try AESGCM.seal(UnsafeRawBufferPointer(body), key: key, nonce: nonce, authenticating: none, into: memory)
            try AESGCM.open(UnsafeRawBufferPointer(memory), key: key, nonce: nonce, authenticating: none, into: body)
        }
        #expect(plaintext.elementsEqual(body))
    }

    private func seal(_ test: Wycheproof.AEADTest) throws(CryptoError) -> [UInt8] {
        let plaintext = hex(test.msg)
        return try written(count: plaintext.count + AESGCM.tagCount) { (output) throws(CryptoError) in
            let nonce = try lend(hex(test.iv)) { (bytes) throws(CryptoError) in try Nonce(bytes) }
            try lend(plaintext) { (plaintext) throws(CryptoError) in
                try lend(hex(test.key)) { (key) throws(CryptoError) in
                    try lend(hex(test.aad)) { (aad) throws(CryptoError) in
                        try AESGCM.seal(plaintext, key: key, nonce: nonce, authenticating: aad, into: output)
                    }
                }
            }
        }
    }

    private func open(_ sealed: [UInt8], _ test: Wycheproof.AEADTest) throws(CryptoError) -> [UInt8] {
        try open(sealed, key: hex(test.key), nonce: hex(test.iv), aad: hex(test.aad))
    }

    private func open(
        _ sealed: [UInt8], key: [UInt8], nonce: [UInt8], aad: [UInt8]
    ) throws(CryptoError) -> [UInt8] {
        try written(count: max(0, sealed.count - AESGCM.tagCount)) { (output) throws(CryptoError) in
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
