import Glibc
import Testing

@testable import BusCrypto

@Suite("Large blocks")
struct LargeBlocksTests {
    /// A batch's ciphertext, its copy and what they are opened into are there together. Without preparation each of
    /// them goes back to the kernel when it is freed, and is faulted in again page by page: 73,680 faults where 783 do.
    /// This thread's faults alone are counted, so that it doesn't matter what else runs.
    @Test("come back to who asks for them again, once they have been prepared")
    func comeBack() {
        let (count, together, rounds) = (1 << 20, 3, 100)
        LargeBlocks.prepare(for: count)
        let pages = together * count / Int(getpagesize())
        let tries = (0..<5).map { _ in
            let before = faults()
            for _ in 0..<rounds { touch(together, of: count) }
            return faults() - before
        }
        // As many as for ten rounds, in the best of some tries: a heap grows once, and is trimmed again and again while
        // other tests' threads free much.
        #expect(tries.min() ?? .max < pages * 10)
    }

    private func touch(_ blockCount: Int, of count: Int) {
        let blocks = (0..<blockCount).map { _ in
            UnsafeMutableRawBufferPointer.allocate(byteCount: count, alignment: 16)
        }
        for block in blocks { for offset in stride(from: 0, to: count, by: 4096) { block[offset] = 1 } }
        for block in blocks { block.deallocate() }
    }

    private func faults() -> Int {
        var usage = rusage()
        // RUSAGE_THREAD, which is Linux's own and not in the module.
        getrusage(1, &usage)
        return usage.ru_minflt
    }
}
