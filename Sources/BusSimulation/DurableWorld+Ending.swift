// The end of a world with a store: publishers send again what has no receipt, consumers take and acknowledge everything,
// and then nobody may be owed anything.

import BusBroker
import BusWire

extension DurableWorld {
    func end() throws(Violation) {
        stepNumber += 1
        store.bytesMax = .max
        for session in sessions { try vanish(session) }
        for session in closing { try handle(.disconnected(session)) }
        closing = []
        isEnding = true
        try finishPublishing()
        try finishWaiting()
        try finishConsuming()
    }

    /// Everything that was published is on disk once, and its publisher knows.
    private func finishPublishing() throws(Violation) {
        for _ in 0..<200 where publishers.contains(where: { !$0.outbox.isEmpty }) {
            for publisher in publishers where !publisher.outbox.isEmpty { try resend(publisher) }
            for session in sessions where blocked.contains(session) { try handle(.drained(session)) }
            try endRound()
            try settleStore()
            try advance(10_000_000)
        }
        for publisher in publishers {
            try expect(publisher.outbox.isEmpty, "a publisher waits for \(publisher.outbox.count) receipts for ever")
        }
        for session in sessions { try vanish(session) }
    }

    private func finishConsuming() throws(Violation) {
        try settleStore()
        let session = try open(uid: 1000)
        for record in model.recordsInOrder { try attend(record.name, in: session, credit: 1 << 40) }
        for _ in 0..<400 {
            try endRound()
            try settleStore()
            for record in model.recordsInOrder {
                for consumer in record.consumers {
                    guard let last = consumer.holds.last(where: { model.now.monotonic < $0.deadline }) else { continue }
                    try acknowledge(consumer.holds, last.delivery, record, consumer)
                }
            }
            if model.recordsInOrder.allSatisfy({ $0.owed.isEmpty }) { break }
            try advance(500_000_000)
        }
        for record in model.recordsInOrder {
            try expect(record.owed.isEmpty, "\(record.name): \(record.owed.prefix(20)) never came")
            let lost = record.events.filter { $0.value.isLost && !record.delivered.contains($0.key) }.keys.sorted()
            let isTold = lost.isEmpty || record.gapCount > 0
            try expect(isTold, "\(record.name): \(lost.prefix(20)) were removed, and it wasn't told")
            try expect(
                record.untold.isEmpty, "\(record.name): \(record.untold.prefix(20)) were removed, it wasn't told")
            let owed = record.gapsOwed.subtracting(model.removedTopics)
            try expect(owed.isEmpty, "\(record.name): something was removed before a crash, and it wasn't told")
        }
        try handle(.disconnected(session))
        try endRound()
    }
}
