// The bucket: a second's worth at once, then as fast as it fills.

import Testing

@testable import BusBroker

/// A bucket that can be asked in the middle of an expectation.
private final class Bucket {
    private var limit: RateLimit

    init(perSecond: Int, burstSeconds: Int = 1) {
        limit = RateLimit(perSecond: perSecond, burstSeconds: burstSeconds)
    }

    func isFull(at now: UInt64) -> Bool { limit.isFull(at: now) }

    func take(_ count: UInt32, at now: UInt64) -> Bool { limit.take(count, at: now) }
}

@Suite struct RateLimitTests {
    private let second: UInt64 = 1_000_000_000

    @Test func withoutALimitEverythingPasses() {
        let limit = Bucket(perSecond: 0)
        for _ in 0..<10 { #expect(limit.take(.max, at: 0)) }
    }

    @Test func aSecondsWorthPassesAtOnceAndThenNothingUntilItFills() {
        let limit = Bucket(perSecond: 10)
        #expect(limit.take(10, at: second))
        #expect(!limit.take(1, at: second))
        #expect(!limit.take(1, at: second + second / 10 - 1))
        #expect(limit.take(1, at: second + second / 10), "a tenth of a second, one of ten")
        #expect(!limit.take(1, at: second + second / 10))
    }

    @Test func whatIsRefusedCostsNothing() {
        let limit = Bucket(perSecond: 10)
        #expect(limit.take(8, at: 0))
        for _ in 0..<100 { #expect(!limit.take(3, at: 0)) }
        #expect(limit.take(2, at: 0))
    }

    @Test func itFillsToASecondsWorthAndNoFurther() {
        let limit = Bucket(perSecond: 10)
        #expect(limit.take(10, at: 0))
        #expect(limit.take(10, at: 3600 * second))
        #expect(!limit.take(1, at: 3600 * second))
    }

    @Test func aBatchLongerThanASecondsWorthPassesWhenTheBucketIsFull() {
        let limit = Bucket(perSecond: 10)
        #expect(limit.take(4096, at: 0))
        #expect(!limit.take(1, at: 0))
        #expect(!limit.take(4096, at: second - 1))
        #expect(limit.take(4096, at: second))
    }

    @Test func smallStepsOfTimeAreNotLost() {
        let limit = Bucket(perSecond: 3)
        #expect(limit.take(3, at: 0))
        var taken = 0
        for step in 1...3000 as ClosedRange<UInt64> where limit.take(1, at: step * second / 1000) { taken += 1 }
        #expect(taken == 9, "three a second for three seconds")
    }

    @Test func aClockThatStandsStillOrGoesBackGivesNothing() {
        let limit = Bucket(perSecond: 10)
        #expect(limit.take(10, at: 5 * second))
        #expect(!limit.take(1, at: 5 * second))
        #expect(!limit.take(1, at: second))
        #expect(!limit.take(1, at: 5 * second), "and going forth again gives nothing twice")
    }

    @Test func aLimitOfAnySizeIsArithmeticWithoutOverflow() {
        let limit = Bucket(perSecond: .max)
        for step in 0..<10 as Range<UInt64> { #expect(limit.take(.max, at: step * second)) }
    }

    @Test func aBurstOfManySecondsFillsAsSlowlyAsItsRate() {
        let limit = Bucket(perSecond: 2, burstSeconds: 10)
        #expect(limit.take(20, at: 0) && !limit.take(1, at: 0))
        #expect(!limit.isFull(at: 10 * second - 1) && limit.isFull(at: 10 * second))
        #expect(limit.take(10, at: 5 * second) && !limit.take(1, at: 5 * second))
        #expect(limit.take(20, at: .max) && !limit.take(1, at: .max))
        let largest = Bucket(perSecond: .max, burstSeconds: .max)
        #expect(largest.take(.max, at: 0) && largest.isFull(at: .max))
    }
}
