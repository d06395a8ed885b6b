// The key agreement of one connection: X25519 between two keys that live no longer than the handshake.
//
// It authenticates nobody. Who the peer is, the kernel says; the keys only keep grants from others.

import Crypto

/// Which side of a connection this process is.
public enum ConnectionRole: Sendable {
    /// It connected.
    case client
    /// It accepted.
    case server
}

/// An ephemeral X25519 key, used for one agreement: `agree` consumes it.
///
///     transcript = SHA-256(hello bytes ‖ welcome bytes)
///     key        = HKDF-SHA256(ikm: shared secret, salt: transcript,
///                  info: fields("localbus connection", "client to server" or "server to client"), 32)
public struct HandshakeKey: ~Copyable, Sendable {
    /// Length of a public key: 32.
    public static let publicKeyCount = 32

    private let key: Curve25519.KeyAgreement.PrivateKey

    /// A new key from the library's generator. `.forked` in a forked child.
    public init() throws(CryptoError) {
        // Makes the guard's page: a child must not agree with its parent's key.
        try ForkGuard.check()
        key = Curve25519.KeyAgreement.PrivateKey()
    }

    /// A given key: for test vectors.
    init(privateKey: [UInt8]) throws(CryptoError) {
        do {
            key = try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: privateKey)
        } catch {
            throw .wrongLength
        }
    }

    /// The 32 bytes to send to the peer.
    public var publicKey: [UInt8] {
        [UInt8](key.publicKey.rawRepresentation)
    }

    /// SHA-256 over both hellos as they went over the wire: 32 bytes. Each hello carries its own length, so their
    /// border needs no mark.
    public static func transcriptHash(hello: UnsafeRawBufferPointer, welcome: UnsafeRawBufferPointer) -> [UInt8] {
        var hash = SHA256()
        hash.update(bufferPointer: hello)
        hash.update(bufferPointer: welcome)
        return [UInt8](hash.finalize())
    }

    /// Derives the connection's keys from the peer's public key and the transcript's hash.
    ///
    /// - Throws: `.wrongLength` unless the key has 32 bytes; `.weakKey` for the all-zero shared secret; `.forked`.
    public consuming func agree(
        peerPublicKey: [UInt8], transcript: [UInt8], role: ConnectionRole, incarnation: UInt32 = 0
    ) throws(CryptoError) -> ConnectionKeys {
        try ForkGuard.check()
        let keys = try withSharedSecret(peerPublicKey) { (shared) throws(CryptoError) in
            try SecretBytes(count: ConnectionKeys.byteCount) { (output) throws(CryptoError) in
                let (sending, receiving) = ConnectionKeys.split(output)
                let clientToServer = role == .client ? sending : receiving
                let serverToClient = role == .client ? receiving : sending
                try Self.derive(shared, transcript, "client to server", into: clientToServer)
                try Self.derive(shared, transcript, "server to client", into: serverToClient)
            }
        }
        return ConnectionKeys(keys, incarnation: incarnation, lastOpened: nil)
    }

    /// Lends the shared secret, never the all-zero one.
    borrowing func withSharedSecret<Result>(
        _ peerPublicKey: [UInt8], _ body: (UnsafeRawBufferPointer) throws(CryptoError) -> Result
    ) throws(CryptoError) -> Result {
        guard peerPublicKey.count == Self.publicKeyCount else { throw .wrongLength }
        let secret: SharedSecret
        do {
            let peer = try Curve25519.KeyAgreement.PublicKey(rawRepresentation: peerPublicKey)
            secret = try key.sharedSecretFromKeyAgreement(with: peer)
        } catch {
            // The length is right, so the library has no other objection than this one.
            throw .weakKey
        }
        // The library lets low-order points pass, so we look ourselves.
        let isWeak = secret.withUnsafeBytes { ConstantTime.isZero($0) }
        guard !isWeak else { throw .weakKey }
        let outcome = secret.withUnsafeBytes { shared -> Swift.Result<Result, CryptoError> in
            do throws(CryptoError) { return .success(try body(shared)) } catch { return .failure(error) }
        }
        return try outcome.get()
    }

    private static func derive(
        _ shared: UnsafeRawBufferPointer, _ transcript: [UInt8], _ direction: String,
        into output: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        let info = try Fields("localbus connection").adding([UInt8](direction.utf8))
        KeyDerivation.derive(from: shared, salt: transcript, info: info, into: output)
    }
}
