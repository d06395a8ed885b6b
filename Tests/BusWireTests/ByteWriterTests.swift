import Testing

@testable import BusWire

@Suite("The byte writer")
struct ByteWriterTests {
    @Test("writes numbers little-endian and UUIDs in network order")
    func layout() {
        var out: [UInt8] = [0xff]
        out.put(UInt16(0x0102))
        out.put(Int64(-2))
        out.put(BusUUID(high: 0x0001_0203_0405_0607, low: 0x0809_0a0b_0c0d_0e0f))
        #expect(out == [0xff, 2, 1, 0xfe] + [UInt8](repeating: 0xff, count: 7) + run(0, 16))
        out.patch(0x0403_0201, at: 1)
        #expect(Array(out[..<6]) == [0xff, 1, 2, 3, 4, 0xff])
    }
}
