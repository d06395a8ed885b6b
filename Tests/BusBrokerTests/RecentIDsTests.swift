import BusWire
import Testing

@testable import BusBroker

@Suite struct RecentIDsTests {
    private let ids = RecentIDs()
    private static let window: Int64 = 600_000_000

    private func run(_ low: UInt64, _ count: UInt64 = 1, high: UInt64 = 7) -> IDRun {
        IDRun(first: BusUUID(high: high, low: low), count: count)
    }

    private func note(
        _ run: IDRun, topic: UInt64 = 1, sequence: UInt64 = 1, at time: Int64 = 0, after last: inout UInt64
    ) {
        ids.note(
            run, topic: topic, firstSequence: sequence, at: time, window: RecentIDsTests.window, after: &last)
    }

    private func note(_ run: IDRun, topic: UInt64 = 1, sequence: UInt64 = 1, at time: Int64 = 0) {
        var last: UInt64 = 0
        note(run, topic: topic, sequence: sequence, at: time, after: &last)
    }

    private func sequences(_ runs: IDRun..., topic: UInt64 = 1, since oldest: Int64 = 0) -> [UInt64] {
        ids.sequences(of: runs, topic: topic, since: oldest)
    }

    @Test func `ids are known on their topic, in whatever part and order they are asked for`() {
        note(run(100, 5), sequence: 11)
        #expect(sequences(run(100, 5)) == [11, 12, 13, 14, 15])
        #expect(sequences(run(98, 4)) == [0, 0, 11, 12])
        #expect(sequences(run(103, 4)) == [14, 15, 0, 0])
        #expect(sequences(run(104), run(100), run(99)) == [15, 11, 0])
        #expect(sequences(run(100, 5), topic: 2) == [0, 0, 0, 0, 0])
        #expect(sequences(run(100, high: 8)) == [0])
    }

    @Test func `what one publisher publishes in a row is one range`() {
        var last: UInt64 = 0
        for batch in 0..<1000 as Range<UInt64> {
            note(run(100 + 3 * batch, 3), sequence: 1 + 3 * batch, at: Int64(batch), after: &last)
        }
        #expect(ids.count == 1)
        #expect(sequences(run(3099, 2)) == [3000, 0])
    }

    @Test func `what has a gap in its ids or sequences, or is of another topic, is a range of its own`() {
        var last: UInt64 = 0
        note(run(100, 3), sequence: 1, after: &last)
        note(run(104, 3), sequence: 4, after: &last)
        note(run(107, 3), sequence: 8, after: &last)
        note(run(110, 3), topic: 2, sequence: 11, after: &last)
        note(run(113, 3, high: 9), sequence: 14, after: &last)
        #expect(ids.count == 5)
        #expect(sequences(run(100, 10)) == [1, 2, 3, 0, 4, 5, 6, 8, 9, 10])
    }

    @Test func `a range takes in only so many, and only for a while`() {
        var last: UInt64 = 0
        note(run(0, 65_535), sequence: 1, after: &last)
        note(run(65_535, 2), sequence: 65_536, after: &last)
        #expect(ids.count == 2)
        note(run(65_537, 1), sequence: 65_538, at: RecentIDs.joinedTimeMax, after: &last)
        #expect(ids.count == 2)
        note(run(65_538, 1), sequence: 65_539, at: RecentIDs.joinedTimeMax + 1, after: &last)
        #expect(ids.count == 3)
    }

    @Test func `what is old is forgotten, though it is still there`() {
        note(run(100), at: 50)
        #expect(sequences(run(100), since: 50) == [1])
        #expect(sequences(run(100), since: 51) == [0])
    }

    @Test func `many ranges in any order are all found, sorted or not`() {
        // A walk through all numbers below a prime, so that neighbours come far apart.
        let prime: UInt64 = 4999
        for step in 1..<prime {
            note(run(step * 7 % prime * 10, 2), topic: step % 3, sequence: step * 10)
            guard step % 97 == 0 else { continue }
            #expect(sequences(run(step * 7 % prime * 10, 3), topic: step % 3) == [step * 10, step * 10 + 1, 0])
        }
        for step in 1..<prime {
            let found = sequences(run(step * 7 % prime * 10, 3), topic: step % 3)
            #expect(found == [step * 10, step * 10 + 1, 0], "step \(step)")
        }
        #expect(ids.count == Int(prime - 1))
    }

