import Testing

@testable import BusCrypto

@Suite struct FieldsTests {
    @Test("Each field is its length and its bytes, integers little-endian")
    func layout() throws {
        let fields = try Fields("ab").adding([7, 8, 9]).adding(UInt8(1)).adding(UInt32(2)).adding(UInt64(3))
        let expected: [UInt8] = [
            2, 0, 97, 98, 3, 0, 7, 8, 9, 1, 0, 1, 4, 0, 2, 0, 0, 0, 8, 0, 3, 0, 0, 0, 0, 0, 0, 0,
        ]
        #expect(fields.bytes == expected)
    }

    @Test("Moving a byte between fields changes the bytes")
    func borders() throws {
        #expect(try Fields("x").adding([1]).adding([2, 3]).bytes != Fields("x").adding([1, 2]).adding([3]).bytes)
        #expect(try Fields("x").adding([]).bytes != Fields("x").bytes)
    }

    @Test("A field holds 65,535 bytes and no more")
    func bounds() throws {
        let longest = try Fields("x").adding([UInt8](repeating: 0, count: 65_535))
        #expect(longest.bytes.count == 3 + 2 + 65_535)
        let error = refusal { () throws(CryptoError) in
            _ = try Fields("x").adding([UInt8](repeating: 0, count: 65_536))
        }
        #expect(error == .fieldTooLong)
    }
}
