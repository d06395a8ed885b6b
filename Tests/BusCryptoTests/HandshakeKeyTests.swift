import Testing

@testable import BusCrypto

@Suite struct HandshakeKeyTests {
    @Test("Every Wycheproof vector for X25519 agrees as it says, and each all-zero secret is refused")
    func wycheproof() throws {
        let file = try Wycheproof.read("x25519_test", Wycheproof.XDHGroup.self)
        var agreed = 0
        var refused = 0
        for test in file.testGroups.filter({ $0.curve == "curve25519" }).flatMap(\.tests) {
            let peer = hex(test.public)
            if test.flags.contains("ZeroSharedSecret") {
                let error = refusal { () throws(CryptoError) in
                    let key = try HandshakeKey(privateKey: hex(test.private))
                    _ = try key.agree(peerPublicKey: peer, transcript: KnownAnswers.transcript, role: .client)
                }
                #expect(error == .weakKey, "vector \(test.tcId)")
                refused += 1
            } else {
                let key = try HandshakeKey(privateKey: hex(test.private))
                let shared = try key.withSharedSecret(peer) { (bytes) throws(CryptoError) in [UInt8](bytes) }
                #expect(shared == hex(test.shared), "vector \(test.tcId)")
                agreed += 1
            }
        }
        #expect(agreed == 487)
        #expect(refused == 31)
        #expect(agreed + refused == file.numberOfTests)
    }

    @Test("Public keys and transcript are the known ones")
    func knownPublicKeys() throws {
        let client = try HandshakeKey(privateKey: KnownAnswers.clientPrivateKey)
        let server = try HandshakeKey(privateKey: KnownAnswers.serverPrivateKey)
        let keys = (client.publicKey, server.publicKey)
        #expect(keys.0 == KnownAnswers.clientPublicKey)
        #expect(keys.1 == KnownAnswers.serverPublicKey)
        let transcript = KnownAnswers.hello.withUnsafeBytes { hello in
            KnownAnswers.welcome.withUnsafeBytes { HandshakeKey.transcriptHash(hello: hello, welcome: $0) }
        }
        #expect(transcript == KnownAnswers.transcript)
    }

    @Test("Both sides derive the known keys, crosswise")
    func knownKeys() throws {
        let client = try Known.clientKeys().withUnsafeBytes { [UInt8]($0) }
        let server = try Known.serverKeys().withUnsafeBytes { [UInt8]($0) }
        #expect(client == KnownAnswers.keyToServer + KnownAnswers.keyToClient)
        #expect(server == KnownAnswers.keyToClient + KnownAnswers.keyToServer)
    }

    @Test("New keys differ, and two of them agree")
    func freshKeys() throws {
        let one = try HandshakeKey()
        let other = try HandshakeKey()
        let (onePublic, otherPublic) = (one.publicKey, other.publicKey)
        #expect(onePublic.count == HandshakeKey.publicKeyCount)
        #expect(onePublic != otherPublic)
        let client = try one.agree(peerPublicKey: otherPublic, transcript: [1], role: .client)
        let server = try other.agree(peerPublicKey: onePublic, transcript: [1], role: .server)
        let sent = try client.withUnsafeBytes { [UInt8]($0.prefix(32)) }
        let received = try server.withUnsafeBytes { [UInt8]($0.suffix(32)) }
        #expect(sent == received)
    }

    @Test("A public key of another length is refused", arguments: [0, 31, 33])
    func wrongLength(count: Int) {
        let error = refusal { () throws(CryptoError) in
            let key = try HandshakeKey()
            _ = try key.agree(peerPublicKey: [UInt8](repeating: 9, count: count), transcript: [], role: .client)
        }
        #expect(error == .wrongLength)
    }
}
