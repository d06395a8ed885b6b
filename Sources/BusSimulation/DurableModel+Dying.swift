// What may be different after the daemon died: nothing that it had told anybody. What was acknowledged since it saved last
// comes again, flagged; what was handed out may have been handled.

import BusBroker
import BusWire

extension DurableModel {
    /// The daemon is gone, and another one finds this on disk.
    ///
    /// - Parameter isClean: whether it had time to save where everybody stands.
    func die(leaving disk: MemoryStore.Disk, isClean: Bool) throws(Violation) {
        heard = disk.nextPosition
        topicNames = disk.topics
        let known = Set(batches.map(\.stored.topic))
        removedTopics = known.filter { disk.topics[$0] == nil }
        // What wasn't removed on disk is there again.
        floors = [:]
        for topic in known {
            let first = disk.batches.first { $0.topic == topic }?.position
            floors[topic] = first ?? disk.nextPosition
            gone[topic] = floors[topic]
        }
        for number in records.keys.sorted() {
            guard let record = records[number] else { continue }
            guard let stored = disk.subscriptions[number] else {
                try expect(!record.isTold, "\(record.name) was made, somebody was told so, and it is gone")
                records[number] = nil
                continue
            }
            try resume(record, at: stored.cursor, disk, isClean: isClean)
        }
        for (number, stored) in disk.subscriptions where records[number] == nil {
            // Its end wasn't saved.
            let record = DurableRecord(stored)
            records[number] = record
            record.isUnsaved = true
            record.delivered = Set(batches.flatMap(\.positions))
            try resume(record, at: stored.cursor, disk, isClean: false)
        }
        letters = disk.deadLetters
        (readers, seeks, starts, ending) = ([], [:], [:], [])
        tally[isClean ? .stopped : .crashed] += 1
    }

    private func resume(
        _ record: DurableRecord, at cursor: StoredCursor, _ disk: MemoryStore.Disk, isClean: Bool
    ) throws(Violation) {
        // What was redriven, and that isn't saved, is a dead letter as before.
        let dead = Set(disk.deadLetters.values.filter { $0.subscription == record.number }.flatMap(\.positions))
        let isMoved = record.isMoving || record.isUnsaved
        for (position, standing) in record.events where !isMoved {
            if standing.isOwed, !dead.contains(position) {
                try expect(!cursor.settles(position), "\(record.name): \(position) was owed, and is lost by the end")
            } else if isClean, standing.isSettled, !isRemoved(standing.batch) {
                try expect(cursor.settles(position), "\(record.name): \(position) was settled before a clean end")
            }
        }
        // What is gone with its topic nobody can know of.
        let untold =
            isMoved
            ? []
            : record.untold.filter { position in
                batch(at: position).map { isRemoved($0) && !removedTopics.contains($0.stored.topic) } ?? false
            }
        let owed = record.gapsOwed.union(untold.compactMap { batch(at: $0)?.stored.topic })
        record.gapsOwed = isMoved ? [] : owed.filter { disk.topics[$0] != nil }
        let before = record.events
        record.events = [:]
        for batch in batches where record.filter.matches(batch.topic) && !isRemoved(batch) {
            for position in batch.positions {
                var standing = before[position] ?? Standing(batch)
                standing.isSettled = cursor.settles(position)
                (standing.hold, standing.isRecalled) = (nil, false)
                // What is here wasn't removed on disk, whoever wanted that.
                (standing.isRemoved, standing.isLost, standing.isRejected) = (false, false, false)
                // How often it was tried before it was moved, or redriven and that wasn't saved, isn't known any more.
                let isUnknown = isMoved || standing.isRedriven && !isClean
                standing.isVague = standing.isVague || isUnknown || record.delivered.contains(position)
                if isUnknown { standing.attempts = .max - 1 }
                record.events[position] = standing
            }
        }
        record.consumers = []
        record.newest = [:]
        (record.isMoving, record.isUnsaved) = (false, false)
    }
}
