// The arithmetic of fairness: exact numbers, everything given back, nobody squeezed out.

import BusSimulation
import Testing

@testable import BusBroker

@Suite struct SharedQuotaTests {
    @Test func eachNewOneMayTakeABoundedShareOfWhatIsLeft() {
        var quota = SharedQuota(limit: 1024, owner: 0)
        #expect(quota.allowance(of: 1) == 512)
        quota.charge(512, from: 1)
        #expect(quota.allowance(of: 2) == 170)
        quota.charge(170, from: 2)
        #expect(quota.allowance(of: 3) == 85)
        quota.charge(85, from: 3)
        #expect(quota.used == 767)
        #expect(quota.allowance(of: 4) == 51, "257 are left, and a fourth one asks")
    }

    @Test func whoHasHadItsShareGetsNoMore() {
        var quota = SharedQuota(limit: 1024, owner: 0)
        #expect(quota.admits(512, from: 1) && !quota.admits(513, from: 1))
        quota.charge(512, from: 1)
        #expect(!quota.admits(1, from: 1))
        #expect(quota.admits(170, from: 2) && !quota.admits(171, from: 2))
    }

    @Test func theOwnerIsBoundedByTheLimitAlone() {
        var quota = SharedQuota(limit: 1024, owner: 9)
        #expect(quota.allowance(of: 9) == 1024)
        quota.charge(1000, from: 9)
        #expect(quota.allowance(of: 9) == 1024)
        #expect(quota.admits(1_000_000, from: 9), "its caller makes room")
        #expect(quota.allowance(of: 1) == 12)
        quota.giveBack(1000, from: 9)
        #expect(quota.used == 0)
    }

    @Test func whatIsGivenBackIsThereAgainForEverybody() {
        var quota = SharedQuota(limit: 1024, owner: 0)
        quota.charge(512, from: 1)
        quota.charge(170, from: 2)
        quota.giveBack(170, from: 2)
        #expect(quota.allowance(of: 2) == 170, "as if it had never been there")
        quota.giveBack(500, from: 1)
        #expect(quota.used == 12)
        #expect(quota.allowance(of: 2) == (1024 - 12) / 3, "the first one still holds something")
        quota.giveBack(12, from: 1)
        #expect(quota.used == 0 && quota.allowance(of: 2) == 512)
    }

    @Test func beyondItsLimitNothingIsLeft() {
        var quota = SharedQuota(limit: 100, owner: 0)
        quota.charge(150, from: 1)
        #expect(quota.allowance(of: 2) == 0 && !quota.admits(1, from: 2))
        #expect(quota.allowance(of: 1) == 75)
        quota.giveBack(150, from: 1)
        #expect(quota.used == 0 && quota.allowance(of: 1) == 50)
    }

    /// Everybody takes all it may, again and again: the limit holds, and whoever comes next is given something.
    @Test func howeverManyComeTheLimitHoldsAndSomethingIsLeft() {
        for seed in 1...2000 as ClosedRange<UInt64> {
            var chance = SplitMix64(seed: seed)
            let limit = chance.within(1000...100_000)
            var quota = SharedQuota(limit: limit, owner: 0)
            var held: [UInt32: Int] = [:]
            for _ in 0..<50 {
                let uid = UInt32(chance.within(1...6))
                let isFirst = held[uid] == nil
                let allowance = quota.allowance(of: uid)
                #expect(
                    !isFirst || allowance <= (limit - quota.used) / 2, "seed \(seed): never more than half of the rest")
                if chance.chance(60) {
                    let amount = max(0, allowance - held[uid, default: 0])
                    guard amount > 0 else { continue }
                    #expect(quota.admits(amount, from: uid) && !quota.admits(amount + 1, from: uid), "seed \(seed)")
                    quota.charge(amount, from: uid)
                    held[uid, default: 0] += amount
                } else if let mine = held[uid] {
                    quota.giveBack(mine, from: uid)
                    held[uid] = nil
                }
                #expect(quota.used == held.values.reduce(0, +) && quota.used < limit, "seed \(seed)")
            }
            #expect(quota.allowance(of: 99) > 0, "seed \(seed): a stranger still gets something")
            for (uid, amount) in held { quota.giveBack(amount, from: uid) }
            #expect(quota.used == 0 && quota.allowance(of: 1) == limit / 2, "seed \(seed)")
        }
    }
}
