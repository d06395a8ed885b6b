// Values of the whole key schedule, computed by another implementation: Python's `cryptography`, as follows.
//
//     from cryptography.hazmat.primitives.kdf.hkdf import HKDF
//     from cryptography.hazmat.primitives.hashes import SHA256, Hash
//     from cryptography.hazmat.primitives.ciphers.aead import AESGCM
//     from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
//     le = lambda n, w: n.to_bytes(w, "little")
//     fields = lambda *f: b"".join(le(len(x), 2) + x for x in f)
//     hkdf = lambda ikm, salt, info, n: HKDF(SHA256(), n, salt, info).derive(ikm)
//     root, namespace_secret, salt = bytes(range(32)), bytes(range(32, 64)), bytes(range(64, 96))
//     topic, namespace, epoch = "billing.rechnung.größe".encode(), b"billing", 7
//     key_id = hkdf(root, b"", fields(b"localbus key id"), 32)[:8]
//     wrapping = hkdf(root, b"", fields(b"localbus store"), 32)
//     nonce = bytes(range(12))
//     wrapped = nonce + AESGCM(wrapping).encrypt(nonce, namespace_secret, fields(b"namespace", namespace, le(epoch, 4)))
//     topic_secret = hkdf(namespace_secret, b"", fields(b"localbus topic", topic), 32)
//     seal = hkdf(topic_secret, salt, fields(b"localbus seal", le(1, 1), topic, le(epoch, 4)), 60)
//     key, base, check = seal[:32], seal[32:44], seal[44:]
//     i = 0x0102030405060708
//     nonce_at = lambda i: bytes(a ^ b for a, b in zip(base, bytes(4) + i.to_bytes(8, "big")))
//     batch0 = AESGCM(key).encrypt(nonce_at(0), b"hello", b"header")
//     batch1 = AESGCM(key).encrypt(nonce_at(1), b"hello", b"header")
//     batchi = AESGCM(key).encrypt(nonce_at(i), b"hello", b"header")
//     client, server = (X25519PrivateKey.from_private_bytes(bytes([b]) * 32) for b in (1, 2))
//     digest = Hash(SHA256()); digest.update(b"hello bytes" + b"welcome bytes"); transcript = digest.finalize()
//     raw = lambda k: k.public_key().public_bytes_raw()
//     shared = client.exchange(server.public_key())
//     to_server = hkdf(shared, transcript, fields(b"localbus connection", b"client to server"), 32)
//     to_client = hkdf(shared, transcript, fields(b"localbus connection", b"server to client"), 32)
//     place = lambda incarnation, counter: incarnation.to_bytes(4, "big") + counter.to_bytes(8, "big")
//     topic_grant = AESGCM(to_client).encrypt(place(3, 0), topic_secret, fields(b"localbus grant", topic, le(epoch, 4)))
//     seal_grant = AESGCM(to_client).encrypt(place(3, 1), seal, fields(b"localbus seal grant", topic, le(epoch, 4), le(99, 8)))

import BusCrypto

enum KnownAnswers {
    static let root = [UInt8](0..<32)
    static let namespaceSecret = [UInt8](32..<64)
    static let salt = [UInt8](64..<96)
    static let namespace = [UInt8]("billing".utf8)
    static let topic = [UInt8]("billing.rechnung.größe".utf8)
    static let epoch: UInt32 = 7
    static let batchHeader = [UInt8]("header".utf8)
    static let batchBody = [UInt8]("hello".utf8)
    static let farCounter: UInt64 = 0x0102_0304_0506_0708
    static let clientPrivateKey = [UInt8](repeating: 1, count: 32)
    static let serverPrivateKey = [UInt8](repeating: 2, count: 32)
    static let hello = [UInt8]("hello bytes".utf8)
    static let welcome = [UInt8]("welcome bytes".utf8)
    static let grantIncarnation: UInt32 = 3
    static let sealNumber: UInt64 = 99

    static let rootKeyID = "46d6df400dea32b4"
    static let wrapped = hex(
        "000102030405060708090a0b73e93922d3a4481d47325ff4e5ca406d428b64a8daf778f30c37f0a5"
            + "df218b43c7ac8c8a62dbc6ded3377bb671a13e57")
    static let topicSecret = hex("6ea87e733ab9fe27c0bcfe75a2d0f24f37b8ff4566ec7c7f6c784955e0e18e68")
    static let sealMaterial = hex(
        "f95bab1d3a1c3f61e7e5657035e431c003afb7d47a8900bb937f216235e9c888b7dcc9f421174dbb"
            + "e1799720dea53de020a4ec006a2f9379ab6ac3c1")
    static let batchAtZero = hex("2dab911749c66e52b66e17d41128f1509f403c8ee4")
    static let batchAtOne = hex("d491f92dffe15bdbaf4a2397056276c41e8811e7d2")
    static let batchAtFarCounter = hex("7625bec502f712720fd1b0b03a807986f9efad3b7b")
    static let clientPublicKey = hex("a4e09292b651c278b9772c569f5fa9bb13d906b46ab68c9df9dc2b4409f8a209")
    static let serverPublicKey = hex("ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59")
    static let transcript = hex("ac796c1ea9dff25e91266a1beed5cbcc9103926537caaa5364394baf09be4912")
    static let keyToServer = hex("84fdefed9879f6bbcff971dc3a24198f5f0f7c7a9d286f64ccb4ae53b8a8f552")
    static let keyToClient = hex("2feda1db396d38d49df6aebf73b6fd7c406642a5e5b1c578eb2da72886177c17")
    static let topicGrant = hex(
        "481a87491b17bfaac6ea365d7ac6e3d40ad6899b1d1180ea447bde835a2281f0f6bcac0f632148ce"
            + "8b11618b507da3c0")
    static let sealGrant = hex(
        "d31bb087470445416b3d3d351551d4f0e8cd05f5c85086ba783bfb142d2607c7a3e236ff4d24d391"
            + "00a4c87d3f813f239cd9922ab29b40b40578f48309390be350c03f5f877dd54ac8045a66")
}
