import Testing

@testable import BusWire

@Suite struct OrderingKeyColumnTests {
    /// A batch of three events with these columns, as it comes.
    private func bytes(_ columns: BatchColumns) -> [UInt8] {
        var encoded: [UInt8] = []
        columns.encode(into: &encoded)
        let body = BatchHeader.tagLength + 3 * EventRecord.lengthMin
        let header = BatchHeader(
            eventCount: 3, seal: 1, counter: 0, firstID: BusUUID(high: 7, low: 1),
            columnsLength: UInt32(encoded.count), bodyLength: UInt32(body))
        var bytes: [UInt8] = []
        header.encode(into: &bytes)
        return bytes + encoded + [UInt8](repeating: 0, count: body)
    }

    /// The keys of a batch of three events with these columns; nil where it has none.
    private func keys(_ change: (inout BatchColumns) -> Void) throws -> [UInt64]? {
        var wanted = BatchColumns()
        change(&wanted)
        let batch = try SealedBatch(SharedBytes(bytes(wanted)))
        guard let column = OrderingKeyColumn(batch) else { return nil }
        let columns = try BatchColumns(batch.columns, eventCount: 3)
        let keys = (0..<3).map { column.key(at: $0, in: batch.bytes) }
        #expect(keys == (0..<3).map { columns.orderingKey[$0] ?? 0 }, "as whoever reads all columns finds them")
        return keys
    }

    @Test func `keys are found behind whatever columns come before them`() throws {
        #expect(try keys { $0.orderingKey = .each([7, 0, .max]) } == [7, 0, .max])
        #expect(try keys { $0.orderingKey = .all(9) } == [9, 9, 9])
        let ids = (1...3).map { BusUUID(high: 7, low: $0) }
        let all = try keys {
            $0.id = .each(ids)
            $0.correlation = .all(ids[0])
            $0.causation = .each(ids)
            $0.replyTo = .each([[1, 2, 3], [], [4]])
            $0.orderingKey = .each([1, 2, 3])
            $0.expiry = .all(5)
        }
        #expect(all == [1, 2, 3])
        let alike = try keys {
            $0.replyTo = .all(Array("$reply.1".utf8))
            $0.orderingKey = .all(4)
        }
        #expect(alike == [4, 4, 4])
    }

    @Test func `a batch without them has none`() throws {
        #expect(try keys { _ in } == nil)
        #expect(try keys { $0.expiry = .each([1, 2, 3]) } == nil)
        #expect(try keys { $0.correlation = .all(BusUUID(high: 1, low: 1)) } == nil)
    }

    @Test func `columns that end too early are nobody's keys, and no place outside is read`() throws {
        var columns = BatchColumns()
        columns.orderingKey = .each([1, 2, 3])
        let whole = SharedBytes(self.bytes(columns))
        var bytes = whole.array
        // Says that every column is there for each event, which the length doesn't bear out.
        bytes[BatchHeader.length] = 0xff
        bytes[BatchHeader.length + 1] = 0x03
        let broken = try SealedBatch(SharedBytes(bytes))
        #expect(OrderingKeyColumn(broken) == nil)
        let column = try #require(OrderingKeyColumn(try SealedBatch(whole)))
        #expect(column.key(at: 100, in: whole) == 0)
        #expect(column.key(at: -1, in: whole) == 0)
        #expect(column.key(at: 2, in: SharedBytes(Array(whole.array.prefix(60)))) == 0)
    }
}
