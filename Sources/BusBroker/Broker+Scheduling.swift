// Events that are published later: taken like any other publish and kept in the store as they came, until they are due
// (Broker+Due.swift) or taken back. The broker knows only how many there are, and when the next is due.

import BusWire

extension Broker {
    /// How far ahead something may be due, in microseconds: a leap year.
    static let dueLimit: Int64 = 366 * 86_400_000_000

    // MARK: Taking

    /// Whether a publish is for later, and may be; of the past it is for now.
    func mustWait(
        _ publish: Publish, _ batch: SealedBatch, _ topic: TopicState, _ session: Session
    ) throws(PublishRefusal) -> Bool {
        guard let due = publish.due else { return false }
        guard topic.isDurable else {
            throw PublishRefusal(
                .notDurable, "topic \(topic.name) is live: only what is stored can wait (`bus topic create`)")
        }
        guard batch.header.eventCount == 1 else {
            throw PublishRefusal(
                .malformedBatch, "\(batch.header.eventCount) events to be published later are a batch each")
        }
        // Due is what is due by the clock that a slip doesn't move, too: what comes at once can't be taken back.
        storage?.schedule.clock.advance(to: now)
        guard due > min(now.wall, storage?.schedule.clock.now ?? now.wall) else { return false }
        guard due <= now.wall || due - now.wall <= Broker.dueLimit else {
            throw PublishRefusal(.invalidSetting, "an event can wait for 366 days at most")
        }
        let (count, limit) = (session.account.scheduledCount, configuration.quotas.scheduled)
        guard count < limit else {
            throw PublishRefusal(
                QuotaFault(quota: "scheduled", used: count, limit: limit, uid: session.peer.uid))
        }
        return true
    }

    /// Hands an event that waits to the store.
    func schedule(_ batch: SealedBatch, _ publish: Publish, _ seal: Seal, _ session: Session) {
        guard let storage, let due = publish.due else { return }
        let topic = seal.topic
        if seal.storedAs != topic.storeNumber { keep(seal) }
        let event = StoredScheduled(
            number: storage.schedule.nextNumber, topic: topic.storeNumber, due: due, taken: now.wall,
            seal: seal.number, uid: seal.publisher.uid, id: (try? batch.explicitIDs)?.first ?? batch.header.firstID,
            retains: publish.retains, isTombstone: publish.isTombstone, bytes: batch.bytes.compacted())
        storage.schedule.nextNumber += 1
        storage.bytesUnderWay += UInt64(batch.bytes.count)
        topic.scheduled[event.uid, default: 0] += 1
        account(of: event.uid).scheduledCount += 1
        session.uncommittedCount += 1
        complete(
            store(.schedule(event)), .scheduled(session, PendingSchedule(publish: publish, topic: topic, event: event)))
        // It waited, and its publisher has closed the seal meanwhile.
        if session.seals[seal.number] !== seal { closeStored(seal) }
    }

    /// It is on disk: its publisher is told that it waits.
    func scheduled(_ pending: PendingSchedule, _ session: Session) {
        let (publish, event) = (pending.publish, pending.event)
        session.uncommittedCount -= 1
        storage?.bytesUnderWay -= UInt64(event.bytes.count)
        storage?.schedule.walk.note(due: event.due)
        if session.phase != .closing {
            if publish.wantsReceipt {
                session.receipts.append(
                    Receipt(
                        number: publish.number, firstSequence: 0, eventCount: 1, liveMatches: 0, isDurable: true,
                        isScheduled: true))
            }
            progress(session, isPatient: publish.isPatient)
        }
        finishLeaving(session)
    }

    /// It isn't: as if it had never come.
    func takeBack(_ pending: PendingSchedule) {
        storage?.bytesUnderWay -= UInt64(pending.event.bytes.count)
        release(pending.event.uid, pending.topic, pending.event.topic)
    }

    /// An event of a user waits no more.
    func release(_ uid: UInt32, _ topic: TopicState, _ storeNumber: UInt64) {
        // What a deleted topic had waiting was let go of with it.
        guard topic.storeNumber == storeNumber, let count = topic.scheduled[uid] else { return }
        topic.scheduled[uid] = count > 1 ? count - 1 : nil
        account(of: uid).scheduledCount -= 1
    }

    /// A topic is stored no more, and what waited for it goes with it.
    ///
    /// - Returns: how many events that was.
    @discardableResult
    func releaseScheduled(of topic: TopicState) -> Int {
        let all = topic.scheduled
        topic.scheduled = [:]
        for (uid, count) in all { account(of: uid).scheduledCount -= count }
        return all.values.reduce(0, +)
    }

    /// Takes up what waited when the daemon began.
    func recover(_ summary: ScheduledSummary, _ storage: Storage) {
        storage.schedule.walk = DueWalk(next: summary.next)
        storage.schedule.nextNumber = summary.lastNumber + 1
        for (number, uid, count) in summary.counts {
            guard let topic = storage.topics[number] else { continue }
            topic.scheduled[uid, default: 0] += count
            account(of: uid).scheduledCount += count
        }
    }

    // MARK: Taking back

    /// Events of all durable topics, and those that wait for them.
    var storedCount: UInt64 {
        let waiting = storage?.topics.values.reduce(0) { $0 + $1.scheduled.values.reduce(0, +) } ?? 0
        return (storage?.eventCount ?? 0) + UInt64(waiting)
    }

    /// The store found what waits under an id that is to be taken back.
    func cancel(_ found: [StoredScheduled], _ request: UInt32, _ session: Session) {
        let before = storage?.nextTicket
        do throws(AdministrationFault) {
            answer(request, session, try cancel(found, session), since: before)
        } catch {
            refuse(session, .administer, request: UInt64(request), error.reason, error.message)
        }
    }

    /// - Returns: how many events are taken back.
    private func cancel(_ found: [StoredScheduled], _ session: Session) throws(AdministrationFault) -> UInt64 {
        guard let storage else { return 0 }
        let waiting = found.filter {
            !storage.schedule.moving.contains($0.number) && !storage.schedule.leftMeanwhile.contains($0.number)
                && storage.schedule.cancelled[$0.number] == nil
                && storage.topics[$0.topic] != nil
        }
        guard !waiting.isEmpty else {
            throw AdministrationFault(.unknownName, "no event of this id waits to be published")
        }
        let uid = session.peer.uid
        let own = waiting.filter { $0.uid == uid || uid == 0 || uid == configuration.ownIdentity.uid }
        guard !own.isEmpty else {
            throw AdministrationFault(
                .denied, "only its publisher (uid \(waiting[0].uid)), root and the bus's own user take an event back")
        }
        for event in own {
            guard let topic = storage.topics[event.topic] else { continue }
            storage.schedule.cancelled[event.number] = false
            complete(store(.unschedule(event.number)), .unscheduled(event, topic))
        }
        return UInt64(own.count)
    }

    /// It waits no more, on disk.
    func unscheduled(_ event: StoredScheduled, _ topic: TopicState?) {
        if let topic { release(event.uid, topic, event.topic) }
        storage?.schedule.left(event.number)
        // What is read at this moment may still have it.
        storage?.schedule.cancelled[event.number] = storage?.schedule.walk.isReading == true ? true : nil
    }
}
