// The queue's arithmetic, and where each loss is told.

import BusSimulation
import BusWire
import OrderedCollections
import Testing

@testable import BusBroker

@Suite struct DeliveryQueueTests {
    private let portions = Portions()
    private let queue = DeliveryQueue(eventCountMax: 1000, lengthMax: 1 << 20)

    private func next(_ topic: String, at first: UInt64, events: UInt32 = 1) throws -> Portion {
        try portions.make(topic, at: first, events: events)
    }

    /// Drops the oldest as policies do.
    private func dropFirst(_ reason: Reason) -> Portion? {
        guard let dropped = queue.popFirst() else { return nil }
        queue.missInFront(dropped, reason)
        return dropped
    }

    /// Drops the newest as policies do.
    private func dropLast(_ reason: Reason) -> Portion? {
        guard let dropped = queue.popLast() else { return nil }
        queue.refuse(dropped, reason)
        return dropped
    }

    /// What is handed over or told from here on, in words: `a1` an event, `-a1` its loss.
    private func story(_ queue: DeliveryQueue) -> [String] {
        var told: [String] = []
        while !queue.isEmpty || queue.hasMissedInFront {
            for (key, missed) in queue.takeMissed().entries {
                told.append("-\(key.topic.map(\.description) ?? "?")\(missed.firstSequence)-\(missed.lastSequence)")
            }
            if let portion = queue.popFirst() {
                told.append("\(portion.batch.seal.topic.name)\(portion.sequences.lowerBound)")
            }
        }
        return told
    }

    @Test func itCountsEventsAndBytes() throws {
        let batches = [try next("a", at: 1, events: 3), try next("a", at: 4, events: 4)]
        for batch in batches { queue.append(batch) }
        #expect(queue.eventCount == 7 && queue.count == 2)
        #expect(queue.length == batches[0].length + batches[1].length)
        #expect(queue.popFirst()?.sequences == 1...3)
        #expect(queue.popFirst()?.sequences == 4...7)
        #expect(queue.popFirst() == nil && queue.eventCount == 0 && queue.length == 0)
    }

    @Test func fullIsAtABoundAndOverfullBeyondWithMoreThanOneBatch() throws {
        let queue = DeliveryQueue(eventCountMax: 4, lengthMax: 1 << 20)
        #expect(!queue.isFull && !queue.isOverfull && queue.isRelaxed)
        queue.append(try next("a", at: 1, events: 2))
        #expect(!queue.isFull && queue.isRelaxed, "half is relaxed")
        queue.append(try next("a", at: 3, events: 2))
        #expect(queue.isFull && !queue.isOverfull && !queue.isRelaxed)
        queue.append(try next("a", at: 5))
        #expect(queue.isOverfull)
        let single = DeliveryQueue(eventCountMax: 1, lengthMax: 1)
        single.append(try next("a", at: 1, events: 100))
        #expect(single.isFull && !single.isOverfull)
    }

    @Test func bytesAreABoundOfTheirOwn() throws {
        let queue = DeliveryQueue(eventCountMax: 1000, lengthMax: 2 * (try next("a", at: 1).length))
        queue.append(try next("a", at: 1))
        #expect(!queue.isFull && queue.isRelaxed)
        queue.append(try next("a", at: 2))
        #expect(queue.isFull && !queue.isOverfull)
        queue.append(try next("a", at: 3))
        #expect(queue.isOverfull)
    }

    @Test func boundsOfAnySizeAreArithmeticWithoutOverflow() throws {
        let queue = DeliveryQueue(eventCountMax: .max, lengthMax: .max)
        queue.append(try next("a", at: .max - 4096, events: 4096))
        #expect(!queue.isFull && !queue.isOverfull && queue.isRelaxed)
    }

    @Test func theFirstEventsOfABatchMayBeTakenAndTheRestKeepsItsPlace() throws {
        queue.append(try next("a", at: 1, events: 10))
        queue.append(try next("b", at: 1))
        let length = queue.length
        #expect(queue.popFirst(events: 4)?.sequences == 1...4)
        #expect(queue.eventCount == 7 && queue.count == 2)
        #expect(queue.length == length, "the batch is still there, whole")
        #expect(queue.popFirst(events: 6)?.sequences == 5...10, "no more than there are")
        #expect(queue.popFirst(events: 6)?.sequences == 1...1)
        #expect(queue.isEmpty && queue.length == 0 && queue.eventCount == 0)
    }

    // MARK: Where losses are told

    @Test func lossesOfATopicAddUpUntilTheyAreTold() throws {
        for next in [try next("a", at: 5, events: 2), try next("b", at: 1), try next("a", at: 7, events: 3)] {
            queue.append(next)
        }
        while dropFirst(.queueFull) != nil {}
        let missed = queue.takeMissed().entries
        #expect(missed.keys.map { $0.topic?.description } == ["a", "b"])
        #expect(missed.values.map(\.count) == [5, 1])
        #expect(missed.values.map(\.firstSequence) == [5, 1])
        #expect(missed.values.map(\.lastSequence) == [9, 1])
        #expect(queue.takeMissed().isEmpty)
    }

