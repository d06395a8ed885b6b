// What waits for one subscription: portions of batches in order, and between them what was lost, each in its place.
// Dropping is by whole entry, counting by selected event.
//
// Entries have ordinals that count up and never change, so that the policy `latest` finds the entry of a topic and
// empties it in place; emptied entries are skipped, and cleared away when they are half of all.

import BusWire
import DequeModule

/// The queue of one subscription; made when something waits for the first time.
final class DeliveryQueue {
    private struct Entry {
        /// Nil once a newer event of its topic took its place.
        var portion: Portion?
        /// What was lost before it and behind the entry before.
        var missed: MissedEvents?
    }

    let eventCountMax: UInt64
    let lengthMax: UInt64
    private var entries: Deque<Entry> = []
    /// The ordinal of the first entry.
    private var firstOrdinal = 0
    private var emptied = 0
    private(set) var eventCount: UInt64 = 0
    private(set) var length: UInt64 = 0
    /// What was lost before the first entry, to be told before the next delivery.
    private var missedInFront = MissedEvents()
    /// What was lost behind the last entry.
    private var missedBehind = MissedEvents()
    /// The entry of each topic, by its number: kept by the policy `latest` alone.
    private var ordinals: [UInt64: Int] = [:]
    /// Its place in its user's list of queues that hold something.
    var place: Int?
    /// Events lost since the subscription began, told or not.
    var missedCount: UInt64 = 0
    var stall = Stall.none

    /// Whether publishers wait for the subscription whose queue this is.
    enum Stall: Equatable {
        /// No.
        case none
        /// Yes, until this moment.
        case until(Moment.Nanoseconds)
        /// They have waited long enough; until the queue has emptied by half, the oldest make room.
        case timedOut
    }

    init(eventCountMax: UInt32, lengthMax: UInt64) {
        self.eventCountMax = UInt64(eventCountMax)
        self.lengthMax = lengthMax
    }

    /// How many portions wait.
    var count: Int { entries.count - emptied }
    var isEmpty: Bool { count == 0 }
    var first: Portion? { entries.first?.portion }
    /// Over one of its bounds. A single portion is never too much: what can't be queued could never be delivered.
    var isOverfull: Bool { count > 1 && (eventCount > eventCountMax || length > lengthMax) }
    /// At one of its bounds: the next portion would have to overflow.
    var isFull: Bool { !isEmpty && (eventCount >= eventCountMax || length >= lengthMax) }
    /// Emptied far enough that stalled publishers go on: half, so that they don't stop and go with every batch.
    var isRelaxed: Bool { eventCount <= eventCountMax / 2 && length <= lengthMax / 2 }
    /// Whether something was lost before whatever is delivered next.
    var hasMissedInFront: Bool { !missedInFront.isEmpty }

    /// All that waits, in order; for those who check and those who move charges.
    var portions: some Sequence<Portion> { entries.lazy.compactMap(\.portion) }

    func append(_ portion: Portion) {
        entries.append(Entry(portion: portion, missed: missedBehind.isEmpty ? nil : missedBehind.take()))
        count(portion)
    }

    /// Puts back what was handed out, before everything that waits. What was lost before the first entry stays in
    /// front: it is told before the next delivery, whichever that is.
    func prepend(_ portion: Portion) {
        entries.prepend(Entry(portion: portion, missed: nil))
        firstOrdinal -= 1
        count(portion)
    }

    private func count(_ portion: Portion) {
        eventCount += portion.eventCount
        length += portion.length
    }

    private func discount(_ portion: Portion) {
        eventCount -= portion.eventCount
        length -= portion.length
    }

    func popFirst() -> Portion? {
        guard let portion = removeFirst() else { return nil }
        settleFront()
        return portion
    }

    private func removeFirst() -> Portion? {
        guard let entry = entries.popFirst(), let portion = entry.portion else { return nil }
        // What came back may stand in front of a newer one of its topic, which is the one to be found.
        let number = portion.batch.seal.topic.number
        if !ordinals.isEmpty, ordinals[number] == firstOrdinal { ordinals[number] = nil }
        firstOrdinal += 1
        discount(portion)
        return portion
    }

