// What subscribers say of what they hold, and what becomes of it when they are gone.

import BusBroker
import BusWire

extension DurableModel {
    /// A consumer says something of events it holds, in time.
    func say(_ settlement: Settlement, of positions: [UInt64], _ hold: Hold, _ record: DurableRecord) {
        note(record, hold.consumer, "\(settlement)", positions)
        switch settlement {
        case .acknowledge:
            for position in positions {
                settle(position, record)
                tally[.settled] += 1
            }
        case .retry:
            let isRedriven = positions.contains { record.events[$0]?.isRedriven == true }
            for later in events(behind: positions, hold.consumer, record) {
                // What is redriven is outside of the order: it takes back what was handed out behind it, and no more.
                if isRedriven || record.events[later]?.isRedriven == true {
                    record.events[later]?.isRecalled = true
                } else {
                    release(later, record)
                }
                // It doesn't count as an attempt, if it wasn't late itself.
                record.events[later]?.isVague = true
            }
            for position in positions { release(position, record) }
            tally[.retried] += 1
        case .reject:
            for position in positions { record.events[position]?.isRejected = true }
            tally[.rejected] += 1
        case .extend: hold.deadline = now.monotonic + record.wait
        }
    }

    /// What a consumer has of some events' keys behind them: it comes again, too.
    private func events(
        behind positions: [UInt64], _ consumer: DurableConsumer, _ record: DurableRecord
    ) -> Set<UInt64> {
        var found: Set<UInt64> = []
        for position in positions {
            // What was tried often enough is given up on, and nothing waits for it.
            guard let standing = record.events[position], standing.key(at: position) != 0,
                standing.attempts < record.attemptCountMax
            else { continue }
            for hold in consumer.holds {
                for later in hold.positions.keys where later > position {
                    // A topic that is deleted and made again has its keys by its name.
                    guard let other = record.events[later], other.batch.topic == standing.batch.topic,
                        other.key(at: later) == standing.key(at: position)
                    else { continue }
                    found.insert(later)
                }
            }
        }
        return found
    }

    /// What wasn't settled in time is taken back some time soon, and what is behind it of its key.
    func expire(_ record: DurableRecord) {
        for consumer in record.consumers {
            for hold in consumer.holds where hold.deadline <= now.monotonic {
                for later in events(behind: hold.positions.keys.sorted(), consumer, record) {
                    record.events[later]?.isRecalled = true
                    record.events[later]?.isVague = true
                }
            }
        }
    }

    /// A session is gone; what it held is for others.
    func leave(_ session: SessionID) {
        for record in records.values {
            for consumer in record.consumers where consumer.session == session { leave(record, consumer) }
        }
        readers.removeAll { $0.session == session }
    }

    /// A subscription is over.
    func leave(_ session: SessionID, _ number: UInt32) {
        if let (record, consumer) = consumer(session, number) { leave(record, consumer) }
        readers.removeAll { $0.session == session && $0.number == number }
    }

    private func leave(_ record: DurableRecord, _ consumer: DurableConsumer) {
        expire(record)
        note(record, consumer, "leaves", consumer.holds.flatMap(\.positions.keys).sorted())
        record.consumers.removeAll { $0 === consumer }
        for hold in consumer.holds {
            for position in hold.positions.keys {
                record.events[position]?.hold = nil
                record.events[position]?.isRecalled = false
            }
        }
        consumer.holds = []
    }
}
