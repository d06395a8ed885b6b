import BusWire
import Testing

@testable import BusClient

@Suite struct TopicPositionsTests {
    private func missed(_ topic: Topic, _ count: UInt64?, _ first: UInt64, _ last: UInt64) -> Missed {
        Missed(count: count, topic: topic, firstSequence: first, lastSequence: last, reason: .reconnected)
    }

    @Test func `after a reconnect to the same daemon the first word of a topic tells what was missed, once`() throws {
        var positions = TopicPositions()
        let (a, b) = (try Topic("a"), try Topic("b"))
        #expect(positions.note(a, incarnation: 1, first: 1, last: 5) == nil)
        #expect(positions.note(b, incarnation: 2, first: 1, last: 1) == nil)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.note(a, incarnation: 1, first: 9, last: 10) == missed(a, 3, 6, 8))
        #expect(positions.note(a, incarnation: 1, first: 20, last: 20) == nil)
        #expect(positions.note(b, incarnation: 2, first: 2, last: 2) == nil)
    }

    @Test func `another daemon counts anew`() throws {
        var positions = TopicPositions()
        let a = try Topic("a")
        _ = positions.note(a, incarnation: 1, first: 1, last: 5)
        positions.connectionRestored(sameDaemon: false)
        #expect(positions.note(a, incarnation: 1, first: 9, last: 9) == nil)
        #expect(positions.noteStored(try Topic("b"), incarnation: 1, sequence: 1) == true)
    }

    /// Of a durable topic.
    private let durable: UInt64 = 1 << 63 | 7

    @Test func `durable topics go on where they were, whichever daemon it is`() throws {
        var positions = TopicPositions()
        let (a, b) = (try Topic("a"), try Topic("b"))
        #expect(!positions.knowsOnlyDurable)
        _ = positions.note(a, incarnation: durable, first: 1, last: 5)
        #expect(positions.knowsOnlyDurable)
        _ = positions.note(b, incarnation: 1, first: 1, last: 5)
        #expect(!positions.knowsOnlyDurable)
        positions.connectionRestored(sameDaemon: false)
        #expect(positions.knowsOnlyDurable)
        #expect(positions.noteStored(a, incarnation: durable, sequence: 5) == false)
        #expect(positions.note(a, incarnation: durable, first: 8, last: 8) == missed(a, 2, 6, 7))
        #expect(positions.note(b, incarnation: 1, first: 9, last: 9) == nil)
    }

