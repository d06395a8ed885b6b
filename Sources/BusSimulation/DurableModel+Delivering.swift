// Whether what a consumer or a reader is handed is what it was promised.

import BusBroker
import BusWire

extension DurableModel {
    func check(_ deliver: Deliver, _ session: SessionID) throws(Violation) {
        let batch = batches.last {
            $0.stored.firstSequence == deliver.firstSequence && $0.stored.bytes == deliver.batch
        }
        guard let batch else { throw Violation("session \(session): a batch that isn't on disk") }
        try expect(batch.stored.position < heard, "session \(session): a batch before it was told to be on disk")
        let positions = try places(deliver).map { batch.stored.position + UInt64($0) }
        current = Set(positions)
        if let (record, consumer) = consumer(session, deliver.subscription) {
            return try check(deliver, batch, positions, record, consumer)
        }
        guard let reader = readers.first(where: { $0.session == session && $0.number == deliver.subscription }) else {
            throw Violation("session \(session): subscription \(deliver.subscription) isn't there")
        }
        try check(deliver, positions, reader)
    }

    private func places(_ deliver: Deliver) throws(Violation) -> [Int] {
        do throws(WireError) {
            let count = Int(try SealedBatch(deliver.batch).header.eventCount)
            let selection = try Selection(deliver.selection, of: count)
            return (0..<count).filter(selection.contains)
        } catch {
            throw Violation("a delivery: \(error)")
        }
    }

    // MARK: Durable subscriptions

    private func check(
        _ deliver: Deliver, _ batch: DiskBatch, _ positions: [UInt64], _ record: DurableRecord,
        _ consumer: DurableConsumer
    ) throws(Violation) {
        let name = "\(record.name) for \(consumer.session)"
        try expect(consumer.sent < consumer.credit, "\(name): a delivery without credit")
        try expect(
            record.isShared || record.consumers.first === consumer,
            "\(name): it only stands by, behind \(record.consumers.map { "\($0.session)/\($0.number)" })")
        expire(record)
        consumer.lastDelivery += 1
        try expect(deliver.delivery == consumer.lastDelivery, "\(name): delivery \(deliver.delivery) out of order")
        for position in positions {
            guard let standing = record.events[position] else {
                throw Violation("\(name): \(batch.topic) at \(position) isn't for it")
            }
            try check(standing, at: position, deliver, record, name)
            try checkOrder(standing, at: position, deliver.attempt, record, consumer, name)
        }
        take(deliver, positions, record, consumer)
    }

    private func check(
        _ standing: Standing, at position: UInt64, _ deliver: Deliver, _ record: DurableRecord, _ name: String
    ) throws(Violation) {
        try expect(!standing.isSettled, "\(name): \(position) comes again, and was settled")
        if let hold = standing.hold {
            try expect(
                now.monotonic >= hold.deadline || standing.isRecalled,
                "\(name): \(position) is still held by \(hold.consumer.session)")
        }
        let was = record.delivered.contains(position)
        try expect(
            deliver.mayBeRepeated || !was || standing.isRedriven, "\(name): \(position) comes again as if it were new")
        if standing.isVague {
            try expect(deliver.attempt <= standing.attempts + 1, "\(name): \(position), attempt \(deliver.attempt)")
        } else {
            try expect(
                deliver.attempt == standing.attempts + 1,
                "\(name): \(position), attempt \(deliver.attempt) after \(standing.attempts)")
            try expect(
                deliver.attempt <= record.attemptCountMax, "\(name): \(position) is tried \(deliver.attempt) times")
        }
    }

