// Losses: each is told in its place, with its exact count and reason, and was needed.

import BusBroker
import BusWire

extension Model {
    func check(_ gap: Gap, _ session: ModelSession) throws(Violation) {
        let subscription = try subscription(gap.subscription, session)
        let (stream, name) = (subscription.stream, subscription.name)
        guard let topic = try? Topic(bytes: gap.topic), let count = gap.count, gap.firstSequence <= gap.lastSequence
        else {
            throw Violation("\(name): a gap without topic, count or positions")
        }
        subscription.missedCount += count
        stream.missedCount += count
        try note(gap.reason, stream, name)
        let told = ToldGap(
            topic: topic, reason: gap.reason, count: count, sequences: gap.firstSequence...gap.lastSequence)
        if isForeseen(stream) {
            try compare(gap, with: stream, name)
        } else if let missed = certain(told, stream) {
            try remove(missed, told.reason, subscription)
        } else {
            stream.gaps.append(told)
        }
    }

    private func note(_ reason: Reason, _ stream: ModelStream, _ name: String) throws(Violation) {
        switch reason {
        case .queueFull:
            tally[.queueFull] += 1
            try expect(stream.policy != .stall, "\(name): missed for \(reason)")
        case .superseded:
            tally[.superseded] += 1
            try expect(stream.policy == .latest, "\(name): missed for \(reason)")
        case .stallTimedOut:
            tally[.stallTimedOut] += 1
            try expect(stream.policy == .stall, "\(name): missed for \(reason)")
        case .quotaExceeded:
            tally[.quotaExceeded] += 1
            try expect(isTight, "\(name): missed for \(reason), and nothing is used up")
        default: throw Violation("\(name): missed for \(reason)")
        }
    }

    /// A gap of a queue whose losses are known: exactly what was lost before what comes next.
    private func compare(_ gap: Gap, with stream: ModelStream, _ name: String) throws(Violation) {
        let lost = lost(gap, stream)
        try expect(isExact(gap, stream), "\(name): \(gap), lost is \(lost)")
        stream.owed.removeAll { entry in lost.contains { $0 === entry } }
    }

    func isExact(_ gap: Gap, _ stream: ModelStream) -> Bool {
        let lost = lost(gap, stream)
        return lost.map(\.firstSequence).min() == gap.firstSequence
            && lost.map(\.lastSequence).max() == gap.lastSequence
            && lost.reduce(0) { $0 + $1.eventCount } == gap.count
    }

    private func lost(_ gap: Gap, _ stream: ModelStream) -> [OwedEntry] {
        // Who unsubscribes hears of all its losses; and what was superseded may be told before what was queued before it.
        let isEarly = gap.reason == .superseded || isLeaving(stream)
        // Last values wait beside the queue: what was lost of it may be told before them.
        let queue = stream.owed.filter { (!$0.isStored || $0.lost != nil) && !$0.live.isEmpty }
        let told = isEarly ? queue[...] : queue.prefix { $0.lost != nil }
        // As many as were told, in their order: what was lost elsewhere in the queue has a gap of its own.
        var lost: [OwedEntry] = []
        var count: UInt64 = 0
        for entry in told where entry.topic.bytes == gap.topic && entry.lost == gap.reason && !entry.live.isEmpty {
            guard count < gap.count ?? 0 else { break }
            lost.append(entry)
            count += entry.eventCount
        }
        return lost
    }

    private func isLeaving(_ stream: ModelStream) -> Bool {
        guard stream.members.count == 1, let subscription = stream.members.first else { return false }
        return subscription.session.owedAnswers.first == .unsubscribed(subscription.number)
    }

    /// What a gap is about where it can't be anything else: all there is up to its end.
    private func certain(_ gap: ToldGap, _ stream: ModelStream) -> [OwedEntry]? {
        let pending = stream.gaps.contains { $0.topic == gap.topic }
        let reach = stream.owed.filter { entry in
            entry.topic == gap.topic && entry.firstSequence <= gap.sequences.upperBound
        }
        let fits =
            reach.first?.firstSequence == gap.sequences.lowerBound
            && reach.last?.lastSequence == gap.sequences.upperBound
            && reach.reduce(0) { $0 + $1.eventCount } == gap.count
        let isOrdered = !stream.owed.contains { $0.attempt > 1 }
        let isCertain = reach.allSatisfy { $0.withdrawn.isEmpty }
        return fits && !pending && isOrdered && isCertain ? reach : nil
    }

