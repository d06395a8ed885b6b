// What is to be published later: what is due, handed to the broker; what waits, as rows.

import BusBroker
import BusStore
import BusWire

extension DurableStore {
    /// Reads what is due; the answer comes as an input.
    func readDue(_ order: DueOrder) {
        let place = order.after.map { BusStore.DuePlace(due: $0.due, number: $0.number) }
        store.scheduled(
            dueBy: order.time, after: place, countMax: order.eventCountMax, bytesMax: order.lengthMax
        ) { [mailbox] in
            mailbox.put($0) { .storeReadDue(DuePage($0)) }
        }
    }

    /// As much of what waits is read at once, since each is read with its batch.
    private static let page = (count: 256, length: 4 << 20)

    /// Some of what waits under an id. What can't be read is no answer: nobody is told that nothing waits.
    private func findScheduled(
        _ id: BusUUID, of uid: UInt32? = nil, after: UInt64 = 0, countMax: Int = page.count,
        _ done: @escaping @Sendable ([BusBroker.StoredScheduled]) -> Void
    ) {
        store.scheduled(id: id, of: uid, after: after, countMax: countMax, bytesMax: DurableStore.page.length) {
            [mailbox] result in
            switch result {
            case .success(let found): done(found.map(BusBroker.StoredScheduled.init))
            case .failure(let error): mailbox.put(.failed(error))
            }
        }
    }

    /// What a session may take back of what waits under an id: the first page of it. Where that is nothing, one of somebody
    /// else's, so that it can be told of.
    func findToCancel(
        _ session: SessionID, _ key: String, _ done: @escaping @Sendable ([BusBroker.StoredScheduled]) -> Void
    ) {
        guard let id = BusUUID(key) else { return done([]) }
        let uid = broker.cancelsOnly(of: session)
        findScheduled(id, of: uid) { [mailbox] own in
            guard own.isEmpty, uid != nil else { return done(own) }
            mailbox.put(.work { $0.findScheduled(id, countMax: 1, done) })
        }
    }

    // MARK: Rows

    func listScheduled(_ session: SessionID, _ question: Inspect) {
        let page = DurableStore.page
        guard question.key.isEmpty else {
            guard let id = BusUUID(question.key) else { return answer(session, question, []) }
            return findScheduled(id, after: question.after) { [mailbox] found in
                let isFull = found.count == page.count || found.reduce(0) { $0 + $1.bytes.count } >= page.length
                let after = isFull ? found.last?.number ?? 0 : 0
                mailbox.put(.work { own in own.answer(session, question, found.map(own.row), after: after) })
            }
        }
        store.scheduled(after: question.after, countMax: page.count, bytesMax: page.length) { [mailbox] result in
            guard case .success(let found) = result else {
                if case .failure(let error) = result { mailbox.put(.failed(error)) }
                return
            }
            let events = found.map(BusBroker.StoredScheduled.init)
            mailbox.put(
                .work { own in
                    // The last page is the empty one: how many fit into one is a matter of their bytes, too.
                    own.answer(session, question, events.map(own.row), after: events.last?.number ?? 0)
                })
        }
    }

    private func row(_ event: BusBroker.StoredScheduled) -> [InspectedValue] {
        [
            InspectedValue("id", event.id.description),
            InspectedValue("topic", names[event.topic]?.description ?? ""),
            InspectedValue("due_at", UInt64(clamping: event.due)),
            InspectedValue("taken_at", UInt64(clamping: event.taken)),
            InspectedValue("uid", UInt64(event.uid)),
            InspectedValue("bytes", UInt64(event.bytes.count)),
        ]
    }

    /// Of an event that isn't published yet, this is all there is to say; where its id was used very often, of the first.
    func traceScheduled(_ session: SessionID, _ question: Inspect, _ id: BusUUID) {
        findScheduled(id) { [mailbox] found in
            mailbox.put(
                .work { own in
                    own.answer(session, question, found.map { [InspectedValue("what", "scheduled")] + own.row($0) })
                })
        }
    }
}

extension DuePage {
    init(_ page: ScheduledPage) {
        self.init(
            events: page.events.map(BusBroker.StoredScheduled.init),
            seals: page.seals.mapValues(BusBroker.StoredSeal.init),
            end: page.end.map { BusBroker.DuePlace(due: $0.due, number: $0.number) }, next: page.next)
    }
}

extension BusBroker.SetAsideScheduled {
    init(_ row: BusStore.SetAsideScheduled) {
        self.init(number: row.number, topic: row.topic.rawValue, uid: row.uid, length: row.length)
    }
}

extension BusBroker.ScheduledSummary {
    init(_ summary: BusStore.ScheduledSummary) {
        self.init(
            counts: summary.counts.map { ($0.topic.rawValue, $0.uid, Int(clamping: $0.count), $0.length) },
            next: summary.next, lastNumber: summary.lastNumber)
    }
}

/// What the store keeps as flags of its caller's.
private let (retainsFlag, tombstoneFlag): (UInt8, UInt8) = (1, 2)

extension BusStore.StoredScheduled {
    init(_ event: BusBroker.StoredScheduled) {
        self.init(
            number: event.number, topic: TopicID(rawValue: event.topic), due: event.due, taken: event.taken,
            seal: event.seal, uid: event.uid, id: event.id,
            flags: (event.retains ? retainsFlag : 0) | (event.isTombstone ? tombstoneFlag : 0), body: event.bytes)
    }
}

extension BusBroker.StoredScheduled {
    init(_ event: BusStore.StoredScheduled) {
        self.init(
            number: event.number, topic: event.topic.rawValue, due: event.due, taken: event.taken, seal: event.seal,
            uid: event.uid, id: event.id, retains: event.flags & retainsFlag != 0,
            isTombstone: event.flags & tombstoneFlag != 0, bytes: event.body)
    }
}