    /// What comes for the first time comes in order; of a key, everything does, and to one consumer at a time.
    private func checkOrder(
        _ standing: Standing, at position: UInt64, _ attempt: UInt16, _ record: DurableRecord,
        _ consumer: DurableConsumer, _ name: String
    ) throws(Violation) {
        let key = TopicKey(topic: standing.batch.stored.topic, key: standing.key(at: position))
        if !record.delivered.contains(position), !standing.isRedriven {
            try expect(position > record.newest[key] ?? 0, "\(name): \(position) comes behind a later one")
            record.newest[key] = position
        }
        guard key.key != 0, !standing.isRedriven else { return }
        for (earlier, other) in record.events where earlier != position && other.isOwed && !other.isRedriven {
            guard other.batch.stored.topic == key.topic, other.key(at: earlier) == key.key else { continue }
            if let hold = other.hold,
                now.monotonic < hold.deadline && !other.isRecalled || hold.consumer === consumer
            {
                try expect(
                    hold.consumer === consumer,
                    "\(name): \(position), \(hold.consumer.session) has \(earlier) of its key")
            } else {
                try expect(
                    earlier > position || current.contains(earlier),
                    "\(name): \(position) comes before \(earlier) of its key")
            }
        }
    }

    private func take(
        _ deliver: Deliver, _ positions: [UInt64], _ record: DurableRecord, _ consumer: DurableConsumer
    ) {
        consumer.sent += UInt64(positions.count)
        let hold = Hold(consumer, deliver.delivery, [:], deadline: now.monotonic + record.wait)
        note(record, consumer, "has", positions, ", attempt \(deliver.attempt), delivery \(deliver.delivery)")
        for position in positions {
            release(position, record)
            hold.positions[position] = Int(position - (record.events[position]?.batch.stored.position ?? 0))
            record.events[position]?.hold = hold
            record.events[position]?.attempts = deliver.attempt
            record.events[position]?.isVague = false
            tally[record.delivered.insert(position).inserted ? .delivered : .redelivered] += 1
        }
        if record.mode.contains(.unacknowledged) {
            for position in positions { settle(position, record) }
        } else {
            consumer.holds.append(hold)
        }
    }

    // MARK: Readers

    private func check(_ deliver: Deliver, _ positions: [UInt64], _ reader: DurableReader) throws(Violation) {
        let name = "reader \(reader.session)/\(reader.number)"
        try expect(reader.sent < reader.credit, "\(name): a delivery without credit")
        guard var expected = reader.expected else { throw Violation("\(name): a delivery before its place is found") }
        try expect(deliver.isStored == !reader.isCaughtUp, "\(name): stored, live: the marker lies elsewhere")
        for position in positions {
            while let first = expected.first, first != position, isRemoved(first) { expected.removeFirst() }
            try expect(expected.first == position, "\(name): \(position), and \(expected.first ?? 0) is next")
            expected.removeFirst()
        }
        reader.expected = expected
        reader.sent += UInt64(positions.count)
        tally[.delivered] += 1
    }

    private func isRemoved(_ position: UInt64) -> Bool { batch(at: position).map(isRemoved) ?? false }

    /// The marker: everything that was stored when it began has come.
    func check(_ marker: CaughtUp, _ session: SessionID) throws(Violation) {
        if let (record, consumer) = consumer(session, marker.subscription) {
            try expect(!consumer.isCaughtUp || record.isMoving, "\(record.name): the marker twice")
            consumer.isCaughtUp = true
            tally[.caughtUp] += 1
            return
        }
        guard let reader = readers.first(where: { $0.session == session && $0.number == marker.subscription }) else {
            throw Violation("session \(session): a marker for nobody")
        }
        let late = reader.expected?.filter { $0 < reader.committed && !isRemoved($0) } ?? []
        try expect(!reader.isCaughtUp && late.isEmpty, "reader \(session): the marker, and \(late) are owed")
        reader.isCaughtUp = true
        tally[.caughtUp] += 1
    }

    func check(_ gap: Gap, _ session: SessionID) throws(Violation) {
        guard let (record, _) = consumer(session, gap.subscription) else { return }
        record.gapCount += 1
        record.gapsOwed = []
        // After a restart it may be told of something that it only may have missed, and nobody knows for which reason.
        let isUncertain = gap.count == nil || record.wentBack
        let isPossible = isHard || gap.reason == .purged && (hasRemoved || isUncertain)
        try expect(isPossible, "\(record.name): a gap for \(gap.reason), and nothing was removed")
        tally[.gapTold] += 1
    }
}
