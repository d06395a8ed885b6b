import Testing

@testable import BusCrypto

@Suite struct LargeBlocksTests {
    @Test("Preparing is harmless for any size, and again")
    func repeated() {
        for count in [0, 1, 32 << 10, (32 << 10) + 1, 1 << 30, 1 << 30] { LargeBlocks.prepare(for: count) }
    }
}
