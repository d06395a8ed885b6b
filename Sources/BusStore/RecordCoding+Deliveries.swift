// The bytes of records that speak of deliveries.

import BusWire

/// A subscription without its cursor, which has a row of its own.
struct SubscriptionRow: Equatable {
    var id: UInt64
    var name: [UInt8]
    var options: [UInt8]
}

extension SubscriptionRow: Recorded {
    static var table: RecordTable { .subscriptions }

    func encode(into record: inout RecordWriter) {
        record.put(id)
        record.put(name)
        record.put(options)
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        id = try record.integer()
        name = try record.array()
        options = try record.array()
    }
}

/// A subscription's cursor.
struct CursorRow: Equatable {
    var subscription: UInt64
    var cursor: StoredCursor
}

extension CursorRow: Recorded {
    static var table: RecordTable { .cursors }

    func encode(into record: inout RecordWriter) {
        record.put(subscription)
        record.put(cursor.next)
        record.put(UInt32(cursor.pending.count))
        for range in cursor.pending {
            record.put(range.first)
            record.put(range.count)
            record.put(range.attempts)
        }
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        subscription = try record.integer()
        cursor = StoredCursor(next: try record.integer())
        let count: UInt32 = try record.integer()
        for _ in 0..<count {
            let first: UInt64 = try record.integer()
            let length: UInt32 = try record.integer()
            cursor.pending.append(PendingRange(first: first, count: length, attempts: try record.integer()))
        }
    }
}

extension StoredDeadLetter: Recorded {
    static var table: RecordTable { .deadLetters }

    func encode(into record: inout RecordWriter) {
        record.put(id)
        record.put(subscription)
        record.put(position)
        record.put(selection)
        record.put(reason)
        record.put(reasonText)
        record.put(attempts)
        record.put(firstAttempt)
        record.put(lastAttempt)
        record.put(died)
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        self.init(
            id: try record.integer(), subscription: try record.integer(), position: try record.integer(),
            selection: try record.array(), reason: try record.integer(), reasonText: try record.text(),
            attempts: try record.integer(), firstAttempt: try record.integer(), lastAttempt: try record.integer(),
            died: try record.integer())
    }
}

extension StoredDeadLetter {
    /// What is left of it without these events; nil for nothing, and where it isn't said which events it is of.
    func without(_ events: [UInt8]) -> StoredDeadLetter? {
        guard !events.isEmpty else { return nil }
        var rest = self
        for (place, byte) in events.enumerated() where place < rest.selection.count { rest.selection[place] &= ~byte }
        return rest.selection.contains { $0 != 0 } ? rest : nil
    }
}

extension LedgerEntry: Recorded {
    static var table: RecordTable { .ledger }

    func encode(into record: inout RecordWriter) {
        record.put(subscription)
        record.put(first)
        record.put(count)
        record.put(outcome)
        record.put(session)
        record.put(attempt)
        record.put(sent)
        record.put(time)
        record.put(reason)
        // Nearly all lines are of no answer, and as short as they were before there were any.
        if !answer.isZero { record.put(answer) }
    }

    init(from record: inout RecordReader) throws(RecordFault) {
        self.init(
            subscription: try record.integer(), first: try record.integer(), count: try record.integer(),
            outcome: try record.integer(), session: try record.integer(), attempt: try record.integer(),
            sent: try record.integer(), time: try record.integer(), reason: try record.integer(),
            answer: record.isAtEnd ? .zero : try record.uuid())
        guard !first.addingReportingOverflow(UInt64(count)).overflow else { throw .content }
    }
}
