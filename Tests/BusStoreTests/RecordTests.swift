import BusWire
import Testing

@testable import BusStore

@Suite struct RecordTests {
    @Test func `A record with any bit flipped, cut short or of another table isn't read`() throws {
        let cursor = CursorRow(
            subscription: 5, cursor: StoredCursor(next: 9, pending: [PendingRange(first: 1, count: 2, attempts: 3)]))
        let record = cursor.record
        #expect(try CursorRow(record: record) == cursor)
        for bit in 0..<record.count * 8 {
            var changed = record
            changed[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(throws: RecordFault.self) { try CursorRow(record: changed) }
        }
        for length in 0..<record.count {
            #expect(throws: RecordFault.self) { try CursorRow(record: Array(record.prefix(length))) }
        }
        #expect(throws: RecordFault.self) { try StoredDeclaration(record: record) }
    }

    @Test func `A record with a right checksum and wrong content is refused, never trapped on`() {
        // More pending ranges than there are bytes.
        var writer = RecordWriter(.cursors)
        writer.put(UInt64(1))
        writer.put(UInt64(1))
        writer.put(UInt32.max)
        let record = writer.finish()
        #expect(throws: RecordFault.self) { try CursorRow(record: record) }
        // A topic's number that SQLite has no integer for.
        var topic = RecordWriter(.topics)
        topic.put(UInt64.max)
        let other = topic.finish()
        #expect(throws: RecordFault.self) { try TopicRow(record: other) }
    }
}