    @Test func `beyond the bound the oldest are forgotten, whether anybody looks or not`() {
        let countMax = UInt64(RecentIDs.countMax)
        for number in 1...countMax + 10 { note(run(number * 2), sequence: number) }
        #expect(ids.count == RecentIDs.countMax)
        #expect(sequences(run(20), run(22)) == [0, 11])
        for number in countMax + 11...countMax + 100 { note(run(number * 2), sequence: number) }
        #expect(sequences(run((countMax + 100) * 2)) == [countMax + 100])
        for number in 1...300 as ClosedRange<UInt64> { note(run(number * 2, high: 8), sequence: number) }
        #expect(sequences(run(600, high: 8), run(22)) == [300, 0])
        #expect(ids.count <= RecentIDs.countMax)
    }

    @Test func `an id that was accepted twice is known once`() {
        note(run(100, 3), sequence: 1)
        note(run(101, 3), sequence: 11)
        #expect(sequences(run(100, 5)).map { $0 > 0 } == [true, true, true, true, false])
        for number in 0..<300 as Range<UInt64> { note(run(1000 + number * 2)) }
        // Sorted, the later one counts.
        #expect(sequences(run(101, 3)) == [11, 12, 13])
    }

    @Test func `what is accepted once more takes nothing with it that lies beside it`() {
        note(run(100, 10), sequence: 1)
        note(run(104, 2), sequence: 21)
        note(run(98, 3), sequence: 31)
        note(run(108, 4), sequence: 41)
        note(run(300, 4), sequence: 51)
        note(run(290, 30), sequence: 61)
        for number in 0..<100 as Range<UInt64> { note(run(1000 + number * 2)) }
        let expected: [UInt64] = [31, 32, 33, 2, 3, 4, 21, 22, 7, 8, 41, 42, 43, 44]
        for _ in 0..<2 {
            #expect(sequences(run(98, 14)) == expected)
            #expect(sequences(run(289, 32)) == [0] + (61...90).map { $0 } + [0])
            // Sorted once more, with others.
            for number in 0..<100 as Range<UInt64> { note(run(2000 + number * 2)) }
        }
    }

    @Test func `whatever is accepted in whatever order, the last of each id is known`() {
        var random = SystemRandomNumberGenerator()
        var model: [UInt64: UInt64] = [:]
        var sequence: UInt64 = 1
        for round in 0..<3000 {
            let (low, count) = (UInt64.random(in: 0..<600, using: &random), UInt64.random(in: 1...40, using: &random))
            note(run(low, count), sequence: sequence)
            for offset in 0..<count { model[low + offset] = sequence + offset }
            sequence += count
            guard round % 150 == 149 else { continue }
            _ = sequences(run(0))
            #expect(sequences(run(0, 700)) == (0..<700).map { model[$0] ?? 0 })
        }
        #expect(ids.count < 1000)
    }

    @Test(.timeLimit(.minutes(1)))
    func `ranges that lie over each other by the thousand are taken over in one walk`() {
        let depth: UInt64 = 3000
        for batch in 0..<depth { note(run(depth - batch, depth), sequence: 1 + batch * depth) }
        let known = sequences(run(1, 2 * depth))
        // The last one has the first ids; of each before it, one is left behind its successor's.
        let last = 1 + (depth - 1) * depth
        #expect(known[..<Int(depth)] == (0..<depth).map { last + $0 }[...])
        #expect(known[Int(depth)..<Int(2 * depth - 1)] == (1..<depth).map { last - $0 * depth + depth - 1 }[...])
        #expect(known.last == 0)
    }

