// What waits for one subscription: portions of batches in order, and between them what was lost, each in its place.
// Dropping is by whole entry, counting by selected event.
//
// Entries have ordinals that count up and never change, so that the policy `latest` finds the entry of a topic and
// empties it in place; emptied entries are skipped, and cleared away when they are half of all.

import BusWire
import DequeModule

/// The queue of one subscription; made when something waits for the first time.
final class DeliveryQueue {
    let eventCountMax: UInt64
    let lengthMax: UInt64
    /// What waits; nil where a newer event of the topic took its place. Never nil in front.
    private var entries: Deque<Portion?> = []
    /// The ordinal of the first entry.
    private var firstOrdinal = 0
    private var emptied = 0
    /// What was lost between entries, in their order; nearly always nothing.
    private var missedBetween: Deque<MissedBetween> = []
    /// How many topics these losses name.
    private var missedBetweenCount = 0
    private(set) var eventCount: UInt64 = 0
    private(set) var length: UInt64 = 0
    /// What was lost before the first entry, to be told before the next delivery.
    private var missedInFront = MissedEvents()
    /// What was lost behind the last entry.
    private var missedBehind = MissedEvents()
    /// What was lost behind one entry and before the next.
    private struct MissedBetween {
        /// The ordinal of the next.
        var ordinal: Int
        var missed: MissedEvents
    }

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
    var first: Portion? { entries.first ?? nil }
    /// Over one of its bounds. A single portion is never too much: what can't be queued could never be delivered.
    var isOverfull: Bool { count > 1 && (eventCount > eventCountMax || length > lengthMax) }
    /// At one of its bounds: the next portion would have to overflow.
    var isFull: Bool { !isEmpty && (eventCount >= eventCountMax || length >= lengthMax) }
    /// Emptied far enough that stalled publishers go on: half, so that they don't stop and go with every batch.
    var isRelaxed: Bool { eventCount <= eventCountMax / 2 && length <= lengthMax / 2 }
    /// Whether something was lost before whatever is delivered next.
    var hasMissedInFront: Bool { !missedInFront.isEmpty }

    /// All that waits, in order; for those who check and those who move charges.
    var portions: some Sequence<Portion> { entries.lazy.compactMap(\.self) }

    func append(_ portion: Portion) {
        if !missedBehind.isEmpty { keepBetween(missedBehind.take(), before: firstOrdinal + entries.count) }
        entries.append(portion)
        count(portion)
    }

    /// Remembers a loss between two entries. Where too many topics are named already, all of it is told as one.
    private func keepBetween(_ missed: MissedEvents, before ordinal: Int) {
        let named = missedBetweenCount + missed.namedCount <= MissedEvents.topicCountMax
        let kept = named ? missed : missed.unnamed
        missedBetween.append(MissedBetween(ordinal: ordinal, missed: kept))
        missedBetweenCount += kept.namedCount
    }

    /// Takes back what was lost before the entry of this ordinal, if that is the first or the last loss of all.
    private func takeBetween(before ordinal: Int, last: Bool = false) -> MissedEvents? {
        guard (last ? missedBetween.last : missedBetween.first)?.ordinal == ordinal else { return nil }
        let taken = last ? missedBetween.removeLast() : missedBetween.removeFirst()
        missedBetweenCount -= taken.missed.namedCount
        return taken.missed
    }

    /// Whether a portion more would make it drop the first one, and no more than that.
    func exchanges(_ portion: Portion) -> Bool {
        guard emptied == 0, let first = entries.first ?? nil else { return false }
        let (events, bytes) = (eventCount + portion.eventCount, length + portion.length)
        guard events > eventCountMax || bytes > lengthMax else { return false }
        return events - first.eventCount <= eventCountMax && bytes - first.length <= lengthMax
    }

    /// Puts back what was handed out, before everything that waits. What was lost before the first entry stays in
    /// front: it is told before the next delivery, whichever that is.
    func prepend(_ portion: Portion) {
        entries.prepend(portion)
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
        guard let entry = entries.popFirst(), let portion = entry else { return nil }
        // What came back may stand in front of a newer one of its topic, which is the one to be found.
        if !ordinals.isEmpty {
            let number = portion.batch.seal.topic.number
            if ordinals[number] == firstOrdinal { ordinals[number] = nil }
        }
        firstOrdinal += 1
        discount(portion)
        return portion
    }

    /// Takes the first `count` events of the first portion, or all of it where it has no more.
    func popFirst(events count: UInt64) -> Portion? {
        guard var portion = first, portion.eventCount > count else { return popFirst() }
        let head = portion.split(first: count)
        entries[entries.startIndex] = portion
        // The batch stays, and its length with it.
        eventCount -= head.eventCount
        return head
    }

    /// Takes the newest portion out; to be refused then, or what was lost before it would be told behind it.
    func popLast() -> Portion? {
        guard let entry = entries.popLast(), let portion = entry else { return nil }
        discount(portion)
        if var missed = takeBetween(before: firstOrdinal + entries.count, last: true) {
            missed.append(missedBehind.take())
            missedBehind = missed
        }
        if entries.isEmpty { settleFront() }
        return portion
    }

    /// Keeps the first entry a portion, and what was lost before it in front.
    private func settleFront() {
        while !entries.isEmpty {
            // Nearly always: nothing was lost, nothing emptied.
            if emptied == 0, missedBetween.isEmpty { return }
            if let missed = takeBetween(before: firstOrdinal) { missedInFront.append(missed) }
            guard entries[entries.startIndex] == nil else { return }
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
        guard let portion = entries[index] else { return nil }
        discount(portion)
        entries[index] = nil
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
        var kept: Deque<Portion?> = []
        let former = (ordinals: ordinals, first: firstOrdinal, between: missedBetween)
        var between = former.between[...]
        var carried = MissedEvents()
        ordinals = [:]
        (firstOrdinal, missedBetween, missedBetweenCount) = (0, [], 0)
        for (index, entry) in entries.enumerated() {
            if between.first?.ordinal == former.first + index, let lost = between.popFirst() {
                carried.append(lost.missed)
            }
            guard let portion = entry else { continue }
            // What came back is no newest event, and isn't replaced by one.
            let number = portion.batch.seal.topic.number
            if former.ordinals[number] == former.first + index { ordinals[number] = kept.count }
            if !carried.isEmpty { keepBetween(carried.take(), before: kept.count) }
            kept.append(portion)
        }
        entries = kept
        emptied = 0
        carried.append(missedBehind.take())
        missedBehind = carried
    }

    /// What is to be told before the next delivery; nothing is left to tell afterwards.
    func takeMissed() -> MissedEvents { missedInFront.take() }

    /// All that was lost and not told, wherever: for the end.
    func takeAllMissed() -> MissedEvents {
        var all = missedInFront.take()
        for between in missedBetween { all.append(between.missed) }
        (missedBetween, missedBetweenCount) = ([], 0)
        all.append(missedBehind.take())
        return all
    }

    /// Forgets everything, and what was missed.
    func removeAll() {
        entries = []
        (missedBetween, missedBetweenCount) = ([], 0)
        (firstOrdinal, emptied) = (0, 0)
        (eventCount, length) = (0, 0)
        missedInFront = MissedEvents()
        missedBehind = MissedEvents()
        ordinals = [:]
    }
}
