// The queue against a plain list, over thousands of runs by chance.

import BusSimulation
import BusWire
import OrderedCollections
import Testing

@testable import BusBroker

/// What a queue is, written down without any thought of speed: events and losses in their order.
private struct PlainQueue {
    enum Item {
        case event(Portion)
        case lost(Portion, Reason)

        var event: Portion? { if case .event(let portion) = self { portion } else { nil } }
    }

    var items: [Item] = []

    var events: [Portion] { items.compactMap(\.event) }
    /// Where the first event stands; at the end if there is none.
    private var front: Int { items.firstIndex { $0.event != nil } ?? items.count }

    mutating func append(_ portion: Portion) { items.append(.event(portion)) }
    mutating func refuse(_ portion: Portion, _ reason: Reason) { items.append(.lost(portion, reason)) }
    mutating func prepend(_ portion: Portion) { items.insert(.event(portion), at: front) }
    mutating func missInFront(_ portion: Portion, _ reason: Reason) { items.insert(.lost(portion, reason), at: front) }

    mutating func dropFirst(_ reason: Reason) {
        guard front < items.count, let portion = items[front].event else { return }
        items[front] = .lost(portion, reason)
    }

    mutating func dropLast(_ reason: Reason) {
        guard let index = items.lastIndex(where: { $0.event != nil }), let portion = items[index].event else { return }
        items[index] = .lost(portion, reason)
    }

    mutating func supersede(_ topic: Topic) {
        guard let index = items.lastIndex(where: { $0.event?.batch.seal.topic.name == topic }),
            let portion = items.remove(at: index).event
        else { return }
        items.append(.lost(portion, .superseded))
    }

    /// The losses before the first event, summed up.
    mutating func takeMissed() -> [String: [UInt64]] {
        defer { items.removeSubrange(..<front) }
        return sum(items[..<front])
    }

    mutating func popFirst() -> Portion? { front < items.count ? items.remove(at: front).event : nil }

    private func sum(_ items: ArraySlice<Item>) -> [String: [UInt64]] {
        var sums: [String: [UInt64]] = [:]
        for case .lost(let portion, let reason) in items {
            let (first, last) = (portion.sequences.lowerBound, portion.sequences.upperBound)
            let key = "\(portion.batch.seal.topic.name) \(reason)"
            let before = sums[key] ?? [0, .max, 0]
            sums[key] = [before[0] + portion.eventCount, min(before[1], first), max(before[2], last)]
        }
        return sums
    }
}

@Suite struct DeliveryQueueModelTests {
    private static let topics = ["a", "b", "c", "d", "e"]

    /// One run of chance: the same is done to both, and both must say the same after every step.
    private func run(seed: UInt64, isLatest: Bool) throws {
        var chance = SplitMix64(seed: seed)
        let portions = Portions()
        let queue = DeliveryQueue(eventCountMax: 10, lengthMax: 1000)
        var plain = PlainQueue()
        var next: UInt64 = 1
        func fresh() throws -> Portion {
            defer { next += 10 }
            let events = isLatest ? 1 : UInt32(chance.within(1...5))
            return try portions.make(chance.pick(DeliveryQueueModelTests.topics), at: next, events: events)
        }
        for step in 0..<chance.within(5...60) {
            switch chance.below(10) {
            case 0...3:
                let portion = try fresh()
                if isLatest {
                    plain.supersede(portion.batch.seal.topic.name)
                    if let older = queue.supersede(topic: portion.batch.seal.topic.number) {
                        queue.refuse(older, .superseded)
                    }
                    queue.appendLatest(portion)
                } else {
                    queue.append(portion)
                }
                plain.append(portion)
            case 4:
                let portion = try fresh()
                queue.refuse(portion, .queueFull)
                plain.refuse(portion, .queueFull)
            case 5:
                if let dropped = queue.popFirst() { queue.missInFront(dropped, .queueFull) }
                plain.dropFirst(.queueFull)
            case 6 where !isLatest:
                if let dropped = queue.popLast() { queue.refuse(dropped, .quotaExceeded) }
                plain.dropLast(.quotaExceeded)
            case 7 where !isLatest:
                let portion = try fresh()
                if chance.chance(50) {
                    queue.prepend(portion)
                    plain.prepend(portion)
                } else {
                    queue.missInFront(portion, .attemptsExhausted)
                    plain.missInFront(portion, .attemptsExhausted)
                }
            default:
                #expect(words(queue.takeMissed()) == plain.takeMissed(), "seed \(seed), step \(step)")
                #expect(queue.popFirst()?.sequences == plain.popFirst()?.sequences, "seed \(seed), step \(step)")
            }
            try #require(agree(queue, plain), "seed \(seed), step \(step)")
        }
        while !plain.items.isEmpty {
            #expect(words(queue.takeMissed()) == plain.takeMissed(), "seed \(seed)")
            #expect(queue.popFirst()?.sequences == plain.popFirst()?.sequences, "seed \(seed)")
        }
        #expect(queue.isEmpty && !queue.hasMissedInFront && queue.takeAllMissed().isEmpty, "seed \(seed)")
    }

    private func agree(_ queue: DeliveryQueue, _ plain: PlainQueue) -> Bool {
        let events = plain.events
        return queue.portions.map(\.sequences) == events.map(\.sequences) && queue.count == events.count
            && queue.first?.sequences == events.first?.sequences
            && queue.eventCount == events.reduce(0) { $0 + $1.eventCount }
            && queue.length == events.reduce(0) { $0 + $1.length }
    }

    private func words(_ missed: MissedEvents) -> [String: [UInt64]] {
        Dictionary(
            uniqueKeysWithValues: missed.entries.map { key, missed in
                let topic = key.topic.map(\.description) ?? "?"
                return ("\(topic) \(key.reason)", [missed.count, missed.firstSequence, missed.lastSequence])
            })
    }

    @Test func itIsAListOfEventsAndLossesInTheirOrder() throws {
        for seed in 1...2000 as ClosedRange<UInt64> { try run(seed: seed, isLatest: false) }
    }

    @Test func withOneEventOfEachTopicToo() throws {
        for seed in 1...2000 as ClosedRange<UInt64> { try run(seed: seed, isLatest: true) }
    }
}
