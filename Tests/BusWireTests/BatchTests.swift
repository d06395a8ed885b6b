import BusWire
import Testing

@Suite("A batch")
struct BatchTests {
    /// A plain batch with one integer of its header replaced.
    private func patched<T: FixedWidthInteger>(_ offset: Int, _ value: T) -> [UInt8] {
        var bytes = plainBatch()
        bytes.replaceSubrange(offset..<offset + MemoryLayout<T>.size, with: [UInt8].little(value))
        return bytes
    }

    private func refusal(_ bytes: [UInt8]) -> String? {
        do {
            try SealedBatch(SharedBytes(bytes)).checkColumns()
            return nil
        } catch {
            guard case .malformedBatch(let what) = error else { return "\(error.reason)" }
            return what
        }
    }

    @Test("comes back with its header and its three parts")
    func parts() throws {
        var columns = BatchColumns()
        columns.expiry = .all(5)
        let bytes = plainBatch(eventCount: 3, columns: columns, bodyLength: 100)
        let batch = try SealedBatch(SharedBytes(bytes))
        let id = BusUUID(milliseconds: 1, counterHigh: 2, counterLow: 3)
        #expect(
            batch.header
                == BatchHeader(eventCount: 3, seal: 42, counter: 7, firstID: id, columnsLength: 12, bodyLength: 100))
        #expect(batch.authenticated.array == Array(bytes[..<60]))
        #expect(batch.columns.array == Array(bytes[48..<60]))
        #expect(batch.body.array == run(0x10, 100))
        #expect(batch.authenticated.storage === batch.bytes.storage)
        try batch.checkColumns()
    }

    @Test("shorter than its header is refused")
    func short() {
        for count in 0..<48 {
            #expect(refusal(Array(plainBatch()[..<count])) == "has \(count) bytes, its header alone has 48")
        }
    }

    @Test("of another version, suite or flags is refused")
    func unknown() {
        #expect(refusal(patched(0, UInt8(2))) == "version 2")
        #expect(refusal(patched(1, UInt8(0))) == "suite 0")
        #expect(refusal(patched(2, UInt16(0x8000))) == "flags 32768")
    }

    @Test("of none or too many events is refused")
    func eventCount() {
        #expect(refusal(patched(4, UInt32(0))) == "0 events, 1 to 4096 are allowed")
        #expect(refusal(patched(4, UInt32(4097))) == "4097 events, 1 to 4096 are allowed")
        #expect(refusal(patched(4, UInt32.max)) == "4294967295 events, 1 to 4096 are allowed")
        #expect(refusal(plainBatch(eventCount: 4096)) == nil)
    }

    @Test("with columns too short or too long is refused")
    func columnsLength() {
        #expect(refusal(patched(40, UInt32(3))) == "columns of 3 bytes")
        #expect(refusal(patched(40, UInt32(16385))) == "columns of 16385 bytes")
        #expect(refusal(patched(40, UInt32.max)) == "columns of 4294967295 bytes")
    }

    @Test("whose lengths don't add up is refused")
    func lengths() {
        #expect(refusal(patched(44, UInt32(31))) == "lengths in its header add up to 83, not 82")
        #expect(refusal(patched(44, UInt32(29))) == "lengths in its header add up to 81, not 82")
        #expect(refusal(patched(44, UInt32.max)) == "lengths in its header add up to 4294967347, not 82")
        #expect(refusal(plainBatch() + [0]) == "lengths in its header add up to 82, not 83")
    }

    @Test("with a body too short for its events is refused")
    func body() {
        #expect(refusal(plainBatch(eventCount: 2, bodyLength: 43)) == "a body of 43 bytes can't hold 2 events")
        #expect(refusal(plainBatch(bodyLength: 0)) == "a body of 0 bytes can't hold 1 events")
    }

    @Test("with a first id of zero is refused")
    func zeroID() {
        #expect(refusal(plainBatch(firstID: .zero)) == "its first id is zero")
    }

    @Test("whose ids overflow their counter is refused, and only then")
    func overflowingIDs() {
        let last = BusUUID(milliseconds: 1, counterHigh: 0xfff, counterLow: .max)
        #expect(refusal(plainBatch(firstID: last)) == nil)
        #expect(refusal(plainBatch(eventCount: 2, firstID: last)) == "its ids overflow their counter")
        let lastButOne = BusUUID(milliseconds: 1, counterHigh: 0xfff, counterLow: .max - 1)
        #expect(refusal(plainBatch(eventCount: 2, firstID: lastButOne)) == nil)
    }

    @Test("whose own ids are one for all, zero or begin with another is refused")
    func ownIDs() {
        let (a, b) = (BusUUID(high: 1, low: 1), BusUUID(high: 1, low: 2))
        func batch(_ ids: Column<BusUUID>) -> [UInt8] {
            var columns = BatchColumns()
            columns.id = ids
            return plainBatch(eventCount: 2, firstID: a, columns: columns)
        }
        #expect(refusal(batch(.each([a, b]))) == nil)
        #expect(refusal(batch(.all(a))) == "gives all its events one id")
        #expect(refusal(batch(.each([b, a]))) == "has a wrong or zero id")
        #expect(refusal(batch(.each([a, .zero]))) == "has a wrong or zero id")
    }

    @Test("with columns that end too early is refused as a batch, not as a frame")
    func truncatedColumns() {
        var bytes = plainBatch()
        bytes[48] = 0b01 << 2
        #expect(refusal(bytes) == "ends within its correlation column")
    }
}
