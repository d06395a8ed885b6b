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

    /// What waits under an id that somebody wrote. What can't be read is no answer: nobody is told that nothing waits.
    func findScheduled(_ key: String, _ done: @escaping @Sendable ([BusBroker.StoredScheduled]) -> Void) {
        guard let id = BusUUID(key) else { return done([]) }
        store.scheduled(id: id) { [mailbox] result in
            switch result {
            case .success(let found): done(found.map(BusBroker.StoredScheduled.init))
            case .failure(let error): mailbox.put(.failed(error))
            }
        }
    }

    // MARK: Rows

    /// Rows of a page; each is read with its batch.
    private static let page = (count: 256, length: 4 << 20)

    func listScheduled(_ session: SessionID, _ question: Inspect) {
        guard question.key.isEmpty else {
            return findScheduled(question.key) { [mailbox] found in
                mailbox.put(.work { own in own.answer(session, question, found.map(own.row)) })
            }
        }
        let page = DurableStore.page
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

    /// Of an event that isn't published yet, this is all there is to say.
    func traceScheduled(_ session: SessionID, _ question: Inspect, _ id: BusUUID) {
        findScheduled(id.description) { [mailbox] found in
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
