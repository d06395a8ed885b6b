import Testing

@testable import BusCrypto

@Suite struct NonceTests {
    @Test("The counter enters the last eight bytes, the most significant first")
    func layout() throws {
        let base = try nonce([UInt8](repeating: 0, count: 12))
        let bytes = base.combined(withCounter: 0x0102_0304_0506_0708).withUnsafeBytes { [UInt8]($0) }
        #expect(bytes == [0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8])
        let inverted = try nonce([UInt8](repeating: 0xff, count: 12)).combined(withCounter: 1)
        #expect(inverted.withUnsafeBytes { [UInt8]($0) } == [UInt8](repeating: 0xff, count: 11) + [0xfe])
    }

    @Test("A grant's nonce is incarnation and counter, the most significant byte first")
    func grantLayout() {
        let nonce = Nonce(GrantPosition(incarnation: 0x0a0b_0c0d, counter: 0x0102_0304_0506_0708))
        #expect(nonce.withUnsafeBytes { [UInt8]($0) } == [10, 11, 12, 13, 1, 2, 3, 4, 5, 6, 7, 8])
    }

    @Test("No two counters of one base have the same nonce")
    func unique() throws {
        let base = try nonce((0..<12).map { _ in UInt8.random(in: 0...255) })
        let near = (0..<20_000 as Range<UInt64>).map { $0 }
        let far = (1...20_000 as ClosedRange<UInt64>).map { UInt64.max - $0 }
        let wide = (16..<62).map { UInt64(1) << $0 }
        let nonces = (near + far + wide).map { counter in
            base.combined(withCounter: counter).withUnsafeBytes { [UInt8]($0) }
        }
        #expect(Set(nonces).count == near.count + far.count + wide.filter { $0 >= 20_000 }.count)
    }

    @Test("Another length is refused", arguments: [0, 11, 13])
    func lengths(count: Int) {
        let error = refusal { () throws(CryptoError) in _ = try nonce([UInt8](repeating: 0, count: count)) }
        #expect(error == .wrongLength)
    }

    private func nonce(_ bytes: [UInt8]) throws(CryptoError) -> Nonce {
        try lend(bytes) { (bytes) throws(CryptoError) in try Nonce(bytes) }
    }
}
