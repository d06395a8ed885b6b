// What the broker tells the store, as far as something could be lost by it.

import BusBroker
import BusWire

extension DurableModel {
    func check(_ write: StoreWrite) throws(Violation) {
        switch write {
        case .topic(let number, let name): topicNames[number] = name
        case .removeTopic(let number):
            try expect(isRemoving, "topic \(number) is removed and nobody wanted that")
            removedTopics.insert(number)
            try remove(number, before: .max)
        case .trim(let topic, let position): try remove(topic, before: position)
        case .subscription(let stored): try check(stored)
        case .cursor(let number, let cursor):
            guard let record = records[number] else { throw Violation("a cursor of \(number), which is gone") }
            try check(cursor, record)
        case .removeSubscription(let number):
            guard let record = records.removeValue(forKey: number) else {
                throw Violation("subscription \(number) ends twice")
            }
            try expect(ending.remove(record.name) != nil, "\(record.name) is ended and nobody wanted that")
        case .deadLetter(let letter): try check(letter)
        case .removeDeadLetter: break
        case .ledger(let line): try check(line)
        // What is published later is looked at on its own.
        case .schedule, .unschedule, .setAsideScheduled, .publishScheduled: break
        case .append, .seal, .sealClosed, .retain, .declare, .undeclare, .trimLedger, .lookUp, .trimIDs: break
        }
    }

    private func check(_ stored: StoredSubscription) throws(Violation) {
        if let record = records[stored.number] { return try check(stored.cursor, record) }
        let record = DurableRecord(stored)
        records[stored.number] = record
        guard let start = starts.removeValue(forKey: record.name) else {
            throw Violation("subscription \(record.name) is made and nobody wanted that")
        }
        begin(record, at: start.isFoundAtOnce ? start : .new, before: heard)
        record.isMoving = !start.isFoundAtOnce
        if let consumer = joining.removeValue(forKey: record.name) { record.consumers.append(consumer) }
    }

    /// Where a subscription stands must leave everything it still has to get.
    private func check(_ cursor: StoredCursor, _ record: DurableRecord) throws(Violation) {
        guard !record.isMoving else { return }
        for (position, standing) in record.events where standing.isOwed {
            try expect(
                !cursor.settles(position),
                "\(record.name): \(standing.batch.topic) at \(position) is owed, and \(cursor) says it is settled")
        }
    }

    /// Retention removes only what everybody has settled, unless it is hard or somebody's wish.
    private func remove(_ topic: UInt64, before position: UInt64) throws(Violation) {
        floors[topic] = max(floors[topic] ?? 0, position)
        for record in records.values {
            for (at, standing) in record.events where standing.isOwed && standing.batch.stored.topic == topic {
                guard standing.batch.stored.position < position else { continue }
                try expect(
                    isHard || isRemoving,
                    "\(record.name): \(standing.batch.topic) at \(at) is removed and was never settled")
                record.events[at]?.isRemoved = true
                record.events[at]?.isLost = true
                record.events[at]?.lostAfter = record.gapCount
                tally[.trimmed] += 1
            }
        }
    }

    /// Events are given up on: tried as often as they may be, or rejected.
    private func check(_ letter: StoredDeadLetter) throws(Violation) {
        guard let record = records[letter.subscription] else { throw Violation("a dead letter of nobody") }
        letters[letter.number] = letter
        note(record, nil, "gives up on", letter.positions, ", \(letter.reason) \(letter.message)")
        for position in letter.positions {
            guard let standing = record.events[position], !standing.isSettled else {
                throw Violation("\(record.name): \(position) is given up on, and isn't owed")
            }
            switch letter.reason {
            case .rejected: try expect(standing.isRejected, "\(record.name): \(position) is dead, nobody rejected it")
            case .attemptsExhausted:
                let isTried = standing.attempts >= record.attemptCountMax || standing.isVague
                try expect(isTried, "\(record.name): \(position) is dead after \(standing.attempts) attempts")
            default: throw Violation("\(record.name): \(position) is dead: \(letter.reason)")
            }
            settle(position, record)
            tally[.dead] += 1
        }
    }

    func settle(_ position: UInt64, _ record: DurableRecord) {
        record.events[position]?.isSettled = true
        record.settled.insert(position)
        release(position, record)
    }

    /// Nobody has an event any more.
    func release(_ position: UInt64, _ record: DurableRecord) {
        guard let hold = record.events[position]?.hold else { return }
        record.events[position]?.hold = nil
        record.events[position]?.isRecalled = false
        hold.positions[position] = nil
        if hold.positions.isEmpty { hold.consumer.holds.removeAll { $0 === hold } }
    }

    /// The ledger says of nothing that it was handled that wasn't.
    private func check(_ line: LedgerLine) throws(Violation) {
        guard line.outcome == .acknowledged, let record = records[line.subscription] else { return }
        for position in line.first..<line.first + UInt64(line.count) {
            let isRight = record.settled.contains(position) || record.mode.contains(.unacknowledged)
            try expect(isRight, "\(record.name): the ledger has \(position) as acknowledged")
        }
    }

    /// Letters go back to their subscription, each event as if it were new.
    func redrive(_ redriven: [StoredDeadLetter]) {
        for letter in redriven {
            guard let record = records[letter.subscription] else { continue }
            for position in letter.positions {
                // It is there, or a subscription that was moved wouldn't get it any more.
                guard let batch = batch(at: position) else { continue }
                tally[.redriven] += 1
                // What it has to get anyway comes once.
                if record.events[position]?.isOwed == true { continue }
                var standing = Standing(batch)
                standing.isRedriven = true
                record.events[position] = standing
            }
        }
    }
}

extension StoredDeadLetter {
    var positions: [UInt64] { (0..<UInt64(selection.count * 8)).map { position + $0 }.filter(holds) }
}

extension Start {
    /// Whether the broker knows the place itself.
    var isFoundAtOnce: Bool { self == .new || self == .all }
}
