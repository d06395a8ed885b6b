import Testing

@testable import BusCrypto

@Suite struct SealLimitsTests {
    @Test("The limits are 2^30 batches and 2^34 blocks")
    func defaults() {
        #expect(SealLimits().batchesMax == 1_073_741_824)
        #expect(SealLimits().blocksMax == 17_179_869_184)
    }

    @Test("Plaintext and authenticated bytes count by blocks begun, and each batch one more")
    func blocks() throws {
        // 1 + 1 + 1 for 16 and 1 bytes, so three batches of it are nine blocks.
        var use = SealUse(limits: SealLimits(blocksMax: 9))
        for expected in 0..<3 as Range<UInt64> {
            let counter = try use.spend(plaintextCount: 16, authenticatedCount: 1)
            #expect(counter == expected)
        }
        let error = refusal { () throws(CryptoError) in
            _ = try use.spend(plaintextCount: 0, authenticatedCount: 0)
        }
        #expect(error == .sealExhausted)
        #expect(use.batches == 3)
    }

    @Test("Half of either limit asks for a new seal")
    func half() throws {
        var byBatches = SealUse(limits: SealLimits(batchesMax: 4))
        _ = try byBatches.spend(plaintextCount: 1, authenticatedCount: 1)
        #expect(!byBatches.isHalfSpent)
        _ = try byBatches.spend(plaintextCount: 1, authenticatedCount: 1)
        #expect(byBatches.isHalfSpent)
        var byBlocks = SealUse(limits: SealLimits(blocksMax: 20))
        _ = try byBlocks.spend(plaintextCount: 16 * 8, authenticatedCount: 0)
        #expect(!byBlocks.isHalfSpent)
        _ = try byBlocks.spend(plaintextCount: 0, authenticatedCount: 0)
        #expect(byBlocks.isHalfSpent)
    }

    @Test("A batch too large for what is left is refused and not counted; a smaller one still fits")
    func remainder() throws {
        var use = SealUse(limits: SealLimits(blocksMax: 4))
        let error = refusal { () throws(CryptoError) in
            _ = try use.spend(plaintextCount: 1 << 20, authenticatedCount: 0)
        }
        #expect(error == .sealExhausted)
        let counter = try use.spend(plaintextCount: 48, authenticatedCount: 0)
        #expect(counter == 0)
    }
}
