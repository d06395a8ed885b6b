// AES-256-GCM over raw memory: the one place where this room meets the library's cipher.
//
// The library's API returns its own storage, so each call allocates and copies once more than the cipher needs.
// Of its shapes, these were the fastest (GB/s at 64 KiB and ns at 142 bytes, one core, with `LargeBlocks`):
//   seal, `combined` copied out                     6.4    1,540   taken
//   seal, `ciphertext` and `tag` copied out         5.8    2,460
//   open, box of parts                              6.2    1,650   taken above `stackCountMax`
//   open, box of contiguous bytes on the stack      -      1,170   taken below
//   open, contiguous bytes put together on the heap 5.1    1,330
// A `SymmetricKey` for each use costs 70 ns of that, and leaves no key in memory outside the arena.

import Crypto
import FoundationEssentials

enum AESGCM {
    static let tagCount = 16

    /// A temporary allocation up to this size lies on the stack (a threshold of the Swift runtime).
    private static let stackCountMax = 1024

    /// Writes ciphertext ‖ tag, `plaintext.count + tagCount` bytes. `output` may overlap the inputs.
    static func seal(
        _ plaintext: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, nonce: Nonce,
        authenticating authenticated: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        precondition(output.count == plaintext.count + tagCount, "the caller sizes the output by `tagCount`")
        LargeBlocks.prepare(for: plaintext.count)
        do {
            let box = try AES.GCM.seal(
                plaintext, using: SymmetricKey(data: key), nonce: libraryNonce(nonce), authenticating: authenticated)
            // Always there with a nonce of twelve bytes.
            guard let combined = box.combined else { throw CryptoError.libraryFailure }
            combined.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in
                output.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[Nonce.byteCount...]))
            }
        } catch {
            throw .libraryFailure
        }
    }

    /// Writes the plaintext, `sealed.count - tagCount` bytes, or throws `.unopenable` and leaves `output` alone.
    /// `output` may overlap the inputs.
    static func open(
        _ sealed: UnsafeRawBufferPointer, key: UnsafeRawBufferPointer, nonce: Nonce,
        authenticating authenticated: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
    ) throws(CryptoError) {
        guard sealed.count >= tagCount else { throw .unopenable }
        // Not a precondition: a peer chose how long `sealed` is.
        guard output.count == sealed.count - tagCount else { throw .wrongLength }
        LargeBlocks.prepare(for: sealed.count)
        do {
            var plaintext = try AES.GCM.open(
                box(sealed, nonce: nonce), using: SymmetricKey(data: key), authenticating: authenticated)
            plaintext.withUnsafeBytes { (bytes: UnsafeRawBufferPointer) in output.copyMemory(from: bytes) }
            // What is this short may be a secret, and the library frees its memory as it is. Nobody else holds
            // `plaintext`, so this writes in place.
            if plaintext.count <= SecretSlot.byteCount {
                plaintext.withUnsafeMutableBytes { (bytes: UnsafeMutableRawBufferPointer) in wipe(bytes) }
            }
        } catch {
            throw .unopenable
        }
    }

    private static func box(_ sealed: UnsafeRawBufferPointer, nonce: Nonce) throws -> AES.GCM.SealedBox {
        let count = Nonce.byteCount + sealed.count
        guard count <= stackCountMax else {
            return try AES.GCM.SealedBox(
                nonce: libraryNonce(nonce), ciphertext: UnsafeRawBufferPointer(rebasing: sealed.dropLast(tagCount)),
                tag: UnsafeRawBufferPointer(rebasing: sealed.suffix(tagCount)))
        }
        return try withUnsafeTemporaryAllocation(byteCount: count, alignment: 8) { combined in
            nonce.withUnsafeBytes { combined.copyMemory(from: $0) }
            UnsafeMutableRawBufferPointer(rebasing: combined[Nonce.byteCount...]).copyMemory(from: sealed)
            return try AES.GCM.SealedBox(combined: UnsafeRawBufferPointer(combined))
        }
    }

    private static func libraryNonce(_ nonce: Nonce) throws -> AES.GCM.Nonce {
        try nonce.withUnsafeBytes { try AES.GCM.Nonce(data: $0) }
    }
}
