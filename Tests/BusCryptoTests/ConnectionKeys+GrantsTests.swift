import Testing

@testable import BusCrypto

@Suite struct ConnectionKeysGrantsTests {
    private let topic = KnownAnswers.topic
    private let epoch = KnownAnswers.epoch
    private let number = KnownAnswers.sealNumber

    @Test("Both grants are the known bytes, and open to what was granted")
    func knownGrants() throws {
        var server = try Known.serverKeys()
        var client = try Known.clientKeys()
        let topicGrant = try server.sealTopicGrant(Known.topicSecret(), topic: topic, epoch: epoch)
        let sealGrant = try server.sealSealGrant(Known.sealGrant(), topic: topic, epoch: epoch, sealNumber: number)
        #expect(topicGrant.bytes == KnownAnswers.topicGrant)
        #expect(sealGrant.bytes == KnownAnswers.sealGrant)
        let secret = try client.openTopicGrant(topicGrant, topic: topic, epoch: epoch).secret.copied()
        let grant = try client.openSealGrant(sealGrant, topic: topic, epoch: epoch, sealNumber: number)
        let material = try grant.secret.copied()
        #expect(secret == KnownAnswers.topicSecret)
        #expect(material == KnownAnswers.sealMaterial)
    }

    @Test("What a publisher was granted seals batches that a subscriber's grant opens")
    func endToEnd() throws {
        var server = try Known.serverKeys()
        var client = try Known.clientKeys()
        let sealGrant = try server.sealSealGrant(Known.sealGrant(), topic: topic, epoch: epoch, sealNumber: number)
        let topicGrant = try server.sealTopicGrant(Known.topicSecret(), topic: topic, epoch: epoch)
        let granted = try client.openSealGrant(sealGrant, topic: topic, epoch: epoch, sealNumber: number)
        let check = granted.keyCheck
        var sealer = Sealer(granted)
        let sealed = try sealer.seal([1, 2, 3], header: [4])
        let opener = try Opener(
            secret: client.openTopicGrant(topicGrant, topic: topic, epoch: epoch), salt: SealSalt(KnownAnswers.salt),
            topic: topic, epoch: epoch, keyCheck: check)
        #expect(try opener.open(sealed, counter: 0, header: [4]) == [1, 2, 3])
    }

    @Test("A grant for another topic, epoch, seal or purpose does not open")
    func bindings() throws {
        var server = try Known.serverKeys()
        var client = try Known.clientKeys()
        let topicGrant = try server.sealTopicGrant(Known.topicSecret(), topic: topic, epoch: epoch)
        let sealGrant = try server.sealSealGrant(Known.sealGrant(), topic: topic, epoch: epoch, sealNumber: number)
        let refusals = [
            refusal { () throws(CryptoError) in
                _ = try client.openTopicGrant(topicGrant, topic: topic + [1], epoch: epoch)
            },
            refusal { () throws(CryptoError) in
                _ = try client.openTopicGrant(topicGrant, topic: topic, epoch: epoch + 1)
            },
            refusal { () throws(CryptoError) in
                _ = try client.openTopicGrant(sealGrant, topic: topic, epoch: epoch)
            },
            refusal { () throws(CryptoError) in
                _ = try client.openSealGrant(topicGrant, topic: topic, epoch: epoch, sealNumber: number)
            },
            refusal { () throws(CryptoError) in
                _ = try client.openSealGrant(sealGrant, topic: topic, epoch: epoch, sealNumber: number + 1)
            },
        ]
        #expect(refusals == [CryptoError?](repeating: .unopenable, count: 5))
    }

    @Test("A replayed grant is refused")
    func replay() throws {
        var server = try Known.serverKeys()
        var client = try Known.clientKeys()
        let grant = try server.sealTopicGrant(Known.topicSecret(), topic: topic, epoch: epoch)
        _ = try client.openTopicGrant(grant, topic: topic, epoch: epoch)
        let error = refusal { () throws(CryptoError) in
            _ = try client.openTopicGrant(grant, topic: topic, epoch: epoch)
        }
        #expect(error == .replayedGrant)
    }
}
