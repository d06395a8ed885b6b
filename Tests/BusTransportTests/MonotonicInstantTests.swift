import Testing

@testable import BusTransport

@Suite struct MonotonicInstantTests {
    @Test func `instants and durations add up`() {
        let instant = MonotonicInstant(nanoseconds: 1_500)
        #expect((instant + .seconds(2)).nanoseconds == 2_000_001_500)
        #expect((instant + .nanoseconds(-500)).nanoseconds == 1_000)
        #expect((instant + .microseconds(3)) - instant == .microseconds(3))
    }

    @Test func `what lies beyond the end of time is the end of time`() {
        let instant = MonotonicInstant.now()
        #expect((instant + .seconds(Int64.max)).nanoseconds == .max)
        #expect((instant + .seconds(9_223_372_036)).nanoseconds == .max)
    }

    @Test func `the clock does not go back`() {
        let first = MonotonicInstant.now()
        #expect(MonotonicInstant.now() >= first)
    }
}
