import Testing

@testable import BusWire

@Suite("Fields")
struct FieldTests {
    private func fields(_ bytes: [UInt8], of frame: FrameType) throws(WireError) -> Fields {
        var reader = ByteReader(SharedBytes(bytes), range: 0..<bytes.count, frame: frame)
        return try Fields(reading: &reader, frame: frame)
    }

    @Test("are read in any order, the first of two with one tag")
    func order() throws {
        let bytes = [UInt8].field(1, [7]) + .field(0x8003, [1]) + .field(3, [2])
        let read = try fields(bytes, of: .announce)
        #expect(try read.bytes(.topic, lengthMax: 1) == [1])
        #expect(try read.text(.name, lengthMax: 1) == "\u{7}")
    }

    @Test("that a frame doesn't have are unknown there, even if another frame has them")
    func ofOtherFrames() throws {
        let filter: UInt16 = 4
        #expect(throws: WireError.unknownRequiredField(frame: .unsubscribe, tag: filter)) {
            try fields(.field(filter | 0x8000, [1]), of: .unsubscribe)
        }
        #expect(try fields(.field(filter, [1]), of: .unsubscribe).list.isEmpty)
    }

    @Test("over their limit are refused", arguments: [FrameType.announce, .inspected])
    func count(_ frame: FrameType) throws {
        let limit = frame == .inspected ? 65_536 : 64
        let one = [UInt8].field(0x7000, [])
        let full = [UInt8]([[UInt8]](repeating: one, count: limit).joined())
        _ = try fields(full, of: frame)
        #expect(throws: WireError.invalid(frame: frame, what: "more than \(limit) fields")) {
            try fields(full + one, of: frame)
        }
    }

    @Test("longer than they may be are refused")
    func length() throws {
        let read = try fields(.field(3, run(0, 256)), of: .announce)
        #expect(
            throws: WireError.invalid(frame: .announce, what: "topic has 256 bytes, at most 255 are allowed")
        ) { try read.bytes(.topic, lengthMax: 255) }
    }

    @Test("of numbers are read, the first of two, and absent ones aren't there")
    func numbers() throws {
        let read = try fields(.field(0x800a, [4, 3, 2, 1]) + .field(10, [9, 9, 9, 9]), of: .subscribe)
        #expect(try read.integer(.mode, as: UInt32.self) == 0x0102_0304)
        #expect(try read.integer(.after, as: UInt64.self) == nil)
        var bytes: [UInt8] = []
        bytes.putField(.after, required: true, number: UInt64(7))
        #expect(bytes == .field(0x800d, .little(UInt64(7))))
    }

    @Test("of text show what isn't UTF-8 as such")
    func invalidText() throws {
        #expect(try fields(.field(1, [0x61, 0xff]), of: .announce).text(.name, lengthMax: 255) == "a\u{fffd}")
    }

    @Test("of text are cut at a character")
    func cut() {
        var bytes: [UInt8] = []
        bytes.putField(.name, "aäöü", lengthMax: 4)
        #expect(bytes == .field(1, Array("aä".utf8)))
        bytes = []
        bytes.putField(.name, "", lengthMax: 4)
        #expect(bytes.isEmpty)
    }

    @Test("of an enormous text are cut in no time")
    func cutOfMuch() {
        var bytes: [UInt8] = []
        bytes.putField(.message, String(repeating: "e\u{301}", count: 2_000_000), lengthMax: 10)
        #expect(bytes.count == 6 + 9)
    }
}
