// Shares: exact numbers, then the plain definition over thousands of cases.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct GroupSharesTests {
    private func shares(_ count: UInt64, _ members: [(outstanding: UInt64, room: UInt64)]) -> [UInt64] {
        groupShares(of: count, among: members.map { GroupMember(outstanding: $0.outstanding, room: $0.room) })
    }

    @Test func equalsGetEqualSharesAndTheFirstOnesWhatIsLeft() {
        #expect(shares(9, [(0, 100), (0, 100), (0, 100)]) == [3, 3, 3])
        #expect(shares(11, [(0, 100), (0, 100), (0, 100)]) == [4, 4, 3])
        #expect(shares(1, [(5, 100), (5, 100)]) == [1, 0])
    }

    @Test func whoHasLeastToDoGetsTheFirstOnesUntilTheyAreLevel() {
        #expect(shares(3, [(10, 100), (0, 100)]) == [0, 3])
        #expect(shares(10, [(10, 100), (0, 100)]) == [0, 10])
        #expect(shares(14, [(10, 100), (0, 100)]) == [2, 12])
        #expect(shares(6, [(0, 100), (4, 100), (2, 100)]) == [4, 0, 2])
        #expect(shares(7, [(0, 100), (4, 100), (2, 100)]) == [5, 0, 2])
    }

    @Test func nobodyGetsMoreThanItHasRoomFor() {
        #expect(shares(10, [(0, 2), (0, 100)]) == [2, 8])
        #expect(shares(10, [(0, 2), (0, 3)]) == [2, 3])
        #expect(shares(10, [(0, 0), (50, 100)]) == [0, 10], "whoever has no room doesn't count")
        #expect(shares(10, [(0, 0), (0, 0)]) == [0, 0])
    }

    @Test func nothingAndNobodyAreHandled() {
        #expect(shares(0, [(0, 5)]) == [0])
        #expect(shares(5, []) == [])
    }

    @Test func numbersAtTheirEndsDoNotOverflow() {
        // Credit and what it is counted against are bounded by 2^62.
        let most = Limits.creditMax
        #expect(shares(10, [(most, most), (0, most), (0, most)]) == [0, 5, 5])
        #expect(shares(3, [(most - 1, 1), (most, most)]) == [1, 2])
        #expect(shares(2 * most, [(0, most), (0, most), (0, most), (0, most), (0, most)]).reduce(0, +) == 2 * most)
    }

    /// One event after the other to whoever has least to do, the first of equals.
    private func oneByOne(_ count: UInt64, _ members: [GroupMember]) -> [UInt64] {
        var shares = [UInt64](repeating: 0, count: members.count)
        for _ in 0..<count {
            let open = members.indices.filter { shares[$0] < members[$0].room }
            guard
                let next = open.min(by: { members[$0].outstanding + shares[$0] < members[$1].outstanding + shares[$1] })
            else { break }
            shares[next] += 1
        }
        return shares
    }

    /// What is still to be done by each, sorted: which of equals got one more is a matter of turns.
    private func levels(_ shares: [UInt64], _ members: [GroupMember]) -> [UInt64] {
        zip(shares, members).map { $0 + $1.outstanding }.sorted()
    }

    @Test func theyAreAsIfHandedOutOneByOne() {
        for seed in 1...5000 as ClosedRange<UInt64> {
            var chance = SplitMix64(seed: seed)
            let members = (0..<chance.within(1...12)).map { _ in
                GroupMember(outstanding: UInt64(chance.below(40)), room: UInt64(chance.below(30)))
            }
            let count = UInt64(chance.below(250))
            let shares = groupShares(of: count, among: members)
            let plain = oneByOne(count, members)
            #expect(shares.reduce(0, +) == plain.reduce(0, +), "seed \(seed)")
            #expect(zip(shares, members).allSatisfy { $0 <= $1.room }, "seed \(seed)")
            #expect(levels(shares, members) == levels(plain, members), "seed \(seed)")
        }
    }

    @Test func manyMembersTakeNoLongerThanTheirEvents() {
        let members = (0..<20_000).map { GroupMember(outstanding: UInt64($0 % 50), room: UInt64($0 % 70)) }
        let clock = ContinuousClock()
        let time = clock.measure { #expect(groupShares(of: 500_000, among: members).reduce(0, +) == 500_000) }
        #expect(time < .seconds(2))
    }
}
