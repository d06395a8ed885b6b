import Testing

@testable import BusTransport

@Suite struct FairTurnsTests {
    @Test func `who has spent a quantum waits for the next round, the others go on`() {
        var turns = FairTurns()
        turns.begin(count: 8)
        #expect(turns.admits(1) && turns.admits(2))
        turns.note(FairTurns.quantum - 1, by: 1)
        #expect(turns.admits(1))
        turns.note(1, by: 1)
        #expect(!turns.admits(1) && turns.admits(2))
        turns.begin(count: 8)
        #expect(turns.admits(1))
    }

    @Test func `each round begins with another source`() {
        var turns = FairTurns()
        var beginnings: [Int] = []
        for _ in 0..<6 {
            turns.begin(count: 3)
            beginnings.append(turns.rotation)
        }
        #expect(beginnings == [1, 2, 0, 1, 2, 0])
        turns.begin(count: 0)
        #expect(turns.rotation == 0)
    }
}
