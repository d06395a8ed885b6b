// Events a second, over about the last one.

import Testing

@testable import BusBroker

@Suite struct RateMeterTests {
    private let second: UInt64 = 1_000_000_000

    @Test func nothingIsNothing() {
        let meter = RateMeter()
        #expect(meter.rate(at: 0) == 0 && meter.rate(at: 100 * second) == 0)
    }

    @Test func aSteadyRateIsToldAtAnyMoment() {
        var meter = RateMeter()
        // A hundred a second, from the first second on.
        for step in 0..<1000 as Range<UInt64> { meter.note(1, at: second + step * second / 100) }
        for part in 0...9 as ClosedRange<UInt64> {
            let now = 11 * second + part * second / 100
            let rate = meter.rate(at: now)
            #expect(rate >= 90 && rate <= 110, "\(rate)")
        }
    }

    @Test func whatWasCountedInTheFirstMomentsIsNotBlownUp() {
        var meter = RateMeter()
        meter.note(50, at: 5 * second)
        #expect(meter.rate(at: 5 * second) == 50)
        #expect(meter.rate(at: 5 * second + second / 2) == 50)
        #expect(meter.rate(at: 6 * second) == 50)
    }

    @Test func itFadesWhenNothingComesAnyMore() {
        var meter = RateMeter()
        for step in 0..<300 as Range<UInt64> { meter.note(1, at: second + step * second / 100) }
        let last = 4 * second
        #expect(meter.rate(at: last + 10 * second) < 15)
        #expect(meter.rate(at: last + 1000 * second) == 0)
    }

    @Test func aClockThatGoesBackDoesNoHarm() {
        var meter = RateMeter()
        meter.note(5, at: 10 * second)
        meter.note(5, at: 3 * second)
        #expect(meter.rate(at: 3 * second) == 10)
    }
}
