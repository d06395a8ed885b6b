import Testing

@testable import BusCrypto

@Suite struct ConnectionKeysTests {
    @Test("Grants travel both ways, under keys of their own")
    func bothWays() throws {
        var client = try Known.clientKeys()
        var server = try Known.serverKeys()
        let toClient = try seal([1, 2, 3], &server)
        let toServer = try seal([1, 2, 3], &client)
        #expect(toClient.bytes != toServer.bytes)
        let atClient = try open(toClient, &client)
        let atServer = try open(toServer, &server)
        #expect(atClient == [1, 2, 3])
        #expect(atServer == [1, 2, 3])
        let reflected = refusal { () throws(CryptoError) in
            var sameServer = try Known.serverKeys()
            _ = try open(toClient, &sameServer)
        }
        #expect(reflected == .unopenable)
    }

    @Test("A grant opens once, and an earlier one not at all")
    func replay() throws {
        var client = try Known.clientKeys()
        var server = try Known.serverKeys()
        let first = try seal([1], &server)
        let second = try seal([2], &server)
        let third = try seal([3], &server)
        _ = try open(second, &client)
        for grant in [first, second] {
            let error = refusal { () throws(CryptoError) in _ = try open(grant, &client) }
            #expect(error == .replayedGrant)
        }
        let opened = try open(third, &client)
        #expect(opened == [3])
    }

    @Test("A forged grant does not move the position, so the true one still opens")
    func forgery() throws {
        var client = try Known.clientKeys()
        var server = try Known.serverKeys()
        let grant = try seal([1], &server)
        var ahead = grant
        ahead.position = GrantPosition(incarnation: .max, counter: .max)
        let moved = refusal { () throws(CryptoError) in _ = try open(ahead, &client) }
        #expect(moved == .unopenable)
        for bit in 0..<grant.bytes.count * 8 {
            var forged = grant
            forged.bytes[bit / 8] ^= 1 << (bit % 8)
            let error = refusal { () throws(CryptoError) in _ = try open(forged, &client) }
            #expect(error == .unopenable)
        }
        let position = client.lastOpened
        #expect(position == nil)
        let opened = try open(grant, &client)
        #expect(opened == [1])
    }

    @Test("A successor seals under a higher incarnation, and its predecessor is not heard again")
    func succession() throws {
        var client = try Known.clientKeys()
        var old = try Known.serverKeys(incarnation: 0)
        _ = try open(seal([1], &old), &client)
        let late = try seal([2], &old)

        var handover: [UInt8] = try old.withUnsafeBytes { [UInt8]($0) }
        let position = old.lastOpened
        var new = try lend(handover) { (bytes) throws(CryptoError) in
            try ConnectionKeys(handedOver: bytes, incarnation: 1, lastOpened: position)
        }
        let grant = try seal([3], &new)
        #expect(grant.position == GrantPosition(incarnation: 1, counter: 0))
        let opened = try open(grant, &client)
        #expect(opened == [3])
        let error = refusal { () throws(CryptoError) in _ = try open(late, &client) }
        #expect(error == .replayedGrant)

        handover.removeLast()
        let short = refusal { () throws(CryptoError) in
            _ = try lend(handover) { (bytes) throws(CryptoError) in
                _ = try ConnectionKeys(handedOver: bytes, incarnation: 1, lastOpened: nil)
            }
        }
        #expect(short == .wrongLength)
    }

    @Test("A connection refuses at its limit of grants")
    func exhaustion() throws {
        let secret = try SecretBytes(randomCount: ConnectionKeys.byteCount)
        var keys = ConnectionKeys(secret, incarnation: 0, lastOpened: nil, counter: ConnectionKeys.grantsMax - 1)
        let last = try seal([1], &keys)
        #expect(last.position.counter == 4_294_967_295)
        for _ in 0..<2 {
            let error = refusal { () throws(CryptoError) in _ = try seal([1], &keys) }
            #expect(error == .connectionExhausted)
        }
    }

    private func seal(_ plaintext: [UInt8], _ keys: inout ConnectionKeys) throws(CryptoError) -> SealedGrant {
        try lend(plaintext) { (plaintext) throws(CryptoError) in
            try keys.sealGrant(plaintext, authenticating: [9])
        }
    }

    private func open(_ grant: SealedGrant, _ keys: inout ConnectionKeys) throws(CryptoError) -> [UInt8] {
        try written(count: grant.bytes.count - ConnectionKeys.overhead) { (output) throws(CryptoError) in
            try keys.openGrant(grant, authenticating: [9], into: output)
        }
    }
}
