// What is remembered of losses.

import BusWire
import OrderedCollections
import Testing

@testable import BusBroker

@Suite struct MissedEventsTests {
    private let portions = Portions()

    private func rows(_ missed: MissedEvents) -> [String] {
        missed.entries.map { key, missed in
            let topic = key.topic.map(\.description) ?? "all others"
            return "\(topic) \(key.reason) \(missed.count): \(missed.firstSequence)-\(missed.lastSequence)"
        }
    }

    @Test func lossesAddUpByTopicAndReasonInTheOrderInWhichTheyBegan() throws {
        var missed = MissedEvents()
        #expect(missed.isEmpty)
        missed.note(try portions.make("b", at: 5, events: 2), .queueFull)
        missed.note(try portions.make("a", at: 1), .queueFull)
        missed.note(try portions.make("b", at: 9, events: 3), .queueFull)
        missed.note(try portions.make("b", at: 7), .quotaExceeded)
        #expect(rows(missed) == ["b queue-full 5: 5-11", "a queue-full 1: 1-1", "b quota-exceeded 1: 7-7"])
    }

    @Test func whatComesFromBeforeWidensTheRange() throws {
        var missed = MissedEvents()
        missed.note(try portions.make("a", at: 9), .attemptsExhausted)
        missed.note(try portions.make("a", at: 3), .attemptsExhausted)
        #expect(rows(missed) == ["a attempts-exhausted 2: 3-9"])
    }

    @Test func onlySelectedEventsAreCounted() throws {
        let batch = try portions.make("a", at: 1, events: 10).batch
        var missed = MissedEvents()
        missed.note(Portion(batch, Selection(of: 10) { $0 == 2 || $0 == 6 } ?? .all), .queueFull)
        #expect(rows(missed) == ["a queue-full 2: 3-7"])
    }

    @Test func recordsAreJoinedInOrder() throws {
        var (first, second) = (MissedEvents(), MissedEvents())
        first.note(try portions.make("a", at: 1), .queueFull)
        second.note(try portions.make("b", at: 1), .queueFull)
        second.note(try portions.make("a", at: 2), .queueFull)
        first.append(second)
        #expect(rows(first) == ["a queue-full 2: 1-2", "b queue-full 1: 1-1"])
        var empty = MissedEvents()
        empty.append(first)
        #expect(rows(empty) == rows(first))
        first.append(MissedEvents())
        #expect(rows(empty) == rows(first))
    }

    @Test func takingLeavesNothing() throws {
        var missed = MissedEvents()
        missed.note(try portions.make("a", at: 1), .queueFull)
        #expect(rows(missed.take()) == ["a queue-full 1: 1-1"])
        #expect(missed.isEmpty)
    }

    @Test func beyondAThousandTopicsOnlyTheCountIsKept() throws {
        var missed = MissedEvents()
        let count = MissedEvents.topicCountMax
        for number in 0..<count + 10 {
            missed.note(try portions.make("t\(number)", at: 1, events: 2), .queueFull)
        }
        #expect(missed.entries.count == count + 1)
        #expect(rows(missed).last == "all others queue-full 20: 0-0")
        missed.note(try portions.make("t0", at: 3), .queueFull)
        #expect(rows(missed).first == "t0 queue-full 3: 1-3", "known ones are still told one by one")
    }

    @Test func joiningKeepsTheBoundAndEveryCount() throws {
        var (first, second) = (MissedEvents(), MissedEvents())
        let count = MissedEvents.topicCountMax
        for number in 0..<count + 5 { first.note(try portions.make("a\(number)", at: 1), .queueFull) }
        for number in 0..<count + 5 { second.note(try portions.make("b\(number)", at: 1, events: 3), .queueFull) }
        first.append(second)
        #expect(first.entries.count == count + 1)
        #expect(first.entries.values.reduce(0) { $0 + $1.count } == UInt64(4 * (count + 5)))
    }
}
