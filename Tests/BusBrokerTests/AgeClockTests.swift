// A clock that is set makes nothing old early.

import Testing

@testable import BusBroker

@Suite struct AgeClockTests {
    private static let second: Moment.Nanoseconds = 1_000_000_000
    private static let hour = 3600 * second
    private static let today: Int64 = 1_700_000_000_000_000
    private static let day: Int64 = 86_400_000_000

    private static func moment(after elapsed: Moment.Nanoseconds, ahead: Int64 = 0) -> Moment {
        Moment(monotonic: second + elapsed, wall: today + Int64(elapsed / 1000) + ahead)
    }

    @Test func itGoesOnAsTheClocksDo() {
        var clock = AgeClock(at: Self.moment(after: 0))
        clock.advance(to: Self.moment(after: Self.hour))
        #expect(clock.now == Self.today + 3_600_000_000)
    }

    @Test func aStepAheadCountsWhenItHasStoodForAnHour() {
        var clock = AgeClock(at: Self.moment(after: 0))
        clock.advance(to: Self.moment(after: Self.second, ahead: Self.day))
        #expect(clock.now == Self.today + 1_000_000)
        clock.advance(to: Self.moment(after: Self.hour, ahead: Self.day))
        #expect(clock.now == Self.today + 3_600_000_000)
        clock.advance(to: Self.moment(after: Self.hour + Self.second, ahead: Self.day))
        #expect(clock.now == Self.today + 3_601_000_000 + Self.day)
    }

    @Test func aStepAheadThatIsTakenBackNeverCounts() {
        var clock = AgeClock(at: Self.moment(after: 0))
        clock.advance(to: Self.moment(after: Self.second, ahead: Self.day))
        clock.advance(to: Self.moment(after: 2 * Self.second))
        clock.advance(to: Self.moment(after: Self.hour + 3 * Self.second, ahead: Self.day))
        #expect(clock.now == Self.today + 3_603_000_000)
    }

    @Test func aStepBackCountsAtOnce() {
        var clock = AgeClock(at: Self.moment(after: 0, ahead: Self.day))
        clock.advance(to: Self.moment(after: Self.second))
        #expect(clock.now == Self.today + 1_000_000)
    }
}
