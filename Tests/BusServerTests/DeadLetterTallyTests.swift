import Testing

@testable import BusServer

/// What dead letters take of the store.
@Suite struct DeadLetterTallyTests {
    @Test func `a batch counts once, however many letters it has`() {
        var tally = DeadLetterTally()
        for _ in 0..<256 { tally.add(7, length: 256 << 10) }
        #expect(tally.length == 256 << 10)
        tally.add(300, length: 100)
        #expect(tally.length == 256 << 10 | 100)
        #expect(tally.knows(7) && tally.knows(300) && !tally.knows(8))
    }

    @Test func `a batch is free when its last letter goes`() {
        var tally = DeadLetterTally()
        for position in [1, 1, 1, 2] as [UInt64] { tally.add(position, length: 1000) }
        tally.remove(1)
        tally.remove(1)
        #expect(tally.length == 2000)
        tally.remove(1)
        #expect(tally.length == 1000 && !tally.knows(1))
        tally.remove(2)
        #expect(tally.length == 0)
    }

    @Test func `a letter that wasn't counted frees nothing`() {
        var tally = DeadLetterTally()
        tally.add(1, length: 1000)
        tally.remove(2)
        tally.remove(1)
        tally.remove(1)
        #expect(tally.length == 0)
    }
}
