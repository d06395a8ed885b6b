// Salts are remembered, and not for ever.

import Testing

@testable import BusBroker

@Suite struct SaltHistoryTests {
    /// Whether each of these is new, in their order.
    private func areNew(_ numbers: [UInt8], countMax: Int) -> [Bool] {
        var history = SaltHistory(countMax: countMax)
        return numbers.map { history.insert([UInt8](repeating: $0, count: 32)) }
    }

    @Test func aSaltIsNewOnce() {
        #expect(areNew([1, 1, 2, 1], countMax: 10) == [true, false, true, false])
    }

    @Test func theOldestAreForgottenFirst() {
        #expect(areNew([1, 2, 3, 2, 3, 1], countMax: 2) == [true, true, true, false, false, true])
    }
}
