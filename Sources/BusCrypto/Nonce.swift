// The 96-bit nonces of AES-GCM, all counted and never random, except where a key wraps one secret.

/// Twelve bytes, as three words in memory order.
struct Nonce: Equatable, Sendable {
    static let byteCount = 12

    private var words: (UInt32, UInt32, UInt32)

    /// The twelve bytes as they are; `.wrongLength` otherwise.
    init(_ bytes: UnsafeRawBufferPointer) throws(CryptoError) {
        guard bytes.count == Self.byteCount else { throw .wrongLength }
        words = (
            bytes.loadUnaligned(as: UInt32.self), bytes.loadUnaligned(fromByteOffset: 4, as: UInt32.self),
            bytes.loadUnaligned(fromByteOffset: 8, as: UInt32.self)
        )
    }

    /// Of a grant: incarnation (u32 big-endian) ‖ counter (u64 big-endian).
    init(_ position: GrantPosition) {
        words = (position.incarnation.bigEndian, position.counter.highWord, position.counter.lowWord)
    }

    /// Of batch `counter`: this nonce base XOR (4 zero bytes ‖ counter as u64 big-endian).
    func combined(withCounter counter: UInt64) -> Nonce {
        var nonce = self
        nonce.words.1 ^= counter.highWord
        nonce.words.2 ^= counter.lowWord
        return nonce
    }

    func withUnsafeBytes<Result>(_ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        try Swift.withUnsafeBytes(of: words, body)
    }

    static func == (one: Nonce, other: Nonce) -> Bool {
        one.words == other.words
    }
}

extension UInt64 {
    /// The upper half as it lies in memory big-endian.
    fileprivate var highWord: UInt32 {
        UInt32(truncatingIfNeeded: self >> 32).bigEndian
    }

    /// The lower half as it lies in memory big-endian.
    fileprivate var lowWord: UInt32 {
        UInt32(truncatingIfNeeded: self).bigEndian
    }
}
