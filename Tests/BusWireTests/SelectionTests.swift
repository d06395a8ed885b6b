import BusWire
import Testing

@Suite("A selection")
struct SelectionTests {
    private func received(_ bytes: [UInt8], of count: Int) throws(WireError) -> Selection {
        try Selection(SharedBytes(bytes), of: count)
    }

    @Test("of consecutive events sets their bits, lowest first, and ends with its last one")
    func ranges() {
        #expect(Selection(0..<1, of: 2).bytes == [0x01])
        #expect(Selection(1..<2, of: 2).bytes == [0x02])
        #expect(Selection(7..<9, of: 64).bytes == [0x80, 0x01])
        #expect(Selection(8..<16, of: 64).bytes == [0x00, 0xff])
        #expect(Selection(0..<63, of: 64).bytes == [UInt8](repeating: 0xff, count: 7) + [0x7f])
    }

    @Test("of all events has no bytes", arguments: [1, 7, 8, 9, 4096])
    func all(_ count: Int) throws {
        #expect(Selection(0..<count, of: count) == .all)
        #expect(Selection(of: count, where: { _ in true }) == .all)
        #expect(try received([], of: count) == .all)
        #expect(Selection.all.isAll && Selection.all.count(of: count) == count)
        #expect(Selection.all.bounds(of: count) == 0...count - 1 && Selection.all.contains(count - 1))
    }

    @Test("of no event is none")
    func none() {
        #expect(Selection(of: 64, where: { _ in false }) == nil)
    }

    @Test("means the events it was made for", arguments: 1...20 as ClosedRange<UInt64>)
    func anySet(seed: UInt64) throws {
        var numbers = SeededNumbers(seed: seed)
        for _ in 0..<200 {
            let count = Int.random(in: 1...200, using: &numbers)
            let density = Int.random(in: 1...8, using: &numbers)
            let chosen = (0..<count).filter { _ in Int.random(in: 0..<density, using: &numbers) == 0 }
            guard let first = chosen.first, let last = chosen.last else {
                #expect(Selection(of: count, where: chosen.contains) == nil)
                continue
            }
            let selection = try #require(Selection(of: count, where: chosen.contains))
            #expect((0..<count).filter(selection.contains) == chosen)
            #expect(selection.count(of: count) == chosen.count)
            #expect(selection.bounds(of: count) == first...last)
            #expect(try received(selection.bytes, of: count) == selection)
            if chosen.count == last - first + 1 { #expect(Selection(first..<last + 1, of: count) == selection) }
        }
    }

    @Test("that came may be longer than it need be, and is the same one")
    func receivedInFull() throws {
        #expect(try received([0x05, 0x00], of: 9) == Selection(of: 9, where: [0, 2].contains))
        #expect(try received([0xff], of: 8) == .all)
        #expect(try received([0xff, 0x01], of: 9).isAll)
    }

    @Test("that came is refused when it has a bit for an event that isn't there", arguments: 1...17)
    func outOfRange(_ count: Int) {
        for bit in count..<(count + 7) / 8 * 8 {
            var bytes = [UInt8](repeating: 0, count: (count + 7) / 8)
            bytes[0] |= 1
            bytes[bit / 8] |= 1 << UInt8(bit % 8)
            let error = #expect(throws: WireError.self) { try received(bytes, of: count) }
            #expect(error?.reason == .malformedFrame)
        }
    }

    @Test("that came is refused when it selects nothing")
    func nothing() {
        for bytes in [[0x00], [0x00, 0x00]] as [[UInt8]] {
            #expect(
                throws: WireError.invalid(
                    frame: .deliver, what: "a selection of no event, or of one that isn't there")
            ) { try received(bytes, of: 16) }
        }
    }

    @Test("that came is refused when it is longer than its events need")
    func tooLong() {
        #expect(throws: WireError.invalid(frame: .deliver, what: "a selection of 2 bytes for 8 events")) {
            try received([0x01, 0x00], of: 8)
        }
    }

    @Test("means nothing behind its last byte")
    func behindTheEnd() throws {
        let selection = try received([0x01], of: 4096)
        #expect(selection.contains(0) && !selection.contains(8) && !selection.contains(4095))
        #expect(selection.count(of: 4096) == 1 && selection.bounds(of: 4096) == 0...0)
    }
}
