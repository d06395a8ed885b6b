import BusWire
import Testing

@testable import BusBroker

@Suite("The clock of what is due")
struct DueClockTests {
    private let start = Moment(monotonic: 1_000_000_000, wall: 1_700_000_000_000_000)
    private let day: Int64 = 86_400_000_000

    private func later(_ seconds: UInt64, wall: Int64) -> Moment {
        Moment(
            monotonic: start.monotonic + seconds * 1_000_000_000,
            wall: start.wall + Int64(seconds) * 1_000_000 + wall)
    }

    @Test("goes as the wall clock goes, its small corrections included")
    func runs() {
        var clock = DueClock(at: start)
        for (seconds, wall) in [(1, 0), (60, 9_000_000), (70, -3_000_000), (3600, 2_000_000)] as [(UInt64, Int64)] {
            clock.advance(to: later(seconds, wall: wall))
            #expect(clock.now == later(seconds, wall: wall).wall)
        }
    }

    @Test("follows a step back at once")
    func back() {
        var clock = DueClock(at: start)
        clock.advance(to: later(1, wall: -day))
        #expect(clock.now == later(1, wall: -day).wall)
    }

    @Test("follows a step ahead when it has stood for five minutes, and not before")
    func ahead() {
        var clock = DueClock(at: start)
        for seconds in stride(from: 1 as UInt64, through: 300, by: 1) {
            clock.advance(to: later(seconds, wall: day))
            #expect(clock.now == later(seconds, wall: 0).wall)
        }
        clock.advance(to: later(301, wall: day))
        #expect(clock.now == later(301, wall: day).wall)
    }

    @Test("forgets a step ahead that was taken back, and begins anew with another")
    func takenBack() {
        var clock = DueClock(at: start)
        clock.advance(to: later(1, wall: day))
        clock.advance(to: later(200, wall: 0))
        clock.advance(to: later(201, wall: day))
        clock.advance(to: later(400, wall: day))
        #expect(clock.now == later(400, wall: 0).wall)
        clock.advance(to: later(401, wall: 2 * day))
        clock.advance(to: later(600, wall: 2 * day))
        #expect(clock.now == later(600, wall: 0).wall)
        clock.advance(to: later(701, wall: 2 * day))
        #expect(clock.now == later(701, wall: 2 * day).wall)
    }

    @Test("believes the first time that a clock is set")
    func neverSet() {
        var clock = DueClock(at: Moment(monotonic: 1_000_000_000, wall: 5_000_000))
        clock.advance(to: later(3, wall: 0))
        #expect(clock.now == later(3, wall: 0).wall)
    }

    @Test("survives what no clock says")
    func extremes() {
        var clock = DueClock(at: Moment(monotonic: .max, wall: .min))
        for moment in [
            Moment(monotonic: 0, wall: .max), Moment(monotonic: .max, wall: .max), Moment(monotonic: 5, wall: .min),
            Moment(monotonic: .max, wall: .max),
        ] {
            clock.advance(to: moment)
        }
        #expect(clock.now == .max)
    }
}
