import Testing

@testable import BusWire

@Suite("The byte reader")
struct ByteReaderTests {
    @Test("reads numbers little-endian from any alignment, and stops at its end")
    func integers() throws {
        let bytes = SharedBytes(run(0, 20))
        var reader = ByteReader(bytes, range: 1..<16, frame: .hello)
        #expect(try reader.integer("a", as: UInt8.self) == 1)
        #expect(try reader.integer("b", as: UInt16.self) == 0x0302)
        #expect(try reader.integer("c", as: UInt32.self) == 0x0706_0504)
        #expect(try reader.integer("d", as: UInt64.self) == 0x0f0e_0d0c_0b0a_0908)
        #expect(reader.remaining == 0)
        #expect(throws: WireError.truncated(frame: .hello, what: "e")) { try reader.integer("e", as: UInt8.self) }
    }

    @Test("refuses lengths over its end, and stays where it was")
    func lengths() throws {
        var reader = ByteReader(SharedBytes(run(0, 8)), range: 0..<8, frame: .gap)
        for length in [9, Int(UInt32.max), Int.max, -1] {
            #expect(throws: WireError.truncated(frame: .gap, what: "x")) { _ = try reader.take(length, "x") }
            #expect(throws: WireError.truncated(frame: .gap, what: "x")) { try reader.skip(length, "x") }
        }
        #expect(throws: WireError.truncated(frame: .gap, what: "x")) { _ = try reader.uuid("x") }
        #expect(reader.position == 0)
        #expect(try reader.take(8, "x").array == run(0, 8))
    }

    @Test("reads UUIDs in network order")
    func uuids() throws {
        var reader = ByteReader(SharedBytes(run(0, 16)), range: 0..<16, frame: .gap)
        #expect(try reader.uuid("x").description == "00010203-0405-0607-0809-0a0b0c0d0e0f")
    }
}
