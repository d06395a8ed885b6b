// The queue's arithmetic.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct DeliveryQueueTests {
    private let bench = Bench()

    private func seal(_ topic: String) throws -> Seal {
        let session = try #require(bench.open(1).session)
        let state = TopicState(name: try Topic(topic), number: 0, account: session.account)
        return Seal(number: 1, topic: state, salt: bench.salt(), session: session)
    }

    private func batch(_ seal: Seal, at first: UInt64, events: UInt32) -> AcceptedBatch {
        let bytes = SampleBatch(seal: 1, counter: 0, eventCount: events).bytes
        return AcceptedBatch(seal: seal, bytes: bytes, firstSequence: first, eventCount: events, time: 0)
    }

    @Test func itCountsEventsAndBytes() throws {
        let seal = try seal("a")
        var queue = DeliveryQueue(eventCountMax: 10, lengthMax: 1000)
        let batches = [batch(seal, at: 1, events: 3), batch(seal, at: 4, events: 4)]
        for batch in batches { queue.append(batch) }
        #expect(queue.eventCount == 7)
        #expect(queue.length == UInt64(batches[0].bytes.count + batches[1].bytes.count))
        #expect(queue.popFirst()?.lastSequence == 3)
        #expect(queue.popFirst()?.lastSequence == 7)
        #expect(queue.popFirst() == nil && queue.eventCount == 0 && queue.length == 0)
    }

    @Test func fullIsAtABoundAndOverfullBeyondWithMoreThanOneBatch() throws {
        let seal = try seal("a")
        var queue = DeliveryQueue(eventCountMax: 4, lengthMax: 1 << 20)
        #expect(!queue.isFull && !queue.isOverfull && queue.isRelaxed)
        queue.append(batch(seal, at: 1, events: 2))
        #expect(!queue.isFull && queue.isRelaxed, "half is relaxed")
        queue.append(batch(seal, at: 3, events: 2))
        #expect(queue.isFull && !queue.isOverfull && !queue.isRelaxed)
        queue.append(batch(seal, at: 5, events: 1))
        #expect(queue.isOverfull)
        var single = DeliveryQueue(eventCountMax: 1, lengthMax: 1)
        single.append(batch(seal, at: 1, events: 100))
        #expect(single.isFull && !single.isOverfull)
    }

    @Test func bytesAreABoundOfTheirOwn() throws {
        let seal = try seal("a")
        let length = UInt64(batch(seal, at: 1, events: 1).bytes.count)
        var queue = DeliveryQueue(eventCountMax: 1000, lengthMax: 2 * length)
        queue.append(batch(seal, at: 1, events: 1))
        #expect(!queue.isFull && queue.isRelaxed)
        queue.append(batch(seal, at: 2, events: 1))
        #expect(queue.isFull && !queue.isOverfull)
        queue.append(batch(seal, at: 3, events: 1))
        #expect(queue.isOverfull)
    }

    @Test func boundsOfAnySizeAreArithmeticWithoutOverflow() throws {
        var queue = DeliveryQueue(eventCountMax: .max, lengthMax: .max)
        queue.append(batch(try seal("a"), at: .max - 4096, events: 4096))
        #expect(!queue.isFull && !queue.isOverfull && queue.isRelaxed)
    }

    @Test func lossesOfATopicAddUpUntilTheyAreTold() throws {
        let (a, b) = (try seal("a"), try seal("b"))
        var queue = DeliveryQueue(eventCountMax: 1, lengthMax: 1)
        for next in [batch(a, at: 5, events: 2), batch(b, at: 1, events: 1), batch(a, at: 7, events: 3)] {
            queue.append(next)
        }
        while queue.dropFirst(.queueFull) != nil {}
        let missed = queue.takeMissed()
        #expect(missed.map { $0.key.topic?.description } == ["a", "b"])
        #expect(missed.map(\.missed.count) == [5, 1])
        #expect(missed.map(\.missed.firstSequence) == [5, 1])
        #expect(missed.map(\.missed.lastSequence) == [9, 1])
        #expect(queue.takeMissed().isEmpty)
    }

    @Test func beyondAThousandTopicsOnlyTheCountIsKept() throws {
        let session = try #require(bench.open(1).session)
        var queue = DeliveryQueue(eventCountMax: 1, lengthMax: 1)
        let count = DeliveryQueue.missedTopicCountMax + 10
        for number in 0..<count {
            let state = TopicState(name: try Topic("t\(number)"), number: 0, account: session.account)
            queue.append(batch(Seal(number: 1, topic: state, salt: [], session: session), at: 1, events: 2))
        }
        while queue.dropFirst(.queueFull) != nil {}
        let missed = queue.takeMissed()
        #expect(missed.count == DeliveryQueue.missedTopicCountMax + 1)
        #expect(missed.last?.key.topic == nil)
        #expect(missed.last?.missed.count == 20 && missed.last?.missed.firstSequence == 0)
    }

    @Test func forgettingLeavesNothing() throws {
        let seal = try seal("a")
        var queue = DeliveryQueue(eventCountMax: 1, lengthMax: 1)
        queue.append(batch(seal, at: 1, events: 1))
        queue.append(batch(seal, at: 2, events: 1))
        _ = queue.dropFirst(.queueFull)
        queue.removeAll()
        #expect(queue.isEmpty && queue.eventCount == 0 && queue.length == 0 && queue.takeMissed().isEmpty)
    }
}