    /// Takes the first `count` events of the first portion, or all of it where it has no more.
    func popFirst(events count: UInt64) -> Portion? {
        guard var portion = first, portion.eventCount > count else { return popFirst() }
        let head = portion.split(first: count)
        entries[entries.startIndex].portion = portion
        // The batch stays, and its length with it.
        eventCount -= head.eventCount
        return head
    }

    /// Takes the newest portion out; to be refused then, or what was lost before it would be told behind it.
    func popLast() -> Portion? {
        guard let entry = entries.popLast(), let portion = entry.portion else { return nil }
        discount(portion)
        if var missed = entry.missed {
            missed.append(missedBehind.take())
            missedBehind = missed
        }
        if entries.isEmpty { settleFront() }
        return portion
    }

    /// Keeps the first entry a portion, and what was lost before it in front.
    private func settleFront() {
        while let next = entries.first {
            if let missed = next.missed {
                missedInFront.append(missed)
                entries[entries.startIndex].missed = nil
            }
            guard next.portion == nil else { return }
            entries.removeFirst()
            firstOrdinal += 1
            emptied -= 1
        }
        if !missedBehind.isEmpty { missedInFront.append(missedBehind.take()) }
    }

    /// Remembers as missed what isn't queued at all, in its place behind what is.
    func refuse(_ portion: Portion, _ reason: Reason) {
        if isEmpty { missedInFront.note(portion, reason) } else { missedBehind.note(portion, reason) }
    }

    /// Remembers as missed what lies before everything that is queued.
    func missInFront(_ portion: Portion, _ reason: Reason) { missedInFront.note(portion, reason) }

    /// Takes the entry of a topic out, for a newer one behind all others.
    func supersede(topic number: UInt64) -> Portion? {
        guard let ordinal = ordinals.removeValue(forKey: number) else { return nil }
        let index = entries.startIndex + ordinal - firstOrdinal
        guard let portion = entries[index].portion else { return nil }
        discount(portion)
        entries[index].portion = nil
        emptied += 1
        settleFront()
        if emptied > entries.count / 2 { clearAway() }
        return portion
    }

    /// Appends the one entry of its topic.
    func appendLatest(_ portion: Portion) {
        append(portion)
        ordinals[portion.batch.seal.topic.number] = firstOrdinal + entries.count - 1
    }

    private func clearAway() {
        var kept: Deque<Entry> = []
        var carried: MissedEvents?
        let former = (ordinals: ordinals, first: firstOrdinal)
        ordinals = [:]
        firstOrdinal = 0
        for (index, entry) in entries.enumerated() {
            if let missed = entry.missed {
                if carried == nil { carried = missed } else { carried?.append(missed) }
            }
            guard let portion = entry.portion else { continue }
            // What came back is no newest event, and isn't replaced by one.
            let number = portion.batch.seal.topic.number
            if former.ordinals[number] == former.first + index { ordinals[number] = kept.count }
            kept.append(Entry(portion: portion, missed: carried))
            carried = nil
        }
        entries = kept
        emptied = 0
        if let carried {
            var behind = carried
            behind.append(missedBehind.take())
            missedBehind = behind
        }
    }

    /// What is to be told before the next delivery; nothing is left to tell afterwards.
    func takeMissed() -> MissedEvents { missedInFront.take() }

    /// All that was lost and not told, wherever: for the end.
    func takeAllMissed() -> MissedEvents {
        var all = missedInFront.take()
        for entry in entries { if let missed = entry.missed { all.append(missed) } }
        all.append(missedBehind.take())
        return all
    }

    /// Forgets everything, and what was missed.
    func removeAll() {
        entries = []
        (firstOrdinal, emptied) = (0, 0)
        (eventCount, length) = (0, 0)
        missedInFront = MissedEvents()
        missedBehind = MissedEvents()
        ordinals = [:]
    }
}
