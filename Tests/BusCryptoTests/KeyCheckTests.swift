import Testing

@testable import BusCrypto

@Suite struct KeyCheckTests {
    @Test("Equal bytes are equal checks, other bytes are not")
    func equality() throws {
        let one = try KeyCheck([UInt8](0..<16))
        #expect(try one == KeyCheck([UInt8](0..<16)))
        #expect(try one != KeyCheck([UInt8](1..<17)))
    }

    @Test("Another length is refused", arguments: [0, 15, 17])
    func lengths(count: Int) {
        let error = refusal { () throws(CryptoError) in _ = try KeyCheck([UInt8](repeating: 0, count: count)) }
        #expect(error == .wrongLength)
    }
}
