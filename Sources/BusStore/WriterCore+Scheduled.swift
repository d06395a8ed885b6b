// What is to be published later, written: taken, taken back, and published, which removes it and stores its batch in one
// transaction, so that a crash in between gives neither loss nor a second one.

import BusWire

extension WriterCore {
    /// Keeps an event until it is due, or says why not.
    func schedule(_ event: StoredScheduled) throws(StoreError) -> StoreRefusal? {
        if let refusal { return refusal }
        guard let entry = try topic(event.topic), !entry.row.topic.isDeleted else { return .unknownTopic }
        guard space.admits(event.body.count) else {
            refusal = .storeFull
            return refusal
        }
        let insert = try statements(
            "INSERT INTO scheduled (id, topic, due, seal, publisher, event, record) VALUES (?, ?, ?, ?, ?, ?, ?)")
        insert.bind(1, event.number)
        insert.bind(2, event.topic.rawValue)
        insert.bind(3, event.due)
        insert.bind(4, event.seal)
        insert.bind(5, Int64(event.uid))
        insert.bind(6, event.id)
        insert.bind(7, event.record)
        try insert.run()
        count(.scheduled, by: insert.changes)
        return nil
    }

    /// Lets go of an event that waits, and of its seal where nothing else needs it.
    func unschedule(_ number: UInt64) throws(StoreError) {
        let select = try statements("SELECT seal FROM scheduled WHERE id = ?")
        select.bind(1, number)
        guard try select.step() else { return }
        let seal = select.uint64(0)
        select.reset()
        try remove(.scheduled) { $0.bind(1, number) }
        guard let row = try sealRow(seal), let entry = try topic(row.seal.topic) else { return }
        guard !entry.row.topic.isRemoving else { return }
        try removeIfUnneeded(row, floor: entry.row.topic.floor)
    }

    /// Puts a row aside that is whole, and of no use: its topic or its seal is damaged.
    func setAside(scheduled number: UInt64) throws(StoreError) {
        let select = try statements("SELECT 1 FROM scheduled WHERE id = ?")
        select.bind(1, number)
        guard try select.step() else { return }
        select.reset()
        try putAside(.record(table: .scheduled, key: number))
        answers.damage.append(.row(table: RecordTable.scheduled.name, key: number))
    }

    /// Tells of a row that is put aside whose it was, so that it is counted no more.
    func tellSetAside(scheduled number: UInt64) throws(StoreError) {
        let select = try statements(
            "SELECT topic, publisher, \(StoredScheduled.bodyLength) FROM scheduled WHERE id = ?")
        select.bind(1, number)
        guard try select.step() else { return }
        defer { select.reset() }
        guard let topic = select.topicID(0), let uid = UInt32(exactly: select.int64(1)) else { return }
        answers.setAside.append(
            SetAsideScheduled(number: number, topic: topic, uid: uid, length: select.uint64(2)))
    }

    /// Stores the batch of an event that waited, in its place; where it can't, the event goes on waiting.
    func publish(scheduled number: UInt64, _ batch: StoredBatch, ids: [BusUUID]) throws(StoreError) -> StoreRefusal? {
        let wasOpen = openSeals[batch.seal] != nil
        // Who published it is done with the seal: nobody will say again that it is closed. Also where this fails, since
        // what failed is tried again.
        defer { if !wasOpen { openSeals[batch.seal] = nil } }
        if let refusal = try append(batch, ids: ids) { return refusal }
        try remove(.scheduled) { $0.bind(1, number) }
        guard !wasOpen, var row = try sealRow(batch.seal) else { return nil }
        // A later batch needs it now than when it was closed.
        row.lastUsed = batch.position
        try put(row) { $0.bind($1, batch.seal) }
        return nil
    }

    /// Everything that waits for a topic goes with it.
    func unscheduleAll(of topic: TopicID) throws(StoreError) {
        let delete = try statements("DELETE FROM scheduled WHERE topic = ?")
        delete.bind(1, topic.rawValue)
        try delete.run()
        count(.scheduled, by: -delete.changes)
    }

    /// Whether an event that waits is under a seal.
    func isScheduled(under seal: UInt64) throws(StoreError) -> Bool {
        let select = try statements("SELECT 1 FROM scheduled WHERE seal = ? LIMIT 1")
        select.bind(1, seal)
        defer { select.reset() }
        return try select.step()
    }

    /// Which of these ids wait to be published on a topic, by whole rows only. Their sequence is 0: they have none yet.
    ///
    /// Rows are as long as their batches, and everybody's writes wait meanwhile: of more than some megabytes the first are
    /// told. A publish of which some is known isn't taken, and says what is; the rest is asked for anew.
    func waiting(_ asked: [EventIDs], of uid: UInt32, on topic: TopicID) throws(StoreError) -> [KnownIDs] {
        var (found, bytes) = ([KnownIDs](), 0)
        for ids in asked {
            guard ids.count > 0, let last = ids.first.advanced(by: UInt64(ids.count - 1)) else { continue }
            var next: BusUUID? = ids.first
            // One row for each id, however often it was used.
            while let first = next, first <= last, found.isEmpty || bytes < WriterCore.lookUpLengthMax,
                let event = try waiting(first...last, of: uid, on: topic)
            {
                found.append(
                    KnownIDs(
                        ids: EventIDs(first: event.id, count: 1), topic: topic, firstSequence: 0,
                        accepted: event.taken))
                bytes += event.body.count
                next = event.id.advanced(by: 1)
            }
        }
        return found
    }

    /// The first of these ids that waits.
    private func waiting(
        _ ids: ClosedRange<BusUUID>, of uid: UInt32, on topic: TopicID
    ) throws(StoreError) -> StoredScheduled? {
        let select = try statements(
            """
            SELECT record FROM scheduled INDEXED BY scheduled_by_event
            WHERE event >= ? AND event <= ? AND publisher = ? AND topic = ? ORDER BY event
            """)
        select.bind(1, ids.lowerBound)
        select.bind(2, ids.upperBound)
        select.bind(3, Int64(uid))
        select.bind(4, topic.rawValue)
        defer { select.reset() }
        while try select.step() {
            if let event = try? StoredScheduled(record: select.bytes(0)), event.uid == uid, event.topic == topic,
                ids.contains(event.id)
            {
                return event
            }
        }
        return nil
    }

    private func sealRow(_ number: UInt64) throws(StoreError) -> SealRow? {
        let select = try statements("SELECT record FROM seals WHERE number = ?")
        select.bind(1, number)
        guard try select.step() else { return nil }
        defer { select.reset() }
        return try? SealRow(record: select.bytes(0))
    }
}