    @Test func `stored events that came after a reconnect are counted, however many came together`() throws {
        var positions = TopicPositions()
        let a = try Topic("a")
        _ = positions.note(a, incarnation: durable, first: 1, last: 5)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.noteStored(a, incarnation: durable, sequence: 5, count: 5) == false)
        #expect(positions.noteStored(a, incarnation: durable, sequence: 69, count: 64) == true)
        #expect(positions.note(a, incarnation: durable, first: 70, last: 70) == nil)
    }

    @Test func `another life of a topic can't be compared`() throws {
        var positions = TopicPositions()
        let a = try Topic("a")
        _ = positions.note(a, incarnation: 1, first: 1, last: 5)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.note(a, incarnation: 2, first: 9, last: 9) == missed(a, nil, 0, 0))
        positions.connectionRestored(sameDaemon: true)
        // The new life is remembered.
        #expect(positions.note(a, incarnation: 2, first: 11, last: 11) == missed(a, 1, 10, 10))
        // Without a connection lost nothing is missed, whatever life it is.
        #expect(positions.note(a, incarnation: 3, first: 1, last: 1) == nil)
    }

    @Test func `a last value seen before is not new, a later one is, and so is one of another life`() throws {
        var positions = TopicPositions()
        let (a, b) = (try Topic("a"), try Topic("b"))
        _ = positions.note(a, incarnation: 1, first: 1, last: 5)
        _ = positions.note(b, incarnation: 1, first: 1, last: 1)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.noteStored(a, incarnation: 1, sequence: 4) == false)
        #expect(positions.noteStored(a, incarnation: 1, sequence: 5) == false)
        #expect(positions.noteStored(a, incarnation: 1, sequence: 6) == true)
        #expect(positions.noteStored(a, incarnation: 1, sequence: 6) == false)
        #expect(positions.noteStored(b, incarnation: 2, sequence: 1) == true)
    }

    @Test func `a last value told as missed is shown after a reconnect, and isn't counted twice`() throws {
        var positions = TopicPositions()
        let (a, b) = (try Topic("a"), try Topic("b"))
        for topic in [a, b] {
            _ = positions.note(topic, incarnation: 1, first: 1, last: 5)
            #expect(positions.noteGap(topic, first: 6, last: 9) == nil)
        }
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.noteStored(a, incarnation: 1, sequence: 9) == true)
        #expect(positions.noteStored(b, incarnation: 1, sequence: 5) == false)
        #expect(positions.noteStored(b, incarnation: 1, sequence: 7) == true)
        #expect(positions.note(a, incarnation: 1, first: 12, last: 12) == missed(a, 2, 10, 11))
        #expect(positions.note(b, incarnation: 1, first: 10, last: 10) == nil)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.noteStored(a, incarnation: 1, sequence: 12) == false)
    }

    @Test func `what comes again doesn't go back, whichever topic was heard of between`() throws {
        var positions = TopicPositions()
        let (a, b) = (try Topic("a"), try Topic("b"))
        _ = positions.note(a, incarnation: 1, first: 1, last: 5)
        _ = positions.note(b, incarnation: 1, first: 1, last: 1)
        _ = positions.note(a, incarnation: 1, first: 3, last: 3)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.noteStored(a, incarnation: 1, sequence: 5) == false)
        #expect(positions.note(a, incarnation: 1, first: 6, last: 6) == nil)
    }

    @Test func `a last value that came after a reconnect isn't among those missed`() throws {
        var positions = TopicPositions()
        let (a, b) = (try Topic("a"), try Topic("b"))
        _ = positions.note(a, incarnation: 1, first: 1, last: 5)
        _ = positions.note(b, incarnation: 1, first: 1, last: 5)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.noteStored(a, incarnation: 1, sequence: 8) == true)
        #expect(positions.noteStored(b, incarnation: 1, sequence: 6) == true)
        #expect(positions.note(a, incarnation: 1, first: 10, last: 10) == missed(a, 3, 6, 9))
        #expect(positions.note(b, incarnation: 1, first: 7, last: 7) == nil)
    }

    @Test func `what wasn't told after one reconnect is told after the next`() throws {
        var positions = TopicPositions()
        let a = try Topic("a")
        _ = positions.note(a, incarnation: 1, first: 1, last: 5)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.noteStored(a, incarnation: 1, sequence: 8) == true)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.note(a, incarnation: 1, first: 9, last: 9) == missed(a, 2, 6, 8))
    }

    @Test func `a gap moves the position in the life it is in`() throws {
        var positions = TopicPositions()
        let a = try Topic("a")
        _ = positions.note(a, incarnation: 7, first: 1, last: 5)
        #expect(positions.noteGap(a, first: 6, last: 9) == nil)
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.note(a, incarnation: 7, first: 12, last: 12) == missed(a, 2, 10, 11))
    }

    @Test func `of topics beyond the bound nothing is known`() throws {
        var positions = TopicPositions()
        for number in 0...65_536 { _ = positions.note(try Topic("t.\(number)"), incarnation: 1, first: 1, last: 1) }
        positions.connectionRestored(sameDaemon: true)
        #expect(positions.note(try Topic("t.7"), incarnation: 1, first: 3, last: 3) != nil)
        #expect(positions.note(try Topic("t.65536"), incarnation: 1, first: 3, last: 3) == nil)
    }
}
