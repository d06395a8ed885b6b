import BusWire
import Testing

@testable import BusBroker

@Suite("Records of what is stored")
struct StoredRecordsTests {
    private func topic(events: UInt64, bytes: UInt64) throws -> StoredTopic {
        StoredTopic(
            number: 1, name: try Topic("a"), lastSequence: events, lastTime: 0, firstSequence: 1, firstPosition: 1,
            firstTime: 0, eventCount: events, byteCount: bytes)
    }

    private func order(bytes: UInt64 = 0, events: UInt64 = 0) -> RetentionOrder {
        RetentionOrder(topic: 1, olderThan: .min, lengthMax: bytes, eventCountMax: events, before: .max)
    }

    @Test("events over a topic's bounds: the greater of those over its number and over its bytes")
    func over() throws {
        let topic = try topic(events: 10, bytes: 1000)
        #expect(topic.eventsOver(order()) == 0)
        #expect(topic.eventsOver(order(events: 10)) == 0)
        #expect(topic.eventsOver(order(events: 4)) == 6)
        #expect(topic.eventsOver(order(bytes: 950)) == 1)
        #expect(topic.eventsOver(order(bytes: 500, events: 9)) == 5)
        let empty = try self.topic(events: 0, bytes: 0)
        #expect(empty.eventsOver(order(bytes: 1, events: 1)) == 0)
    }

    @Test("a dead letter is of the events whose bits it has")
    func letter() {
        let letter = StoredDeadLetter(
            number: 1, subscription: 1, position: 100, selection: [0b101, 0b1], reason: .rejected, message: "",
            attempts: 1, died: 0, accepted: 0)
        #expect((UInt64(95)..<200).filter { letter.holds($0) } == [100, 102, 108])
        #expect(letter.eventCount == 3)
        #expect(FoundDeadLetter(letter).ranges.map(\.first) == [100, 102, 108])
    }

    @Test("lines that say the same of what follows are one, up to a bound")
    func lines() {
        func line(_ first: UInt64, _ count: UInt32 = 1, attempt: UInt16 = 1) -> LedgerLine {
            LedgerLine(
                subscription: 1, first: first, count: count, outcome: .acknowledged, session: 1, attempt: attempt,
                sent: 0,
                time: 0)
        }
        #expect(line(1).isContinued(by: line(2)))
        #expect(!line(1).isContinued(by: line(3)))
        #expect(!line(1).isContinued(by: line(2, attempt: 2)))
        #expect(!line(1, LedgerLine.countMax).isContinued(by: line(1 + UInt64(LedgerLine.countMax))))
    }
}
