import BusWire
import Testing

@Suite("Columns")
struct BatchColumnsTests {
    private let ids = [BusUUID(high: 1, low: 1), BusUUID(high: 2, low: 2), BusUUID.zero]

    private func bytes(_ columns: BatchColumns) -> [UInt8] {
        var out: [UInt8] = []
        columns.encode(into: &out)
        return out
    }

    private func refusal(_ bytes: [UInt8], eventCount: Int = 3) -> String? {
        do {
            _ = try BatchColumns(SharedBytes(bytes), eventCount: eventCount)
            return nil
        } catch {
            guard case .malformedBatch(let what) = error else { return "\(error.reason)" }
            return what
        }
    }

    @Test("that aren't there take four bytes")
    func none() throws {
        #expect(bytes(BatchColumns()) == [0, 0, 0, 0])
        #expect(try BatchColumns(SharedBytes([0, 0, 0, 0]), eventCount: 4096) == BatchColumns())
    }

    @Test("with one value for all come back")
    func all() throws {
        var columns = BatchColumns()
        columns.id = .all(ids[0])
        columns.correlation = .all(ids[1])
        columns.causation = .all(ids[2])
        columns.replyTo = .all(Array("$reply.7".utf8))
        columns.orderingKey = .all(0x0102_0304_0506_0708)
        columns.expiry = .all(-1)
        let bytes = bytes(columns)
        #expect(bytes.count == 4 + 3 * 16 + 9 + 8 + 8)
        #expect(Array(bytes[..<4]) == [0b0101_0101, 0b0101, 0, 0])
        #expect(try BatchColumns(SharedBytes(bytes), eventCount: 3) == columns)
    }

    @Test("with one value for each event come back")
    func each() throws {
        var columns = BatchColumns()
        columns.id = .each(ids)
        columns.correlation = .each(ids)
        columns.causation = .each(ids)
        columns.replyTo = .each([[], [UInt8](repeating: 0x61, count: 255), [0x62]])
        columns.orderingKey = .each([0, 1, .max])
        columns.expiry = .each([0, 1, .min])
        #expect(try BatchColumns(SharedBytes(bytes(columns)), eventCount: 3) == columns)
    }

    @Test("alone come back, whichever it is")
    func single() throws {
        var list = [BatchColumns](repeating: BatchColumns(), count: 6)
        list[0].id = .each(ids)
        list[1].correlation = .all(ids[0])
        list[2].causation = .each(ids)
        list[3].replyTo = .all([])
        list[4].orderingKey = .each([1, 2, 3])
        list[5].expiry = .all(4)
        for columns in list {
            #expect(try BatchColumns(SharedBytes(bytes(columns)), eventCount: 3) == columns)
        }
    }

    @Test("this version doesn't know are refused", arguments: 12..<32)
    func unknown(_ bit: Int) {
        #expect(refusal(.little(UInt32(1) << UInt32(bit))) == "has columns this version doesn't know")
    }

    @Test("for each event that aren't there are refused", arguments: 0..<6)
    func eachWithoutPresent(_ column: Int) {
        #expect(
            refusal(.little(UInt32(0b10) << UInt32(2 * column)))
                == "column \(column) has values for each event but isn't present")
    }

    @Test("that end too early are refused")
    func truncated() {
        var columns = BatchColumns()
        columns.replyTo = .each([[1, 2, 3], [4], [5, 6]])
        columns.expiry = .each([1, 2, 3])
        let whole = bytes(columns)
        for count in 0..<whole.count {
            #expect(refusal(Array(whole[..<count]))?.hasPrefix("ends within its ") == true)
        }
        #expect(refusal(whole) == nil)
    }

    @Test("for more events than there are values are refused")
    func tooFew() {
        var columns = BatchColumns()
        columns.orderingKey = .each([1, 2])
        #expect(refusal(bytes(columns)) == "ends within its ordering key column")
    }

    @Test("with bytes behind them are refused")
    func tooMany() {
        #expect(refusal([0, 0, 0, 0, 9]) == "1 bytes behind its columns")
    }

    @Test("are as short as they can be")
    func shortest() {
        #expect(Column.shortest([0, 0, 0], absent: 0) == .none)
        #expect(Column<Int>.shortest([], absent: 0) == .none)
        #expect(Column.shortest([5, 5, 5], absent: 0) == .all(5))
        #expect(Column.shortest([0, 5, 5], absent: 0) == .each([0, 5, 5]))
        #expect(Column.shortest([5], absent: 0) == .all(5))
    }

    @Test("give each event its value")
    func values() {
        #expect(Column<Int>.none[2] == nil)
        #expect(Column.all(7)[2] == 7)
        #expect(Column.each([7, 8, 9])[2] == 9)
    }
}
