// What the tests of this room share: hexadecimal, lending arrays, and a few secrets.

@testable import BusCrypto

/// Reads hexadecimal digits; what is not one is a mistake in a test.
func hex(_ digits: String) -> [UInt8] {
    let nibbles = digits.utf8.map { UInt8(Character(UnicodeScalar($0)).hexDigitValue!) }
    return stride(from: 0, to: nibbles.count, by: 2).map { nibbles[$0] << 4 | nibbles[$0 + 1] }
}

/// The error that `body` ends with, or nil.
func refusal(_ body: () throws(CryptoError) -> Void) -> CryptoError? {
    do throws(CryptoError) {
        try body()
        return nil
    } catch {
        return error
    }
}

/// An array of `count` bytes that `body` writes.
func written(
    count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(CryptoError) -> Void
) throws(CryptoError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    try span.withUnsafeMutableBytes(body)
    return bytes
}

extension SecretBytes {
    func copied() throws(CryptoError) -> [UInt8] {
        try withUnsafeBytes { (bytes) throws(CryptoError) in [UInt8](bytes) }
    }
}

extension Sealer {
    mutating func seal(_ body: [UInt8], header: [UInt8]) throws(CryptoError) -> [UInt8] {
        try written(count: body.count + Sealer.overhead) { (output) throws(CryptoError) in
            try lend(header) { (header) throws(CryptoError) in
                try lend(body) { (body) throws(CryptoError) in
                    try seal(authenticating: header, plaintext: body, into: output)
                }
            }
        }
    }
}

extension Opener {
    func open(_ sealed: [UInt8], counter: UInt64, header: [UInt8]) throws(CryptoError) -> [UInt8] {
        try written(count: max(0, sealed.count - Sealer.overhead)) { (output) throws(CryptoError) in
            try lend(header) { (header) throws(CryptoError) in
                try lend(sealed) { (sealed) throws(CryptoError) in
                    try open(counter: counter, authenticating: header, sealed: sealed, into: output)
                }
            }
        }
    }
}

/// The secrets of `KnownAnswers`.
enum Known {
    static func root() throws(CryptoError) -> RootKey {
        try lend(KnownAnswers.root) { (bytes) throws(CryptoError) in try RootKey(bytes) }
    }

    static func namespaceSecret() throws(CryptoError) -> NamespaceSecret {
        try lend(KnownAnswers.namespaceSecret) { (bytes) throws(CryptoError) in try NamespaceSecret(bytes) }
    }

    static func topicSecret() throws(CryptoError) -> TopicSecret {
        try namespaceSecret().topicSecret(topic: KnownAnswers.topic)
    }

    static func sealGrant() throws(CryptoError) -> SealGrant {
        try topicSecret().sealGrant(
            salt: SealSalt(KnownAnswers.salt), topic: KnownAnswers.topic, epoch: KnownAnswers.epoch)
    }

    static func opener() throws(CryptoError) -> Opener {
        try Opener(
            secret: topicSecret(), salt: SealSalt(KnownAnswers.salt), topic: KnownAnswers.topic,
            epoch: KnownAnswers.epoch, keyCheck: sealGrant().keyCheck)
    }

    static func clientKeys() throws(CryptoError) -> ConnectionKeys {
        try HandshakeKey(privateKey: KnownAnswers.clientPrivateKey).agree(
            peerPublicKey: KnownAnswers.serverPublicKey, transcript: KnownAnswers.transcript, role: .client)
    }

    static func serverKeys(incarnation: UInt32 = KnownAnswers.grantIncarnation) throws(CryptoError) -> ConnectionKeys {
        try HandshakeKey(privateKey: KnownAnswers.serverPrivateKey).agree(
            peerPublicKey: KnownAnswers.clientPublicKey, transcript: KnownAnswers.transcript, role: .server,
            incarnation: incarnation)
    }
}
