import BusWire
import Testing

@testable import BusBroker

@Suite("What is known of what waits to be published")
struct ScheduledTests {
    @Test("remembers who stopped waiting as long as the store looks for something, and no longer")
    func searches() {
        var schedule = Schedule(clock: DueClock(at: Moment(monotonic: 0, wall: 0)))
        schedule.left(1)
        #expect(schedule.leftMeanwhile.isEmpty)
        schedule.beginSearch()
        schedule.beginSearch()
        schedule.left(2)
        schedule.endSearch()
        schedule.left(3)
        #expect(schedule.leftMeanwhile == [2, 3])
        schedule.endSearch()
        schedule.endSearch()
        #expect(schedule.leftMeanwhile.isEmpty && schedule.searchCount == 0)
    }
}
