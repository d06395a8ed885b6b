import BusSimulation
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

    /// A walk that has seen all that is due at 30, and left what is due at 10, of user 1000 on topic 1.
    private func walked() -> DueWalk {
        var walk = DueWalk(next: 10)
        #expect(walk.step(30, at: 0) == .read(after: nil))
        walk.took(upTo: Self.place(20, 7), following: 25)
        walk.leave(due: 10, topic: 1, uid: 1000)
        #expect(walk.isHeld(topic: 1, uid: 1000) && !walk.isHeld(topic: 2, uid: 1000) && !walk.isHeld(topic: 1, uid: 1))
        #expect(walk.step(30, at: 0) == .read(after: Self.place(20, 7)))
        walk.took(upTo: Self.place(25, 8), following: nil)
        #expect(walk.isHeld(topic: 1, uid: 1000))
        #expect(walk.step(30, at: 0) == .wait(until: Self.second))
        return walk
    }

    @Test("passes what is left, and tries it again from the head on after a pause")
    func left() {
        var walk = walked()
        #expect(walk.step(30, at: Self.second) == .read(after: nil))
        #expect(!walk.isHeld(topic: 1, uid: 1000))
        walk.took(upTo: nil, following: nil)
        #expect(walk.step(30, at: Self.second) == .rest)
    }

    @Test("pauses the longer, the longer that took")
    func pauses() {
        var walk = walked()
        #expect(walk.step(30, at: Self.second) == .read(after: nil))
        walk.took(upTo: Self.place(20, 7), following: 25)
        walk.leave(due: 10, topic: 1, uid: 1000)
        #expect(walk.step(30, at: 3 * Self.second) == .read(after: Self.place(20, 7)))
        walk.took(upTo: Self.place(25, 8), following: nil)
        #expect(walk.step(30, at: 3 * Self.second) == .wait(until: 11 * Self.second))
    }

    @Test("reads what falls due meanwhile in turns with that, and leaves what has to come behind what was left")
    func turns() {
        var walk = walked()
        #expect(walk.step(30, at: Self.second) == .read(after: nil))
        walk.note(due: 40)
        walk.took(upTo: Self.place(20, 7), following: 25)
        #expect(!walk.isHeld(topic: 1, uid: 1000))
        #expect(walk.step(40, at: Self.second) == .read(after: Self.place(25, 8)))
        walk.took(upTo: Self.place(40, 9), following: 41)
        #expect(walk.isHeld(topic: 1, uid: 1000) && !walk.isHeld(topic: 2, uid: 1000))
        walk.leave(due: 40, topic: 2, uid: 1000)
        #expect(walk.step(41, at: Self.second) == .read(after: Self.place(20, 7)))
        // It holds back what falls due, and not what comes before it.
        #expect(!walk.isHeld(topic: 2, uid: 1000))
        walk.took(upTo: Self.place(25, 8), following: 40)
        #expect(walk.step(41, at: Self.second) == .read(after: Self.place(40, 9)))
        walk.took(upTo: Self.place(41, 10), following: nil)
        #expect(walk.isHeld(topic: 2, uid: 1000) && !walk.isHeld(topic: 1, uid: 1000))
        #expect(walk.step(41, at: Self.second) == .wait(until: 2 * Self.second) && walk.left == 40)
    }

    @Test("sees the rest the next time where a clock is set back while it is tried again")
    func setBack() {
        var walk = walked()
        #expect(walk.step(30, at: Self.second) == .read(after: nil))
        walk.took(upTo: Self.place(20, 7), following: 25)
        #expect(walk.step(22, at: Self.second) == .wait(until: 2 * Self.second) && walk.left == 25)
        #expect(walk.step(25, at: 3 * Self.second) == .read(after: nil))
    }

    @Test("and keeps its place before what falls due meanwhile")
    func setBackAndHeld() {
        var walk = walked()
        #expect(walk.step(10, at: Self.second) == .read(after: nil))
        // The first is published; of the others the clock knows nothing now.
        walk.took(upTo: Self.place(10, 3), following: 20)
        #expect(walk.step(10, at: Self.second) == .wait(until: 2 * Self.second))
        walk.note(due: 40)
        #expect(walk.step(40, at: Self.second) == .read(after: Self.place(25, 8)))
        walk.took(upTo: Self.place(40, 9), following: nil)
        #expect(walk.isHeld(topic: 1, uid: 1000), "what is due at 20 comes first")
        walk.leave(due: 40, topic: 1, uid: 1000)
        #expect(walk.step(40, at: 3 * Self.second) == .read(after: nil))
        #expect(!walk.isHeld(topic: 1, uid: 1000))
    }

    @Test("has what was left tried again though more falls due all the time")
    func endless() {
        var walk = DueWalk(next: 0)
        var (heads, now) = (0, UInt64(0))
        for time in 0..<3000 as Range<Int64> {
            now += 10_000_000
            guard case .read(let place) = walk.step(time, at: now) else { continue }
            if place == nil { heads += 1 }
            // One is due each time, and the next one by the time this one is read.
            walk.took(upTo: Self.place(time, 1), following: time + 1)
            walk.leave(due: 0, topic: 1, uid: 1000)
        }
        #expect((15...31).contains(heads), "\(heads) in 30 s")
    }

    @Test("what falls due while what was left waits is read at once, behind the place")
    func between() {
        var walk = DueWalk(next: 10)
        _ = walk.step(10, at: 0)
        walk.took(upTo: Self.place(10, 1), following: 20)
        walk.leave(due: 10, topic: 1, uid: 1)
        #expect(walk.step(19, at: 0) == .wait(until: 1000))
        #expect(walk.step(20, at: 1000) == .read(after: Self.place(10, 1)))
        walk.took(upTo: Self.place(20, 2), following: nil)
        #expect(walk.step(20, at: 1000) == .wait(until: Self.second))
        #expect(walk.left == 10)
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

    @Test("publishes everything once, in each user's order on each topic, whoever is held back in between")
    func anything() {
        for seed in 1...300 as ClosedRange<UInt64> {
            var trial = Trial(seed)
            trial.run()
        }
    }

    @Test("survives times that no clock reaches")
    func extremes() {
        var walk = DueWalk(next: .max)
        #expect(walk.step(.min, at: 0) == .wait(until: Self.second))
        walk.leave(due: .min, topic: 0, uid: 0)
        #expect(walk.step(.min, at: 0) == .wait(until: Self.second))
        #expect(walk.step(.min, at: Self.second) == .read(after: nil))
        walk.took(upTo: Self.place(.min, .max), following: .max)
        walk.note(due: .min)
        #expect(walk.step(.max, at: .max) == .read(after: nil))
        walk.took(upTo: Self.place(.max, .max), following: .min)
        #expect(walk.step(.max, at: .max) == .read(after: Self.place(.min, .max)))
    }
}

