// Teaches the C library's allocator that blocks of a batch's size come back soon.
//
// The cipher's library allocates its results. glibc takes blocks above 128 KiB from the kernel and gives them
// back on each `free`, so every page is faulted in and zeroed again: that was 84 % of a seal at 256 KiB (230 µs;
// 37 µs without) and 42 % at 64 KiB. Freeing one large block once raises glibc's thresholds to that block's
// size, and its double for the end of the heap: the documented dynamic behaviour, no setting, and it yields to
// `mallopt` and the MALLOC_ variables of whoever set them. The price: up to twice `blockCount` of freed memory
// stays with a process that moves large batches. With another allocator it does nothing.

enum LargeBlocks {
    /// A megabyte of payload inline is the default limit of a frame; this is the next power of two. The block is
    /// never touched, so it never becomes memory.
    private static let blockCount = 2 << 20

    /// Up to here two results stay below glibc's initial threshold.
    private static let countMaxUnprepared = 32 << 10

    private static let prepared: Void = {
        UnsafeMutableRawPointer.allocate(byteCount: blockCount, alignment: 16).deallocate()
    }()

    /// Called before a seal or open of `count` bytes.
    static func prepare(for count: Int) {
        if count > countMaxUnprepared { _ = prepared }
    }
}