    private func remove(_ missed: [OwedEntry], _ reason: Reason, _ subscription: ModelSubscription) throws(Violation) {
        let stream = subscription.stream
        if !isTight, let last = missed.last { try checkNeed(of: last, stream, subscription.name) }
        lose(missed, of: stream, [reason])
        stream.owed.removeAll { entry in missed.contains { $0 === entry } }
        stream.told += missed
    }

    /// A run of gaps accounts, topic by topic, for everything owed before what comes behind it; nil for an end.
    func settleGaps(before next: OwedEntry?, _ subscription: ModelSubscription) throws(Violation) {
        let stream = subscription.stream
        // Last values come first, and so does what members gave back, in any order.
        if let next, next.isStored || next.attempt > 1 { return }
        for topic in Set(stream.gaps.map(\.topic)) {
            let gaps = stream.gaps.filter { $0.topic == topic }
            let last = gaps.map(\.sequences.upperBound).max() ?? 0
            if stream.policy == .latest { cut(stream, topic, behind: last) }
            // What lies in none of them isn't missed: at an end it may wait between two.
            let missed = stream.owed.prefix { $0 !== next }.filter { entry in
                gaps.contains { $0.touches(entry) } && entry.live.allSatisfy { entry.batch.sequence(at: $0) <= last }
            }
            let count = missed.reduce(0) { $0 + $1.eventCount }
            let told = gaps.reduce(0) { $0 + $1.count }
            // What was superseded may be told early: then it is accounted for once all before it is.
            let isEarly = gaps.contains { $0.reason == .superseded }
            if isEarly, count < told { continue }
            // Of those that nobody waits for any more some may have been lost before that.
            let doubtful = missed.reduce(0) { $0 + $1.withdrawn.count }
            // At its end, what was still queued is neither sent nor missed.
            if next == nil, count + UInt64(doubtful) > told { continue }
            let lives = Set(missed.map { ObjectIdentifier($0.batch.life) })
            let isExact =
                count == told && lives.count > 1 || count <= told && told <= count + UInt64(doubtful) && doubtful > 0
                || count == told && missed.map(\.firstSequence).min() == gaps.map(\.sequences.lowerBound).min()
                    && missed.map(\.lastSequence).max() == last
            try expect(isExact, "\(subscription.name): \(gaps), missed \(count), \(missed)")
            lose(missed, of: stream, Set(gaps.map(\.reason)))
            stream.owed.removeAll { entry in missed.contains { $0 === entry } }
            stream.gaps.removeAll { $0.topic == topic }
        }
    }

    /// Of a batch that was cut, what was superseded is told and the rest still waits.
    private func cut(_ stream: ModelStream, _ topic: Topic, behind last: UInt64) {
        let index = stream.owed.firstIndex { $0.topic == topic && $0.firstSequence <= last && $0.lastSequence > last }
        guard let index else { return }
        let entry = stream.owed[index]
        stream.owed.insert(entry.split { entry.batch.sequence(at: $0) <= last }, at: index)
    }

    /// Lost requests are told to who asks; the rest of the accounting is the gap's.
    func noteLosses(_ stream: ModelStream) {
        for entry in stream.owed {
            guard let reason = entry.lost else { continue }
            lose([entry], of: stream, [reason])
        }
    }

    /// An entry is dropped only if it and what was accepted behind it exceed the queue.
    private func checkNeed(of dropped: OwedEntry, _ stream: ModelStream, _ name: String) throws(Violation) {
        guard stream.group == nil else { return }
        let rest = (stream.owed + stream.told).filter { $0.batch.index >= dropped.batch.index }
        let events = rest.reduce(0) { $0 + UInt64($1.places.count) }
        let length = rest.reduce(0) { $0 + $1.length }
        let isNeeded = events > stream.queueEventCount || length > stream.queueLength
        try expect(isNeeded && rest.count > 1, "\(name): dropped \(events) events, its queue isn't full")
        if stream.policy == .stall {
            let isOver = stream.fullSince.map { now.monotonic >= $0 + stream.stallTime } ?? false
            try expect(isOver, "\(name): dropped before its stall was over")
        }
    }
}
