// How much the kernel may hold for a peer: everyone starts small, and who blocks and then drains, which is a fast reader
// of much, gets more, as far as its user's quota goes (`kernel_bytes`).
//
// Measured (1 publisher, 8 subscribers, 256 KiB batches): 2.3 GB/s at 16 KiB, 3.4 at 32, 3.9 at 64, 5.1 at 208.

enum SendBuffer {
    /// SO_SNDBUF of a new connection.
    static let start = 32 << 10
    /// SO_SNDBUF of one that drains; what the kernel allows without privileges (net.core.wmem_max).
    static let large = 208 << 10

    /// What the kernel may hold for a buffer of this size: it doubles what it is told, for its own bookkeeping
    /// (socket(7)), and fills that.
    static func charge(_ size: Int) -> Int { 2 * size }
}
