import Testing

@testable import BusCrypto

@Suite struct OrderingKeyTests {
    private func hash(_ key: String, _ topic: String) throws -> UInt64 {
        try OrderingKey.hash(Array(key.utf8), topic: Array(topic.utf8))
    }

    @Test("A known answer: whatever computes it must agree, or a key would be ordered by two numbers")
    func knownAnswer() throws {
        #expect(try hash("customer-7", "orders.placed") == 0x8b591f7ec06d4806)
        #expect(try hash("", "orders.placed") == 0xee1bcb8ec2a71025)
    }

    @Test("Another key, another topic, another border between the two: another number")
    func differences() throws {
        let numbers = try [hash("a", "t"), hash("b", "t"), hash("a", "u"), hash("", "ta"), hash("ta", "")]
        #expect(Set(numbers).count == numbers.count)
        #expect(!numbers.contains(0))
    }

    @Test("What no field holds is refused")
    func bounds() {
        let error = refusal { () throws(CryptoError) in
            _ = try OrderingKey.hash([UInt8](repeating: 0, count: 65_536), topic: [])
        }
        #expect(error == .fieldTooLong)
    }
}
