import Testing

@testable import BusCrypto

@Suite struct NamespaceSecretTests {
    @Test("The topic secret is the known one")
    func knownTopicSecret() throws {
        #expect(try Known.topicSecret().secret.copied() == KnownAnswers.topicSecret)
    }

    @Test("Names that Unicode calls equal have different secrets")
    func bytewise() throws {
        let namespace = try NamespaceSecret.random()
        let composed = try namespace.topicSecret(topic: [0xc3, 0xa9])
        let decomposed = try namespace.topicSecret(topic: [0x65, 0xcc, 0x81])
        #expect(try composed.secret.copied() != decomposed.secret.copied())
    }

    @Test("New secrets differ, and another length is refused")
    func creation() throws {
        #expect(try NamespaceSecret.random().secret.copied() != NamespaceSecret.random().secret.copied())
        let error = refusal { () throws(CryptoError) in
            _ = try lend([1, 2, 3]) { (bytes) throws(CryptoError) in try NamespaceSecret(bytes) }
        }
        #expect(error == .wrongLength)
    }

    @Test("A name longer than a field is refused")
    func longName() throws {
        let secret = try NamespaceSecret.random()
        let error = refusal { () throws(CryptoError) in
            _ = try secret.topicSecret(topic: [UInt8](repeating: 97, count: 65_536))
        }
        #expect(error == .fieldTooLong)
    }
}
