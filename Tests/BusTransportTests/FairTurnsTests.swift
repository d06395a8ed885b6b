import Testing

@testable import BusTransport

@Suite struct FairTurnsTests {
    private let now = MonotonicInstant(nanoseconds: 1_000_000_000)

    @Test func `who has spent a quantum waits for the next round, the others go on`() {
        var turns = FairTurns()
        turns.begin(count: 8, among: [1, 2], at: now)
        #expect(turns.admits(1) && turns.admits(2))
        turns.note(FairTurns.quantum - 1, by: 1)
        #expect(turns.admits(1))
        turns.note(1, by: 1)
        #expect(!turns.admits(1) && turns.admits(2))
        turns.begin(count: 8, among: [1, 2], at: now)
        #expect(turns.admits(1))
    }

    @Test func `what was spent beyond a quantum is owed while others want something`() {
        var turns = FairTurns()
        turns.begin(count: 2, among: [1, 2], at: now)
        turns.note(4 * FairTurns.quantum, by: 1)
        for _ in 0..<3 {
            turns.begin(count: 2, among: [1, 2], at: now)
            #expect(!turns.admits(1) && turns.admits(2))
        }
        turns.begin(count: 2, among: [1, 2], at: now)
        #expect(turns.admits(1) && turns.admits(2))
    }

    @Test func `alone nobody waits for what it owes, and of debtors the least goes first`() {
        var turns = FairTurns()
        turns.note(10 * FairTurns.quantum, by: 1)
        turns.note(8 * FairTurns.quantum, by: 2)
        turns.begin(count: 2, among: [1, 2], at: now)
        #expect(!turns.admits(1) && turns.admits(2))
        turns.note(10 * FairTurns.quantum, by: 1)
        turns.begin(count: 1, among: [1], at: now)
        #expect(turns.admits(1))
    }

    @Test func `reads are kept short for a while after two had something at the same time`() {
        var turns = FairTurns()
        turns.begin(count: 2, among: [1, 1], at: now)
        #expect(!turns.isContested(at: now))
        turns.begin(count: 3, among: [1, 2, 1], at: now)
        #expect(turns.isContested(at: now + .milliseconds(99)))
        #expect(!turns.isContested(at: now + .milliseconds(100)))
    }

    @Test func `each round begins with another source`() {
        var turns = FairTurns()
        var beginnings: [Int] = []
        for _ in 0..<6 {
            turns.begin(count: 3, among: [], at: now)
            beginnings.append(turns.rotation)
        }
        #expect(beginnings == [1, 2, 0, 1, 2, 0])
        turns.begin(count: 0, among: [], at: now)
        #expect(turns.rotation == 0)
    }
}