/// Events of a few users on a few topics, of whom some can't be published at times; pages of a few.
private struct Trial {
    private struct Event {
        let place: DuePlace
        let topic: UInt64
        let uid: UInt32
    }

    private let seed: UInt64
    private var dice: SplitMix64
    private var walk = DueWalk()
    private var disk: [Event] = []
    private var blocked: Set<UInt32> = []
    private var (time, number, published) = (Int64(0), UInt64(0), 0)
    private var last: [[UInt64]: DuePlace] = [:]

    init(_ seed: UInt64) {
        self.seed = seed
        dice = SplitMix64(seed: seed)
    }

    mutating func run() {
        for step in 0..<600 {
            time += Int64(dice.below(400_000))
            if step < 400, dice.below(3) > 0 { leave() }
            if dice.below(20) == 0 { blocked = step < 500 ? [UInt32(dice.below(3))] : [] }
            if step >= 500 { blocked = [] }
            look()
        }
        #expect(disk.isEmpty, "seed \(seed): \(disk.count) events of \(number) never came")
    }

    private mutating func leave() {
        number += 1
        let place = DuePlace(due: time + 1 + Int64(dice.below(3_000_000)), number: number)
        disk.append(Event(place: place, topic: UInt64(dice.below(2)), uid: UInt32(dice.below(3))))
        disk.sort { $1.place.isBehind($0.place) }
        walk.note(due: place.due)
    }

    /// As many pages as there are at this moment.
    private mutating func look() {
        for round in 0...500 {
            guard case .read(let after) = walk.step(time, at: UInt64(time) * 1000) else { return }
            guard round < 500 else {
                Issue.record("seed \(seed): it never ends")
                return
            }
            let behind = disk.filter { event in after.map(event.place.isBehind) ?? true }
            let page = behind.prefix { $0.place.due <= time }.prefix(3)
            walk.took(upTo: page.last?.place, following: behind.dropFirst(page.count).first?.place.due)
            for event in page { take(event) }
        }
    }

    private mutating func take(_ event: Event) {
        guard !blocked.contains(event.uid), !walk.isHeld(topic: event.topic, uid: event.uid) else {
            return walk.leave(due: event.place.due, topic: event.topic, uid: event.uid)
        }
        let origin = [event.topic, UInt64(event.uid)]
        if let last = last[origin] { #expect(event.place.isBehind(last), "seed \(seed): \(event) after \(last)") }
        last[origin] = event.place
        disk.removeAll { $0.place == event.place }
        published += 1
    }
}
