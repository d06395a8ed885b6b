import Testing

@testable import BusCrypto

@Suite struct GrantPositionTests {
    @Test("The incarnation counts before the counter")
    func order() {
        let sorted = [(0, 0), (0, 1), (0, UInt64.max), (1, 0), (2, 5)].map {
            GrantPosition(incarnation: $0.0, counter: $0.1)
        }
        #expect(sorted.reversed().sorted() == sorted)
    }
}
