// What a subscription has missed and wasn't told yet, by topic and reason.

import BusWire
import OrderedCollections

/// Events missed on one topic for one reason; without positions when the topic isn't kept.
struct Missed {
    var count: UInt64
    var firstSequence: UInt64
    var lastSequence: UInt64
    /// Whether the count is what was missed, and not only the most that it can be.
    var isExact = true

    fileprivate mutating func add(_ other: Missed) {
        count += other.count
        isExact = isExact && other.isExact
        // What came back from a member and was lost then may lie before what was lost already.
        firstSequence = min(firstSequence, other.firstSequence)
        lastSequence = max(lastSequence, other.lastSequence)
    }
}

/// A record of losses, in the order in which they began.
struct MissedEvents {
    struct Key: Hashable {
        /// Nil for all topics beyond `topicCountMax` together.
        let topic: Topic?
        let reason: Reason
    }

    /// Topics whose losses are told one by one; a subscriber of everything that never reads must not hold an entry
    /// for each topic there ever was. Not tuned.
    static let topicCountMax = 1024

    private(set) var entries: OrderedDictionary<Key, Missed> = [:]

    var isEmpty: Bool { entries.isEmpty }
    /// How many entries name their topic.
    var namedCount: Int { entries.keys.reduce(0) { $1.topic == nil ? $0 : $0 + 1 } }

    /// The same without the topics' names.
    var unnamed: MissedEvents {
        var sum = MissedEvents()
        for (key, missed) in entries { sum.noteRest(missed.count, key.reason) }
        return sum
    }

    /// Takes note that a portion was lost.
    mutating func note(_ portion: Portion, _ reason: Reason) {
        let sequences = portion.sequences
        note(
            Key(topic: portion.batch.seal.topic.name, reason: reason),
            Missed(
                count: portion.eventCount, firstSequence: sequences.lowerBound, lastSequence: sequences.upperBound))
    }

    /// Takes note of what was removed of a topic.
    mutating func note(_ missed: Missed, of topic: Topic, _ reason: Reason) {
        note(Key(topic: topic, reason: reason), missed)
    }

    /// Takes note of events of which it isn't known on which topic they were.
    mutating func noteUnnamed(_ count: UInt64, _ reason: Reason) { noteRest(count, reason) }

    /// Takes over what another record says; it comes behind this one.
    mutating func append(_ later: MissedEvents) {
        if isEmpty { return self = later }
        for (key, missed) in later.entries { note(key, missed) }
    }

    private mutating func note(_ key: Key, _ missed: Missed) {
        // Mostly it is the topic of the one before, which needn't be looked up.
        if let last = entries.keys.last, last == key {
            entries.values[entries.count - 1].add(missed)
        } else if let index = entries.index(forKey: key) {
            entries.values[index].add(missed)
        } else if key.topic == nil || entries.count < MissedEvents.topicCountMax {
            entries[key] = missed
        } else {
            noteRest(missed.count, key.reason)
        }
    }

    private mutating func noteRest(_ count: UInt64, _ reason: Reason) {
        let none = Missed(count: 0, firstSequence: 0, lastSequence: 0)
        entries[Key(topic: nil, reason: reason), default: none].count += count
    }

    /// Everything, which is then no longer here.
    mutating func take() -> MissedEvents {
        defer { self = MissedEvents() }
        return self
    }
}
