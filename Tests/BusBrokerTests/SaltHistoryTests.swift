// Salts are remembered, and not for ever.

import Testing

@testable import BusBroker

@Suite struct SaltHistoryTests {
    private func salt(_ number: UInt8) -> [UInt8] { [UInt8](repeating: number, count: 32) }

    @Test func aSaltIsNewOnce() {
        var history = SaltHistory(countMax: 10)
        #expect(history.insert(salt(1)))
        #expect(!history.insert(salt(1)))
        #expect(history.insert(salt(2)))
    }

    @Test func theOldestAreForgottenFirst() {
        var history = SaltHistory(countMax: 2)
        for number in 1...3 as ClosedRange<UInt8> { #expect(history.insert(salt(number))) }
        #expect(!history.insert(salt(2)) && !history.insert(salt(3)))
        #expect(history.insert(salt(1)))
    }
}
