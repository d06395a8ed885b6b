import Testing

@testable import BusCrypto

@Suite struct CryptoSuiteTests {
    @Test("AES-256-GCM is suite 1, and there is no other")
    func numbers() {
        #expect(CryptoSuite.allCases.map(\.rawValue) == [1])
    }
}
