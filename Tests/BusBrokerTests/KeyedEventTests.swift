// Events that wait for their keys become portions again.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct KeyedEventTests {
    private let portions = Portions()

    /// Events of one batch with these keys.
    private func events(_ keys: [UInt64], at first: UInt64 = 1) throws -> [KeyedEvent] {
        var sample = SampleBatch(seal: 1, counter: 0, eventCount: UInt32(keys.count))
        sample.columns.orderingKey = .each(keys)
        let batch = AcceptedBatch(
            seal: try portions.seal("a"), bytes: sample.bytes, firstSequence: first, eventCount: UInt32(keys.count),
            time: 0)
        batch.keys = OrderingKeyColumn(try SealedBatch(sample.bytes))
        return try keys.indices.map {
            KeyedEvent(batch: batch, index: $0, key: try #require(batch.key(at: $0)))
        }
    }

    @Test func `they become as few portions as their order allows`() throws {
        var all = try events([7, 8, 7, 7]) + events([8, 7], at: 5)
        all[2].attempt = 2
        let found = KeyedEvent.portions(all.shuffled())
        #expect(found.map(\.sequences) == [1...2, 3...3, 4...4, 5...6])
        #expect(found.map(\.attempt) == [1, 2, 1, 1])
    }

    @Test func `what was taken back says so, and nothing else does`() throws {
        var all = try events([7, 7, 7])
        all[1].isRepeated = true
        #expect(KeyedEvent.portions(all).map(\.isRepeated) == [false, true, false])
        #expect(KeyedEvent.portions([]).isEmpty)
    }

    @Test func `an event without a key has none`() throws {
        let batch = try #require(try events([7, 8]).first).batch
        var keys: [UInt64] = []
        Portion(batch, Selection(1..<2, of: 2)).forEachKey { key, index in keys.append(key.hash + UInt64(index))
        }
        #expect(keys == [9])
        #expect(try portions.make("a", at: 1).batch.key(at: 0) == nil)
    }
}
