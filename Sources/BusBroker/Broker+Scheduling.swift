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
        let (count, limit) = (session.account.scheduled.count, configuration.quotas.scheduled)
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
        put(event.waiting, event.uid, topic)
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
        release(pending.event.waiting, pending.event.uid, pending.topic, pending.event.topic)
    }

    // MARK: Counting

    /// So much more of a user waits.
    private func put(_ waiting: Waiting, _ uid: UInt32, _ topic: TopicState) {
        topic.scheduled[uid] = (topic.scheduled[uid] ?? Waiting()) + waiting
        let account = account(of: uid)
        account.scheduled = account.scheduled + waiting
    }

    /// So much of a user waits no more. What damage left over goes with the last event.
    func release(_ waiting: Waiting, _ uid: UInt32, _ topic: TopicState, _ storeNumber: UInt64) {
        // What a deleted topic had waiting was let go of with it.
        guard topic.storeNumber == storeNumber, let before = topic.scheduled[uid] else { return }
        let after = before - waiting
        topic.scheduled[uid] = after.count > 0 ? after : nil
        let account = account(of: uid)
        account.scheduled = account.scheduled - (after.count > 0 ? before - after : before)
        forget(account)
    }

    /// An event that is being published counts as a batch on its way, and its bytes for nothing else; where it wasn't
    /// published they are what waits, again.
    func handOver(_ event: StoredScheduled, _ topic: TopicState, isBack: Bool = false) {
        guard topic.storeNumber == event.topic, topic.scheduled[event.uid] != nil else { return }
        let bytes = Waiting(length: event.waiting.length)
        if isBack { put(bytes, event.uid, topic) } else { release(bytes, event.uid, topic, event.topic) }
    }

    /// A topic is stored no more, and what waited for it goes with it.
    ///
    /// - Returns: how many events that was.
    @discardableResult
    func releaseScheduled(of topic: TopicState) -> Int {
        let all = topic.scheduled
        topic.scheduled = [:]
        for (uid, waiting) in all {
            let account = account(of: uid)
            account.scheduled = account.scheduled - waiting
            forget(account)
        }
        return all.values.reduce(0) { $0 + $1.count }
    }

    /// Takes up what waited when the daemon began.
    func recover(_ summary: ScheduledSummary, _ storage: Storage) {
        storage.schedule.walk = DueWalk(next: summary.next)
        storage.schedule.nextNumber = summary.lastNumber + 1
        for (number, uid, count, length) in summary.counts {
            guard let topic = storage.topics[number] else { continue }
            put(Waiting(count: count, length: length), uid, topic)
        }
    }

    // MARK: Taking back

    /// Whose events a session may take back: its own user's; nil for everybody's.
    public func cancelsOnly(of session: SessionID) -> UInt32? {
        guard let uid = sessions[session]?.peer.uid, uid != 0, uid != configuration.ownIdentity.uid else { return nil }
        return uid
    }

    /// Events of all durable topics, and those that wait for them.
    var storedCount: UInt64 {
        let waiting = storage?.topics.values.reduce(0) { $0 + $1.scheduled.values.reduce(0) { $0 + $1.count } } ?? 0
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
        let only = cancelsOnly(of: session.id)
        let own = waiting.filter { only == nil || $0.uid == only }
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
        if let topic { release(event.waiting, event.uid, topic, event.topic) }
        storage?.schedule.left(event.number)
        // What is read at this moment may still have it.
        storage?.schedule.cancelled[event.number] = storage?.schedule.walk.isReading == true ? true : nil
    }
}

extension StoredScheduled {
    /// What it counts for while it waits.
    var waiting: Waiting { Waiting(count: 1, length: UInt64(bytes.count)) }
}