    @Test func whatIsRefusedIsToldBehindWhatWaited() throws {
        queue.append(try next("a", at: 1))
        queue.refuse(try next("a", at: 2), .queueFull)
        queue.refuse(try next("a", at: 3), .queueFull)
        #expect(!queue.hasMissedInFront)
        queue.append(try next("a", at: 4))
        #expect(story(queue) == ["a1", "-a2-3", "a4"])
    }

    @Test func whatIsRefusedByAnEmptyQueueIsToldBeforeTheNext() throws {
        queue.refuse(try next("a", at: 1), .quotaExceeded)
        #expect(queue.hasMissedInFront)
        queue.append(try next("a", at: 2))
        #expect(story(queue) == ["-a1-1", "a2"])
    }

    @Test func whatWasRefusedBehindTheLastOneIsInFrontWhenItIsGone() throws {
        queue.append(try next("a", at: 1))
        queue.refuse(try next("a", at: 2), .queueFull)
        #expect(queue.popFirst()?.sequences == 1...1)
        #expect(queue.hasMissedInFront && queue.isEmpty)
    }

    @Test func theNewestDroppedIsToldInItsPlace() throws {
        queue.append(try next("a", at: 1))
        queue.refuse(try next("b", at: 1), .queueFull)
        queue.append(try next("a", at: 2))
        queue.refuse(try next("b", at: 2), .queueFull)
        #expect(dropLast(.queueFull)?.sequences == 2...2)
        queue.append(try next("a", at: 3))
        #expect(story(queue) == ["a1", "-b1-2", "-a2-2", "a3"])
    }

    @Test func theNewestThatIsTheOnlyOneIsToldInFront() throws {
        queue.append(try next("a", at: 1))
        #expect(dropLast(.queueFull)?.sequences == 1...1)
        #expect(queue.isEmpty && queue.hasMissedInFront && queue.length == 0)
        #expect(dropLast(.queueFull) == nil)
    }

    @Test func whatComesBackStandsInFrontAndWhatWasLostThereIsToldFirst() throws {
        queue.append(try next("a", at: 3))
        queue.append(try next("a", at: 4))
        _ = dropFirst(.queueFull)
        queue.prepend(try next("a", at: 2))
        queue.prepend(try next("a", at: 1))
        queue.missInFront(try next("b", at: 9), .attemptsExhausted)
        #expect(queue.count == 3 && queue.eventCount == 3)
        #expect(story(queue) == ["-a3-3", "-b9-9", "a1", "a2", "a4"])
    }

    // MARK: The newest of each topic

    /// Queues a portion as the policy `latest` does.
    private func replace(_ portion: Portion) -> ClosedRange<UInt64>? {
        let older = queue.supersede(topic: portion.batch.seal.topic.number)
        if let older { queue.refuse(older, .superseded) }
        queue.appendLatest(portion)
        return older?.sequences
    }

