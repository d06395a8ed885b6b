import BusWire
import Testing

@testable import BusBroker

@Suite("How what is due is read")
struct DueWalkTests {
    private static let second: UInt64 = 1_000_000_000

    private static func place(_ due: Int64, _ number: UInt64) -> DuePlace { DuePlace(due: due, number: number) }

    @Test("begins when the first is due, and looks at the clock each second until then")
    func waiting() {
        var walk = DueWalk()
        #expect(walk.step(0, at: 0) == .rest)
        walk.note(due: 5_000_000)
        walk.note(due: 7_000_000)
        #expect(walk.step(0, at: 3) == .wait(until: Self.second + 3))
        #expect(walk.step(4_999_999, at: 3) == .wait(until: 1003))
        #expect(walk.step(5_000_000, at: 3) == .read(after: nil))
        #expect(walk.isReading && walk.step(5_000_000, at: 3) == .rest)
        walk.took(upTo: Self.place(5_000_000, 1), following: 7_000_000)
        #expect(walk.step(6_999_999, at: 3) == .wait(until: 1003))
        #expect(walk.step(7_000_000, at: 3) == .read(after: Self.place(5_000_000, 1)))
    }

    @Test("passes what is left, and begins at the head again after a pause")
    func left() {
        var walk = DueWalk(next: 10)
        #expect(walk.step(30, at: 0) == .read(after: nil))
        walk.leave(due: 10, topic: 1, uid: 1000)
        #expect(walk.isHeld(topic: 1, uid: 1000) && !walk.isHeld(topic: 2, uid: 1000) && !walk.isHeld(topic: 1, uid: 1))
        walk.took(upTo: Self.place(20, 7), following: 25)
        // Not at the head again before all that is due was seen.
        #expect(walk.step(30, at: 5 * Self.second) == .read(after: Self.place(20, 7)))
        walk.took(upTo: Self.place(25, 8), following: nil)
        // As long as it took, four times.
        #expect(walk.step(30, at: 5 * Self.second) == .wait(until: 25 * Self.second))
        #expect(walk.isHeld(topic: 1, uid: 1000))
        #expect(walk.step(30, at: 25 * Self.second) == .read(after: nil))
        #expect(!walk.isHeld(topic: 1, uid: 1000))
        walk.took(upTo: nil, following: nil)
        #expect(walk.step(30, at: 25 * Self.second) == .rest)
    }

    @Test("has what was left tried again though more falls due all the time")
    func endless() {
        var walk = DueWalk(next: 0)
        var (heads, now) = (0, UInt64(0))
        for time in 0..<3000 as Range<Int64> {
            now += 10_000_000
            guard case .read(let place) = walk.step(time, at: now) else { continue }
            if place == nil { heads += 1 }
            walk.leave(due: 0, topic: 1, uid: 1000)
            // One is due each time, and the next one by the time this one is read.
            walk.took(upTo: Self.place(time, 1), following: time + 1)
        }
        #expect((15...31).contains(heads), "\(heads) in 30 s")
    }

    @Test("what falls due while what was left waits is read at once, behind the place")
    func between() {
        var walk = DueWalk(next: 10)
        _ = walk.step(10, at: 0)
        walk.leave(due: 10, topic: 1, uid: 1)
        walk.took(upTo: Self.place(10, 1), following: 20)
        #expect(walk.step(19, at: 0) == .wait(until: 1000))
        #expect(walk.step(20, at: 1000) == .read(after: Self.place(10, 1)))
        walk.took(upTo: Self.place(20, 2), following: nil)
        #expect(walk.step(20, at: 1000) == .wait(until: Self.second))
        #expect(walk.first == 10)
    }

    @Test("goes back for what came on disk before its place, also while that was read")
    func back() {
        var walk = DueWalk(next: 100)
        _ = walk.step(100, at: 0)
        walk.took(upTo: Self.place(100, 9), following: nil)
        // The clock was set back.
        walk.note(due: 50)
        #expect(walk.step(49, at: 0) == .wait(until: 1000))
        #expect(walk.step(50, at: 0) == .read(after: Self.place(50, 0)))
        walk.note(due: 50)
        walk.took(upTo: Self.place(60, 10), following: nil)
        #expect(walk.step(60, at: 0) == .read(after: Self.place(50, 0)))
        // Of the same time, behind the one before it.
        walk.took(upTo: Self.place(50, 11), following: nil)
        walk.note(due: 50)
        #expect(walk.step(60, at: 0) == .read(after: Self.place(50, 0)))
    }

    @Test("asks once where a damaged index leads nowhere")
    func circle() {
        var walk = DueWalk(next: 10)
        _ = walk.step(30, at: 0)
        walk.took(upTo: Self.place(20, 2), following: 5)
        #expect(walk.step(30, at: 0) == .read(after: Self.place(20, 2)))
        walk.took(upTo: Self.place(15, 1), following: 5)
        #expect(walk.step(30, at: 0) == .rest && walk.place == Self.place(20, 2))
        walk.note(due: 25)
        #expect(walk.step(30, at: 0) == .read(after: Self.place(20, 2)))
        walk.took(upTo: nil, following: 20)
        #expect(walk.step(30, at: 0) == .rest)
    }

    @Test("survives times that no clock reaches")
    func extremes() {
        var walk = DueWalk(next: .max)
        #expect(walk.step(.min, at: 0) == .wait(until: Self.second))
        walk.leave(due: .min, topic: 0, uid: 0)
        #expect(walk.step(.min, at: 0) == .read(after: nil))
        walk.took(upTo: Self.place(.min, .max), following: .max)
        walk.note(due: .min)
        #expect(walk.step(.max, at: .max) == .read(after: Self.place(.min, 0)))
    }
}
