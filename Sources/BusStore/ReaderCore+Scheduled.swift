// What is to be published later, read: what is due, all of it in pages, by id, and in numbers.

import BusWire

extension ReaderCore {
    /// What is due by `time` behind a place, the first to be due first, ties in the order in which they were taken.
    func scheduled(dueBy time: Int64, after place: DuePlace?, _ limit: PageLimit) throws(StoreError) -> ScheduledPage {
        var page = ScheduledPage()
        // In two steps: SQLite looks a due time up in the index, and within one a number, but not both at once.
        if let place {
            let rest = try statements(
                "SELECT record, id, due, topic, seal FROM scheduled WHERE due = ? AND id > ? ORDER BY id")
            rest.bind(1, place.due)
            rest.bind(2, Int64(clamping: place.number))
            try fill(&page, from: rest, after: place, dueBy: time, limit)
        }
        guard page.next == nil else { return page }
        let (condition, bound) = place.map { ("due > ?", $0.due) } ?? ("due >= ?", .min)
        let all = try statements(
            "SELECT record, id, due, topic, seal FROM scheduled WHERE \(condition) ORDER BY due, id")
        all.bind(1, bound)
        try fill(&page, from: all, after: place, dueBy: time, limit)
        return page
    }

    /// Goes on with a page until it is full, which `next` tells, or there are no more rows.
    private func fill(
        _ page: inout ScheduledPage, from select: SQLStatement, after place: DuePlace?, dueBy time: Int64,
        _ limit: PageLimit
    ) throws(StoreError) {
        defer { select.reset() }
        while try select.step() {
            guard select.int64(2) <= time, page.rowCount < limit.count, page.byteCount < limit.bytes else {
                return page.next = select.int64(2)
            }
            page.rowCount += 1
            let here = DuePlace(due: select.int64(2), number: select.uint64(1))
            // An index whose order is damaged must not lead round in a circle.
            if let before = page.end ?? place, here <= before {
                note(.row(table: "scheduled_by_due", key: here.number))
                continue
            }
            page.end = here
            guard let event = scheduledEvent(select) else { continue }
            page.byteCount += event.body.count
            page.events.append(event)
        }
    }

    /// What waits, by number.
    func scheduled(after number: UInt64, _ limit: PageLimit) throws(StoreError) -> [StoredScheduled] {
        let select = try statements(
            "SELECT record, id, due, topic, seal FROM scheduled WHERE id > ? ORDER BY id LIMIT ?")
        select.bind(1, Int64(clamping: number))
        select.bind(2, Int64(limit.count))
        return try events(select, bytesMax: limit.bytes)
    }

    /// What waits under an event's id, of one user or of all, by number.
    func scheduled(
        id: BusUUID, of uid: UInt32?, after number: UInt64, _ limit: PageLimit
    ) throws(StoreError) -> [StoredScheduled] {
        let select = try statements(
            """
            SELECT record, id, due, topic, seal FROM scheduled INDEXED BY scheduled_by_event
            WHERE event = ?1 AND id > ?2 AND (?3 IS NULL OR publisher = ?3) ORDER BY id LIMIT ?4
            """)
        select.bind(1, id)
        select.bind(2, Int64(clamping: number))
        select.bind(3, uid.map(Int64.init) as Int64?)
        select.bind(4, Int64(limit.count))
        return try events(select, bytesMax: limit.bytes)
    }

    private func events(_ select: SQLStatement, bytesMax: Int) throws(StoreError) -> [StoredScheduled] {
        defer { select.reset() }
        var events: [StoredScheduled] = []
        var bytes = 0
        while bytes < bytesMax, try select.step() {
            guard let event = scheduledEvent(select) else { continue }
            bytes += event.body.count
            events.append(event)
        }
        return events
    }

    func scheduledSummary() throws(StoreError) -> ScheduledSummary {
        var summary = ScheduledSummary()
        let select = try statements(
            """
            SELECT topic, publisher, count(*), min(due), max(id), sum(\(StoredScheduled.bodyLength)) FROM scheduled
            GROUP BY topic, publisher
            """)
        defer { select.reset() }
        while try select.step() {
            // No number is given again and none waits unseen, whatever a row says of its topic and its publisher.
            summary.next = min(summary.next ?? .max, select.int64(3))
            summary.lastNumber = max(summary.lastNumber, UInt64(clamping: select.int64(4)))
            guard let topic = select.topicID(0), let uid = UInt32(exactly: select.int64(1)) else { continue }
            summary.counts.append((topic, uid, select.uint64(2), select.uint64(5)))
        }
        return summary
    }

    /// The current row; nil, and noted, if it isn't what was written, or its columns don't say what it says.
    func scheduledEvent(_ row: SQLStatement) -> StoredScheduled? {
        let number = row.uint64(1)
        if let event = try? StoredScheduled(record: row.bytes(0)), event.number == number, event.due == row.int64(2),
            event.topic == row.topicID(3), event.seal == row.uint64(4)
        {
            return event
        }
        note(.row(table: "scheduled", key: number), .record(table: .scheduled, key: number))
        return nil
    }
}
