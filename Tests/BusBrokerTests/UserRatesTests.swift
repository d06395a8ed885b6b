// How fast one user may connect and open seals, and that leaving doesn't fill its buckets.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct UserRatesTests {
    private func isRefused(_ bench: Bench, uid: UInt32 = 1000) -> Bool {
        bench.broker.refusal(ofConnectionFrom: uid, at: bench.now) != nil
    }

    @Test func connectionsComeAtOnceUpToABurstAndThenAtTheirRate() {
        let bench = Bench { $0.quotas.connectRate = 2 }
        for number in 1...64 { #expect(!isRefused(bench), "connection \(number)") }
        #expect(isRefused(bench))
        #expect(!isRefused(bench, uid: 1001), "another user has a bucket of its own")
        bench.pass(milliseconds: 500)
        #expect(!isRefused(bench), "one of two a second")
        #expect(isRefused(bench))
    }

    @Test func aRefusalNamesQuotaUserAndNumbersAndIsFatal() {
        let bench = Bench { $0.quotas.connectRate = 1 }
        for _ in 1...32 { _ = isRefused(bench) }
        let refusal = bench.broker.refusal(ofConnectionFrom: 1000, at: bench.now)
        #expect(refusal?.reason == .quotaExceeded && refusal?.isFatal == true)
        #expect(refusal?.message == "quota connect_rate of uid 1000 is used up: 1 of 1")
    }

    @Test func withoutALimitNobodyIsRefused() {
        let bench = Bench {
            $0.quotas.connectRate = 0
            $0.quotas.sealRate = 0
        }
        for _ in 0..<100_000 where isRefused(bench) { Issue.record("refused") }
        let peer = bench.open(1)
        #expect((0..<1000).allSatisfy { _ in peer.seal("a") != 0 })
    }

    @Test func sealsAreOpenedAtTheirRateOverAllOfAUsersSessions() {
        let bench = Bench { $0.quotas.sealRate = 1 }
        let (first, second) = (bench.open(1), bench.open(2))
        for number in 1...32 as ClosedRange<UInt64> { #expect((number % 2 == 0 ? first : second).seal("a") == number) }
        let request = OpenSeal(request: 7, salt: bench.salt(), topic: Array("a".utf8))
        let error = second.send(.openSeal(request)).errors.first
        #expect(error?.message == "quota seal_rate of uid 1000 is used up: 1 of 1")
        #expect(error?.reason == .quotaExceeded && error?.isFatal == false && error?.request == 7)
        #expect(bench.open(3, uid: 1001).seal("a") == 33)
        bench.pass(milliseconds: 1000)
        #expect(first.seal("a") == 34)
    }

    @Test func whoLeavesAndComesBackFindsItsBucketsAsEmpty() {
        let bench = Bench { $0.quotas.sealRate = 1 }
        let peer = bench.open(1)
        for _ in 1...32 { _ = peer.seal("a") }
        peer.leave()
        bench.pass(milliseconds: 500)
        #expect(bench.open(2).seal("a") == 0, "the account is new, the bucket isn't")
        bench.pass(milliseconds: 500)
        #expect(bench.open(3).seal("a") != 0)
    }

    @Test func fullBucketsAreForgottenSoThatStrangersLeaveNothing() {
        var rates = RatesOfUsers()
        var quotas = Quotas()
        quotas.connectRate = 1
        var now: UInt64 = 0
        for uid in 0..<10_000 as Range<UInt32> {
            now += 100_000_000
            let isTaken = rates.rates(of: uid, quotas, at: now).connecting.take(1, at: now)
            #expect(isTaken)
        }
        #expect(rates.count <= 64, "each is full again after a second")
    }
}
