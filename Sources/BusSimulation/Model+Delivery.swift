// Whether what a subscription is told is exactly the stream it was promised: every owed event, in order, once, or a
// gap in its place.

import BusBroker
import BusWire

extension Model {
    func subscription(_ number: UInt32, _ session: ModelSession) throws(Violation) -> ModelSubscription {
        guard let subscription = session.subscriptions[number] else {
            throw Violation("session \(session.id): subscription \(number) doesn't exist and is spoken to")
        }
        return subscription
    }

    func check(_ deliver: Deliver, _ session: ModelSession) throws(Violation) {
        let subscription = try subscription(deliver.subscription, session)
        let name = subscription.name
        let entry = try take(deliver, for: subscription)
        try compare(deliver, entry, name)
        subscription.lastDelivery += 1
        try expect(deliver.delivery == subscription.lastDelivery, "\(name): delivery \(deliver.delivery) out of order")
        if !entry.isStored {
            try expect(subscription.storedCount == nil, "\(name): something new before the marker")
        }

        try expect(subscription.hasCredit, "\(name): a delivery without credit")
        if subscription.stream.group != nil {
            try expect(mayHold(session.uid), "\(name): a delivery, and its user holds all it may")
        }
        try expect(canWrite(session), "\(name): a delivery while its connection takes none")
        try expect(session.announced.contains(entry.batch.seal.number), "\(name): a batch of a seal nobody announced")
        try expect(session.granted.contains(entry.topic), "\(name): a batch of \(entry.topic), not granted")

        subscription.sentEvents += entry.eventCount
        subscription.sentBytes += entry.length
        session.roundLength += entry.batch.bytes.count
        session.roundCount += 1
        totals.eventsDelivered += entry.eventCount
        totals.bytesDelivered += entry.length
        totals.batchesDelivered += 1
        tally[.delivered] += 1
        if entry.isStored {
            subscription.storedCount? += 1
            tally[.stored] += 1
        }
        relax(subscription.stream)
        if subscription.stream.group != nil { try noteShare(entry, of: subscription) }
        giveRights(entry, to: subscription)
        // It is written to anyway.
        if session.patientUntil != nil { session.mustBeTold = true }
    }

    /// Finds what a delivery is of, and takes it off the list of what is owed.
    private func take(_ deliver: Deliver, for subscription: ModelSubscription) throws(Violation) -> OwedEntry {
        let (stream, name) = (subscription.stream, subscription.name)
        let isIt = { (entry: OwedEntry) in
            entry.batch.bytes == deliver.batch && entry.isStored == deliver.isStored
                && entry.attempt == deliver.attempt && entry.lost == nil
        }
        let selection = try selection(deliver, name)
        if stream.group != nil { unite(stream, isIt) }
        let index = stream.owed.firstIndex { isIt($0) && selection.isSubset(of: $0.live) }
        guard let index else {
            let first = stream.owed.first.map { "\($0.topic) \($0.firstSequence), places \($0.places)" } ?? "nothing"
            throw Violation(
                "\(name): delivered places \(selection.sorted()) of a batch at \(deliver.firstSequence), owed is \(first)"
            )
        }
        let entry = stream.owed[index]
        if selection.count < entry.live.count {
            // A group's share ends within a batch; elsewhere what is before the selection was superseded.
            let first = selection.min() ?? 0
            let rest = entry.split { !selection.contains($0) && !entry.withdrawn.contains($0) }
            let isByKeys = stream.group != nil && !entry.batch.keys.isEmpty
            let isBehind = rest.places.allSatisfy { $0 > first }
            let isBefore = rest.places.allSatisfy { $0 < first }
            let isAllowed = isByKeys || stream.group != nil && isBehind || stream.policy == .latest && isBefore
            try expect(isAllowed, "\(name): places \(selection.sorted()), not \(rest.places)")
            stream.owed.insert(rest, at: isBehind ? index + 1 : index)
        }
        try settleGaps(before: entry, subscription)
        try expect(isNext(entry, stream, subscription), "\(name): \(entry.topic) \(entry.firstSequence) isn't next")
        stream.told = []
        stream.lastIndex = max(stream.lastIndex, entry.batch.index)
        if stream.owed.count == 1, stream.gaps.isEmpty { stream.isDoubtful = false }
        // What nobody waits for any more was passed over, if it wasn't lost before, which a gap then has told.
        stream.owed.removeAll { earlier in
            let isOver = earlier.live.isEmpty && earlier.batch.index < entry.batch.index
            return earlier === entry || isOver && !stream.gaps.contains { $0.touches(earlier) }
        }
        return entry
    }