    @Test func `ids that carry into their upper half are two runs`() {
        let low62: UInt64 = 1 << 62 - 1
        let first = BusUUID(milliseconds: 9, counterHigh: 1, counterLow: low62 - 1)
        var runs: [IDRun] = []
        IDRun.forEach(from: first, count: 5) { runs.append($0) }
        #expect(
            runs == [
                IDRun(first: first, count: 2),
                IDRun(first: BusUUID(milliseconds: 9, counterHigh: 2, counterLow: 0), count: 3),
            ])
        var sequence: UInt64 = 1
        for run in runs {
            note(run, sequence: sequence)
            sequence += run.count
        }
        #expect(ids.sequences(of: runs, topic: 1, since: 0) == [1, 2, 3, 4, 5])
    }

    @Test func `the last ids there are, of any variant, are a run like others`() {
        let last = BusUUID(high: .max, low: .max)
        var runs: [IDRun] = []
        IDRun.forEach(from: last, count: 1) { runs.append($0) }
        #expect(runs == [IDRun(first: last, count: 1)])
        note(runs[0], sequence: 5)
        #expect(ids.sequences(of: runs, topic: 1, since: 0) == [5])
    }

    @Test func `what begins anew behind the last of an upper half is no run with it`() {
        note(IDRun(first: BusUUID(high: 4, low: .max), count: 1), sequence: 1)
        note(IDRun(first: BusUUID(high: 4, low: 0), count: 1), sequence: 2)
        note(IDRun(first: BusUUID(high: 4, low: 1), count: 1), sequence: 3)
        let sought = [
            IDRun(first: BusUUID(high: 4, low: .max), count: 1), IDRun(first: BusUUID(high: 4, low: 0), count: 2),
        ]
        #expect(ids.sequences(of: sought, topic: 1, since: 0) == [1, 2, 3])
    }

    @Test func `ids given one by one are as many runs as it takes`() {
        let given = [5, 6, 7, 3, 9, 10].map { BusUUID(high: 1, low: $0) }
        var runs: [IDRun] = []
        IDRun.forEach(from: given[0], count: 6, explicit: given) { runs.append($0) }
        #expect(runs == [run(5, 3, high: 1), run(3, high: 1), run(9, 2, high: 1)])
    }

    @Test func `users that are gone are forgotten when nothing of theirs is remembered`() {
        let users = RecentIDsOfUsers()
        var last: UInt64 = 0
        users.of(1).note(run(1), topic: 1, firstSequence: 1, at: 100, window: 50, after: &last)
        #expect(users.of(1) === users.of(1))
        _ = users.of(2)
        users.forget(at: 150) { $0 == 2 }
        #expect(users.count == 2)
        users.forget(at: 151) { $0 == 2 }
        #expect(users.count == 1)
        users.of(3).note(run(1), topic: 1, firstSequence: 1, at: 100, window: .max, after: &last)
        users.forget(at: .max) { _ in false }
        #expect(users.count == 1)
    }

    @Test func `all users together are bounded: who has most forgets its oldest, the others nothing`() {
        let users = RecentIDsOfUsers(countMax: 1000)
        func note(_ number: UInt64, of uid: UInt32, at time: Int64 = 0) {
            var last: UInt64 = 0
            users.of(uid).note(
                run(number * 2), topic: 1, firstSequence: number, at: time, window: 50, after: &last)
        }
        func knows(_ number: UInt64, _ uid: UInt32) -> Bool {
            users.of(uid).sequences(of: [run(number * 2)], topic: 1, since: 0) == [number]
        }
        for number in 1...200 as ClosedRange<UInt64> { note(number, of: 1) }
        for number in 1...800 as ClosedRange<UInt64> { note(number, of: 2) }
        #expect(users.rangeCount == 1000 && knows(1, 2) && knows(800, 2))
        note(801, of: 2)
        #expect(users.rangeCount == 600 && !knows(1, 2) && !knows(401, 2) && knows(402, 2) && knows(801, 2))
        #expect((1...200).allSatisfy { knows($0, 1) })
        for number in 1...300 as ClosedRange<UInt64> { note(number, of: 3) }
        #expect(users.rangeCount == 900 && users.rangeCount == (1...3).reduce(0) { $0 + users.of($1).count })
        // What is out of date goes first, of whomever.
        for number in 901...1001 as ClosedRange<UInt64> { note(number, of: 4, at: 51) }
        #expect(users.rangeCount == 101 && users.of(1).count == 0 && knows(901, 4))
        users.forget(at: 200) { $0 == 4 }
        #expect(users.count == 1 && users.rangeCount == 101)
    }
}
