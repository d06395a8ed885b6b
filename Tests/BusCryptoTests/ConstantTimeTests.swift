import Testing

@testable import BusCrypto

@Suite struct ConstantTimeTests {
    @Test("Equal bytes are equal; one bit or another length is not")
    func equality() {
        let bytes = [UInt8](0..<32)
        #expect(areEqual(bytes, bytes))
        for index in bytes.indices {
            var other = bytes
            other[index] ^= 0x80
            #expect(!areEqual(bytes, other))
        }
        #expect(!areEqual(bytes, [UInt8](0..<31)))
    }

    @Test("Only zeros are zero")
    func zero() {
        #expect([UInt8](repeating: 0, count: 32).withUnsafeBytes { ConstantTime.isZero($0) })
        for index in 0..<32 {
            var bytes = [UInt8](repeating: 0, count: 32)
            bytes[index] = 1
            #expect(!bytes.withUnsafeBytes { ConstantTime.isZero($0) })
        }
    }

    private func areEqual(_ one: [UInt8], _ other: [UInt8]) -> Bool {
        one.withUnsafeBytes { one in other.withUnsafeBytes { ConstantTime.areEqual(one, $0) } }
    }
}