    @Test func aNewerOneTakesThePlaceAtTheEndAndTheOlderIsToldBeforeIt() throws {
        for topic in ["a", "b", "c"] { #expect(replace(try next(topic, at: 1)) == nil) }
        #expect(replace(try next("b", at: 2)) == 1...1)
        #expect(queue.count == 3 && queue.eventCount == 3)
        #expect(story(queue) == ["a1", "c1", "-b1-1", "b2"])
    }

    @Test func theFirstOneMayBeReplacedAndLossesBeforeItStayInFront() throws {
        queue.refuse(try next("z", at: 1), .queueFull)
        #expect(replace(try next("a", at: 1)) == nil)
        #expect(replace(try next("b", at: 1)) == nil)
        #expect(replace(try next("a", at: 2)) == 1...1)
        #expect(queue.first?.sequences == 1...1 && queue.first?.batch.seal.topic.name.description == "b")
        #expect(story(queue) == ["-z1-1", "b1", "-a1-1", "a2"])
    }

    @Test func whatWasLostBeforeAReplacedOneKeepsItsPlace() throws {
        #expect(replace(try next("a", at: 1)) == nil)
        queue.refuse(try next("z", at: 1), .queueFull)
        #expect(replace(try next("b", at: 1)) == nil)
        #expect(replace(try next("c", at: 1)) == nil)
        #expect(replace(try next("b", at: 2)) == 1...1)
        #expect(story(queue) == ["a1", "-z1-1", "c1", "-b1-1", "b2"])
    }

    @Test func theOnlyOneReplacedIsToldInFront() throws {
        #expect(replace(try next("a", at: 1)) == nil)
        #expect(replace(try next("a", at: 2)) == 1...1)
        #expect(queue.hasMissedInFront)
        #expect(story(queue) == ["-a1-1", "a2"])
    }

    @Test func whatIsNoLongerQueuedIsNotReplaced() throws {
        #expect(replace(try next("a", at: 1)) == nil)
        #expect(replace(try next("b", at: 1)) == nil)
        _ = queue.popFirst()
        #expect(replace(try next("a", at: 2)) == nil)
        _ = dropFirst(.queueFull)
        #expect(replace(try next("b", at: 2)) == nil)
        #expect(replace(try next("a", at: 3)) == 2...2)
    }

    @Test func whatComesBackDoesNotHideTheNewest() throws {
        #expect(replace(try next("a", at: 2)) == nil)
        queue.prepend(try next("a", at: 1))
        _ = queue.popFirst()
        #expect(replace(try next("a", at: 3)) == 2...2, "it still stands where it stood")
    }

    @Test func emptiedPlacesAreClearedAwayAndNothingIsForgotten() throws {
        let topics = (0..<100).map { "t\($0)" }
        for topic in topics { #expect(replace(try next(topic, at: 1)) == nil) }
        // Every other one, then all, some of them several times.
        for topic in topics.enumerated().filter({ $0.offset % 2 == 0 }).map(\.element) {
            #expect(replace(try next(topic, at: 2)) == 1...1)
        }
        for round in 3..<20 as Range<UInt64> {
            for topic in topics { #expect(replace(try next(topic, at: round)) != nil) }
            #expect(queue.count == 100 && queue.eventCount == 100)
            #expect(Array(queue.portions).count == 100)
        }
        var told: [String: UInt64] = [:]
        var seen: [String: UInt64] = [:]
        while !queue.isEmpty {
            for (key, missed) in queue.takeMissed().entries {
                told[key.topic?.description ?? "", default: 0] += missed.count
            }
            if let portion = queue.popFirst() {
                let topic = portion.batch.seal.topic.name.description
                seen[topic] = portion.sequences.lowerBound
                // Told before the one that took its place.
                #expect(told[topic] == (Int(topic.dropFirst()).map { $0 % 2 == 0 } == true ? 18 : 17))
            }
        }
        #expect(seen.count == 100 && seen.values.allSatisfy { $0 == 19 })
    }

    // MARK: The end

    @Test func allThatWasLostCanBeToldAtOnceInOrder() throws {
        queue.refuse(try next("a", at: 1), .queueFull)
        queue.append(try next("x", at: 1))
        queue.refuse(try next("b", at: 1), .queueFull)
        queue.append(try next("x", at: 2))
        queue.refuse(try next("a", at: 2), .queueFull)
        let all = queue.takeAllMissed().entries
        #expect(all.keys.map { $0.topic?.description } == ["a", "b"])
        #expect(all.values.map(\.count) == [2, 1])
    }

    @Test func forgettingLeavesNothing() throws {
        queue.append(try next("a", at: 1))
        queue.append(try next("a", at: 2))
        _ = dropFirst(.queueFull)
        queue.refuse(try next("a", at: 3), .queueFull)
        queue.removeAll()
        #expect(queue.isEmpty && queue.eventCount == 0 && queue.length == 0)
        #expect(queue.takeMissed().isEmpty && queue.takeAllMissed().isEmpty)
    }

    @Test func aPortionTakesTheFirstOnesPlaceOnlyWhereThatIsEnough() throws {
        let queue = DeliveryQueue(eventCountMax: 4, lengthMax: 1 << 20)
        #expect(!queue.exchanges(try next("a", at: 1, events: 100)), "alone nothing is too much")
        queue.append(try next("a", at: 1, events: 2))
        #expect(!queue.exchanges(try next("a", at: 3, events: 2)), "there is room")
        #expect(queue.exchanges(try next("a", at: 3, events: 3)))
        #expect(!queue.exchanges(try next("a", at: 3, events: 5)))
        queue.append(try next("a", at: 3, events: 2))
        #expect(queue.exchanges(try next("a", at: 5, events: 2)))
        #expect(!queue.exchanges(try next("a", at: 5, events: 3)), "the second one would have to go, too")
    }

    @Test func lossesBetweenEntriesNameABoundedNumberOfTopicsAndLoseNoCount() throws {
        var serial: UInt64 = 0
        for entry in 0..<12 {
            for topic in 0..<100 {
                serial += 1
                queue.refuse(try next("t\(entry * 100 + topic)", at: serial), .queueFull)
            }
            queue.append(try next("a", at: UInt64(entry) + 1))
        }
        // What lies in front isn't between.
        var (named, count) = (0, UInt64(0))
        while !queue.isEmpty {
            for (key, missed) in queue.takeMissed().entries {
                named += key.topic == nil ? 0 : 1
                count += missed.count
            }
            _ = queue.popFirst()
        }
        #expect(named == 100 + 1000 && count == 1200, "eleven records between, ten of them by name")
    }
}