    /// Whether nothing must come before an entry.
    func isNext(_ entry: OwedEntry, _ stream: ModelStream, _ subscription: ModelSubscription) -> Bool {
        // What waited for its key comes when that is free, whatever went past it.
        if isKeyed(entry, stream) { return true }
        if entry.attempt == 1, entry.batch.index < stream.lastIndex { return false }
        return stream.owed.prefix { $0 !== entry }.allSatisfy { earlier in
            if earlier.live.isEmpty || isHeldUp(earlier, entry, subscription) { return true }
            // What members gave back comes before what was lost behind it.
            if entry.attempt > 1, earlier.attempt > 1 || earlier.lost != nil { return true }
            // What lost its place to a newer event is told at the latest with the topic's next event.
            if isSuperseded(earlier, stream), earlier.topic != entry.topic { return true }
            // A last value may be lost, and is accounted for with the first gap behind the marker.
            if earlier.isStored || !isForeseen(stream) { return stream.gaps.contains { $0.topic == earlier.topic } }
            return stream.gaps.contains { $0.topic == earlier.topic && $0.reason == .superseded }
        }
    }

    private func isSuperseded(_ entry: OwedEntry, _ stream: ModelStream) -> Bool {
        entry.lost == .superseded || !isForeseen(stream) && stream.policy == .latest
    }

    private func selection(_ deliver: Deliver, _ name: String) throws(Violation) -> Set<Int> {
        let count: Int
        let selection: Selection
        do throws(WireError) {
            count = Int(try SealedBatch(deliver.batch).header.eventCount)
            selection = try Selection(deliver.selection, of: count)
        } catch {
            throw Violation("\(name): \(error)")
        }
        let places = (0..<count).filter(selection.contains)
        try expect(places.count < count || selection.isAll, "\(name): names all events one by one")
        return Set(places)
    }

    private func compare(_ deliver: Deliver, _ entry: OwedEntry, _ name: String) throws(Violation) {
        let batch = entry.batch
        try expect(
            deliver.firstSequence == batch.firstSequence,
            "\(name): delivered as \(deliver.firstSequence), it is \(batch.topic) \(batch.firstSequence)")
        try expect(deliver.time == batch.time, "\(name): accepted at \(batch.time), delivered as of \(deliver.time)")
        try expect(deliver.hasMore == batch.hasMore, "\(name): wrong about whether more answers follow")
        try expect(deliver.isAnswerable == entry.isAnswerable, "\(name): wrong about whether it may answer")
    }

    /// A seal that a session may hear of: of something it is owed, or may soon be.
    func knownSeal(_ number: UInt64, _ session: ModelSession) -> ModelSeal? {
        let owed = session.subscriptions.values.lazy.flatMap(\.stream.owed).map(\.batch.seal)
        if let seal = owed.first(where: { $0.number == number }) { return seal }
        let seal = ownSeals[number] ?? sessions.values.lazy.compactMap { $0.seals[number] }.first
        return seal.flatMap { seal in
            session.subscriptions.values.contains { $0.stream.filter.matches(seal.topic) } ? seal : nil
        }
    }

    func check(_ announcement: Announcement, _ session: ModelSession) throws(Violation) {
        let name = "session \(session.id)"
        if announcement.forgetsEarlier {
            try expect(session.announced.count >= configuration.announcedCountMax, "\(name): forgets too early")
            session.announced = []
            session.granted = []
            tally[.forgotten] += 1
        }
        try expect(session.announced.count < configuration.announcedCountMax, "\(name): remembers too much")
        let isNew = session.announced.insert(announcement.seal).inserted
        try expect(isNew, "\(name): seal \(announcement.seal) is announced twice")
        guard let seal = knownSeal(announcement.seal, session) else {
            throw Violation("\(name): seal \(announcement.seal) is announced for nothing")
        }
        let isRight =
            announcement.salt == seal.salt && announcement.topic == seal.topic.bytes && announcement.uid == seal.uid
            && announcement.keyCheck == seal.keyCheck
        try expect(isRight, "\(name): seal \(announcement.seal) is announced as another's")
        try check(incarnation: announcement.topicIncarnation, of: seal)
    }
}
