// The storage beneath every secret type: up to 64 bytes in the arena, immutable, wiped with its last owner.

/// A secret by reference. Copies share one slot, so a secret lies in memory once however often it is passed on.
final class SecretBytes: Sendable {
    private let slot: SecretSlot
    private let count: Int

    /// Takes a slot and lets `fill` write it.
    init(count: Int, _ fill: (UnsafeMutableRawBufferPointer) throws(CryptoError) -> Void) throws(CryptoError) {
        precondition(count <= SecretSlot.byteCount, "each secret type names its length, and none is above a slot")
        // Also makes the guard's page before the first secret exists.
        try ForkGuard.check()
        slot = SecretArena.shared.take()
        self.count = count
        // The class is whole from here on, so a throw runs deinit and gives the slot back.
        try fill(UnsafeMutableRawBufferPointer(rebasing: slot.bytes[..<count]))
    }

    /// A copy of `bytes`, which must be `count` long (`.wrongLength`).
    convenience init(count: Int, copying bytes: UnsafeRawBufferPointer) throws(CryptoError) {
        guard bytes.count == count else { throw .wrongLength }
        try self.init(count: count) { (slot) throws(CryptoError) in slot.copyMemory(from: bytes) }
    }

    /// `count` bytes from the system's generator.
    convenience init(randomCount count: Int) throws(CryptoError) {
        try self.init(count: count) { (slot) throws(CryptoError) in fillRandomly(slot) }
    }

    deinit {
        // In a forked child the slot is zero already, and another thread's lock on the arena may never be released.
        guard !ForkGuard.isForked else { return }
        SecretArena.shared.giveBack(slot)
    }

    /// Lends the bytes. A forked child gets `.forked` instead of zeros.
    func withUnsafeBytes<Result: ~Copyable>(
        _ body: (UnsafeRawBufferPointer) throws(CryptoError) -> Result
    ) throws(CryptoError) -> Result {
        try ForkGuard.check()
        return try body(UnsafeRawBufferPointer(rebasing: slot.bytes[..<count]))
    }
}

/// Fills `bytes` from the system's generator (`getrandom` on Linux).
func fillRandomly(_ bytes: UnsafeMutableRawBufferPointer) {
    var generator = SystemRandomNumberGenerator()
    var start = 0
    while start < bytes.count {
        var word = generator.next()
        let piece = Swift.min(8, bytes.count - start)
        Swift.withUnsafeMutableBytes(of: &word) { word in
            UnsafeMutableRawBufferPointer(rebasing: bytes[start..<start + piece])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: word[..<piece]))
            wipe(word)
        }
        start += piece
    }
}
