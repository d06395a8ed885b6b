import BusWire
import Testing

@testable import BusBroker

@Suite("What is known of what waits to be published")
struct ScheduledTests {
    @Test("is when the first is due, whichever came last; also of what came while what is due was read")
    func next() {
        var schedule = Schedule(clock: DueClock(at: Moment(monotonic: 0, wall: 0)))
        schedule.note(due: 20)
        schedule.note(due: 30)
        #expect(schedule.next == 20 && schedule.nextSinceAsked == nil)
        schedule.isAsking = true
        schedule.note(due: 40)
        schedule.note(due: 10)
        schedule.note(due: 50)
        #expect(schedule.next == 10 && schedule.nextSinceAsked == 10)
    }
}
