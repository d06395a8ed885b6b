import Testing

@testable import BusTransport

@Suite struct DeadlineTimerTests {
    private func at(_ nanoseconds: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: nanoseconds) }

    @Test func `timers run in the order of their deadlines, equals in the order of arming`() throws {
        try withReactor { reactor in
            var order: [Int] = []
            for (index, deadline) in [30, 10, 20, 10, 30, 5].enumerated() {
                reactor.schedule(at: at(Int64(deadline))) { order.append(index) }
            }
            reactor.turn(waitingAtMost: 0)
            #expect(order == [5, 1, 3, 2, 0, 4])
        }
    }

    @Test func `a disarmed timer does not run, a moved one runs once`() throws {
        try withReactor { reactor in
            var ran: [String] = []
            let gone = reactor.schedule(at: at(1)) { ran.append("gone") }
            let moved = reactor.schedule(at: .now() + .seconds(3600)) { ran.append("moved") }
            #expect(gone.isArmed)
            gone.disarm()
            gone.disarm()
            moved.arm(at: at(2))
            #expect(moved.deadline == at(2))
            reactor.turn(waitingAtMost: 0)
            reactor.turn(waitingAtMost: 0)
            #expect(ran == ["moved"])
            #expect(!moved.isArmed)
        }
    }

    @Test func `a timer that is always due does not hold the round`() throws {
        try withReactor { reactor in
            var count = 0
            var timer: DeadlineTimer?
            timer = reactor.schedule(at: at(0)) {
                count += 1
                timer?.arm(at: MonotonicInstant(nanoseconds: 0))
            }
            reactor.turn(waitingAtMost: 0)
            #expect(count == 1)
            reactor.turn(waitingAtMost: 0)
            #expect(count == 2)
            timer?.disarm()
            timer = nil
        }
    }

    @Test func `the reactor wakes for a deadline, not before it`() throws {
        try withReactor { reactor in
            var fired: MonotonicInstant?
            let deadline = MonotonicInstant.now() + .microseconds(1500)
            reactor.schedule(at: deadline) { fired = .now() }
            reactor.turn { fired != nil }
            let instant = try #require(fired)
            #expect(instant >= deadline)
        }
    }

    @Test func `the heap agrees with sorting, whatever is inserted, moved and removed`() throws {
        let reactor = try Reactor(name: "heap")
        var random = SystemRandomNumberGenerator()
        var heap = TimerHeap()
        let timers = (0..<200).map { _ in DeadlineTimer(on: reactor) {} }
        for _ in 0..<1000 {
            let timer = timers[Int.random(in: 0..<200, using: &random)]
            if Bool.random(using: &random) {
                heap.insert(timer, at: at(Int64.random(in: 0..<50, using: &random)))
            } else {
                heap.remove(timer)
            }
            let armed = timers.filter(\.isArmed)
            #expect(heap.count == armed.count)
            #expect(heap.nextDeadline == armed.compactMap(\.deadline).min())
        }
    }
}
