// HKDF with SHA-256 (RFC 5869): every key of this room that is not random comes from here.

import Crypto

enum KeyDerivation {
    /// RFC 5869: 255 hashes.
    static let outputCountMax = 255 * SHA256.byteCount

    static func canDerive(count: Int) -> Bool {
        (1...outputCountMax).contains(count)
    }

    /// Fills `output` from key material, salt and info.
    static func derive(
        from keyMaterial: UnsafeRawBufferPointer, salt: UnsafeRawBufferPointer, info: UnsafeRawBufferPointer,
        into output: UnsafeMutableRawBufferPointer
    ) {
        precondition(canDerive(count: output.count), "lengths here are constants of the key schedule, at most 64")
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: keyMaterial), salt: salt, info: info, outputByteCount: output.count
        ).withUnsafeBytes { output.copyMemory(from: $0) }
    }

    /// A new secret of `count` bytes derived from another one.
    static func secret(
        from secret: SecretBytes, salt: [UInt8] = [], info: Fields, count: Int
    ) throws(CryptoError) -> SecretBytes {
        try secret.withUnsafeBytes { (keyMaterial) throws(CryptoError) in
            try Self.secret(from: keyMaterial, salt: salt, info: info, count: count)
        }
    }

    /// A new secret of `count` bytes derived from key material that lies elsewhere.
    static func secret(
        from keyMaterial: UnsafeRawBufferPointer, salt: [UInt8], info: Fields, count: Int
    ) throws(CryptoError) -> SecretBytes {
        try SecretBytes(count: count) { (output) throws(CryptoError) in
            derive(from: keyMaterial, salt: salt, info: info, into: output)
        }
    }

    static func derive(
        from keyMaterial: UnsafeRawBufferPointer, salt: [UInt8], info: Fields,
        into output: UnsafeMutableRawBufferPointer
    ) {
        salt.withUnsafeBytes { salt in
            info.bytes.withUnsafeBytes { info in
                derive(from: keyMaterial, salt: salt, info: info, into: output)
            }
        }
    }
}
