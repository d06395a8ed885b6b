// Durable topics: a batch is given its place, handed to the store, and is an event for everybody else only when it is
// on disk. Then it is fanned out and receipted, in the order of the positions.
//
// Everything that has to wait for the disk stands in one queue, by ticket. A session's other publishes keep behind its
// uncommitted ones: refusals and duplicates stand in the same queue, publishes to live topics are parked.

import BusWire
import DequeModule
import HeapModule

extension Broker {
    /// Hands a change to the store and says when it will be done.
    @discardableResult
    func store(_ write: StoreWrite) -> UInt64 {
        guard let storage else { preconditionFailure("nothing is durable without a store") }
        let ticket = storage.nextTicket
        storage.nextTicket += 1
        emit(.store(ticket: ticket, write))
        return ticket
    }

    func complete(_ ticket: UInt64, _ completion: Completion) {
        storage?.completions.append((ticket, completion))
    }

    /// Whether a publish has to wait for what its session has on the way to the disk, or for its ids to be looked up.
    func waitsForStore(_ publish: Publish, _ topic: TopicState, _ session: Session) -> Bool {
        guard topic.isDurable else { return session.uncommittedCount > 0 }
        guard publish.isAgain, !publish.isRequest, storage != nil else { return false }
        switch session.lookUps[publish.number] {
        case .answered: return false
        case .asked: return true
        case nil:
            // One at a time for each user: between a look-up and what follows from it no other may ask for the same ids.
            guard !session.account.isLookingUp, let batch = try? SealedBatch(publish.batch) else { return true }
            session.account.isLookingUp = true
            session.lookUps[publish.number] = .asked
            let ids = (try? batch.explicitIDs) ?? []
            let ticket = store(
                .lookUp(
                    uid: session.peer.uid, firstID: batch.header.firstID, count: batch.header.eventCount, ids: ids,
                    topic: topic.storeNumber, includesWaiting: topic.scheduled[session.peer.uid] != nil))
            complete(ticket, .lookedUp(session, publish: publish.number))
            return true
        }
    }

    /// What can be known of a publish on a durable topic before it is stored.
    func checkDurable(
        _ batch: SealedBatch, _ topic: TopicState, _ account: Account
    ) throws(PublishRefusal) {
        guard let storage else {
            throw PublishRefusal(.storeUnavailable, "topic \(topic.name) is durable, and this bus has no store")
        }
        let length = UInt64(batch.bytes.count)
        guard storage.bytesUsed + storage.bytesUnderWay + length < storage.bytesMax else {
            throw PublishRefusal(
                .storeFull,
                "the store is full: \(storage.bytesUsed) of \(storage.bytesMax) bytes; purge a topic, or raise max-bytes"
            )
        }
        if let fault = storedFault(account, length) { throw PublishRefusal(fault) }
        // The most that can be said of a sealed batch of any headers. The library, which sees payloads, is exact.
        let payloadMax = topic.settings.payloadLengthMax
        guard
            payloadMax == 0 || batch.bytes.count <= payloadMax + Limits.batchOverheadMax || batch.header.eventCount > 1
        else {
            throw PublishRefusal(.payloadTooLarge, "topic \(topic.name) takes payloads of at most \(payloadMax) bytes")
        }
    }

    /// What is wrong with a user's storing so many bytes more.
    func storedFault(_ account: Account, _ length: UInt64) -> QuotaFault? {
        let (used, limit) = (account.keptLength, configuration.quotas.storedLength)
        guard limit > 0, used + length > UInt64(limit) else { return nil }
        return QuotaFault(quota: "stored_bytes", used: Int(clamping: used), limit: limit, uid: account.uid)
    }

    /// A look-up is over, and what came of it is used: others of the user may ask.
    func lookedUp(_ session: Session) {
        session.account.isLookingUp = false
        if !parked.isEmpty { mayResume = true }
    }

    /// Nothing more comes of a publish's look-up, if it had one.
    func endLookUp(of publish: UInt64, _ session: Session) {
        if session.lookUps.removeValue(forKey: publish) != nil { lookedUp(session) }
    }

    /// Gives a publish its place and hands it to the store.
    func append(
        _ batch: SealedBatch, _ publish: Publish, _ seal: Seal, _ session: Session, retains: Bool,
        requests: RequestBatch? = nil
    ) {
        guard storage != nil else { return }
        let (ticket, accepted) = append(batch, under: seal, requests: requests)
        requests?.stored = (accepted.position, accepted.time)
        // It waited, and its publisher has closed the seal meanwhile.
        if session.seals[seal.number] !== seal { closeStored(seal) }
        session.uncommittedCount += 1
        let pending = PendingPublish(
            number: publish.number, wantsReceipt: publish.wantsReceipt, isPatient: publish.isPatient,
            retains: retains, isTombstone: publish.isTombstone, batch: accepted, storeNumber: seal.topic.storeNumber)
        complete(ticket, .published(session, pending))
        keepLastValue(of: pending)
    }

    /// Hands a will to the store. A full store takes none, as it takes nothing else, and nobody's beyond its quota.
    func append(_ will: SealedBatch, _ seal: Seal, retains: Bool, isTombstone: Bool) {
        guard let storage else { return }
        let length = UInt64(will.bytes.count)
        guard storage.bytesUsed + storage.bytesUnderWay + length < storage.bytesMax,
            storedFault(seal.account, length) == nil
        else { return }
        let (ticket, accepted) = append(will, under: seal)
        closeStored(seal)
        let pending = PendingPublish(
            number: 0, wantsReceipt: false, isPatient: false, retains: retains, isTombstone: isTombstone,
            batch: accepted, storeNumber: seal.topic.storeNumber)
        complete(ticket, .willed(pending))
        keepLastValue(of: pending)
    }

    /// In the batch's own commit, or a crash could leave a topic with a last value before its last. Where the store refuses
    /// the batch, it refuses this, too.
    func keepLastValue(of pending: PendingPublish) {
        guard pending.retains else { return }
        store(.retain(topic: pending.storeNumber, position: pending.isTombstone ? nil : pending.batch.position))
    }

    /// Gives a batch its place and hands it to the store.
    ///
    /// - Parameter scheduled: under which number it waited until now.
    func append(
        _ batch: SealedBatch, under seal: Seal, scheduled: UInt64? = nil, requests: RequestBatch? = nil
    ) -> (ticket: UInt64, AcceptedBatch) {
        let topic = seal.topic
        let position = storage?.nextPosition ?? 0
        let accepted = accepted(batch, seal, requests: requests).compacted
        accepted.position = position
        storage?.nextPosition += UInt64(accepted.eventCount)
        storage?.bytesUnderWay += UInt64(batch.bytes.count)
        seal.account.storingLength += UInt64(batch.bytes.count)
        if seal.storedAs != topic.storeNumber { keep(seal) }
        let stored = StoredBatch(
            position: position, topic: topic.storeNumber, firstSequence: accepted.firstSequence,
            eventCount: accepted.eventCount, time: accepted.time, expiry: accepted.expiry,
            seal: seal.number, uid: seal.publisher.uid, firstID: batch.header.firstID,
            ids: (try? batch.explicitIDs) ?? [], bytes: accepted.bytes)
        return (store(scheduled.map { .publishScheduled($0, stored) } ?? .append(stored)), accepted)
    }

    /// A seal's announcement goes to the store before its first batch.
    func keep(_ seal: Seal) {
        seal.storedAs = seal.topic.storeNumber
        store(
            .seal(
                StoredSeal(
                    number: seal.number, topic: seal.topic.storeNumber, epoch: seal.epoch, publisher: seal.publisher,
                    name: seal.publisherName, salt: seal.salt, keyCheck: seal.keyCheck)))
    }

    /// A seal is closed: the store forgets it with the last batch under it.
    func closeStored(_ seal: Seal) {
        guard seal.storedAs != 0, storage != nil else { return }
        seal.storedAs = 0
        store(.sealClosed(seal.number))
    }

    /// Has something happen behind what is on its way to the disk for this session; at once where nothing is.
    func inOrder(_ completion: Completion, _ session: Session) {
        guard let storage, session.uncommittedCount > 1, let last = storage.completions.last else {
            return complete(completion)
        }
        storage.completions.append((last.ticket, completion))
    }

    // MARK: On disk

    /// The store committed something.
    func committed(_ commit: StoreCommit) {
        guard storage != nil else { return }
        storage?.bytesUsed = commit.bytesUsed
        storage?.commits += 1
        if commit.duration > 0 { storage?.commitTimes.note(commit.duration) }
        for usage in commit.usage { holds(usage.uid, usage.bytes) }
        for answer in commit.known { noteKnown(answer.ids, ticket: answer.ticket) }
        for row in commit.setAside { wasSetAside(row) }
        takeBack(commit.refused)
        while let first = storage?.completions.first, first.ticket <= commit.through {
            storage?.completions.removeFirst()
            complete(first.completion)
        }
        // Of several words of a topic the last holds.
        var heard: Set<UInt64> = []
        for topic in commit.trimmed.reversed() where heard.insert(topic.number).inserted {
            trimmed(topic, through: commit.through)
        }
        if !parked.isEmpty { mayResume = true }
    }

    /// A user's batches hold so much in the store now.
    func holds(_ uid: UInt32, _ bytes: UInt64) {
        let account = account(of: uid)
        account.storedLength = bytes
        forget(account)
    }

    private func noteKnown(_ ids: [KnownIDs], ticket: UInt64) {
        for (at, completion) in storage?.completions ?? [] where at == ticket {
            if case .lookedUp(let session, let publish) = completion { session.lookUps[publish] = .answered(ids) }
        }
    }

    /// Appends that the store could not take become refusals in their place; the newest first, so that a topic's
    /// sequence goes back to what is stored where nothing behind it was.
    private func takeBack(_ refused: [(ticket: UInt64, reason: Reason, message: String)]) {
        guard !refused.isEmpty, var completions = storage?.completions else { return }
        let reasons = Dictionary(refused.map { ($0.ticket, $0) }) { first, _ in first }
        for index in completions.indices.reversed() {
            guard let refusal = reasons[completions[index].ticket] else { continue }
            switch completions[index].completion {
            case .published(let session, let pending):
                takeBack(pending)
                completions[index].completion = .refused(
                    session, publish: pending.number, refusal.reason, refusal.message)
            case .willed(let pending):
                takeBack(pending)
                completions[index].completion = .lost
            case .due(let pending, let event):
                takeBack(pending)
                completions[index].completion = refusal.reason == .storeFull ? .notDue(event) : .unpublishable(event)
            case .scheduled(let session, let pending):
                takeBack(pending)
                completions[index].completion = .refused(
                    session, publish: pending.publish.number, refusal.reason, refusal.message)
            default: continue
            }
        }
        storage?.completions = completions
    }

    /// A batch is on its way no more.
    private func stored(_ batch: AcceptedBatch) {
        storage?.bytesUnderWay -= UInt64(batch.bytes.count)
        batch.seal.account.storingLength -= UInt64(batch.bytes.count)
        forget(batch.seal.account)
    }

    private func takeBack(_ pending: PendingPublish) {
        let (topic, batch) = (pending.batch.seal.topic, pending.batch)
        if topic.lastSequence == batch.lastSequence { topic.lastSequence = batch.firstSequence - 1 }
        if let requests = batch.requests { takeBack(requests) }
        stored(batch)
    }

    func complete(_ completion: Completion) {
        switch completion {
        case .published(let session, let pending): publish(pending, session)
        case .willed(let pending): happen(pending) { _ in }
        case .lost: break
        case .scheduled(let session, let pending): scheduled(pending, session)
        case .due(let pending, let event): published(event, pending)
        case .notDue(let event): notPublished(event)
        case .unpublishable(let event): setAside(event)
        case .unscheduled(let event, let topic): unscheduled(event, topic)
        case .refused(let session, let number, let reason, let message):
            session.uncommittedCount -= 1
            refusePublish(number, session, reason, message)
            finishLeaving(session)
        case .duplicate(let session, let receipt):
            session.uncommittedCount -= 1
            if let receipt { session.receipts.append(receipt) }
            progress(session, isPatient: false)
            finishLeaving(session)
        case .lookedUp(let session, let publish):
            // A session that is gone asked for nothing.
            if session.phase == .closing { session.lookUps[publish] = nil }
        case .buried(let word): buried.append(word)
        case .administered(let session, let request, let count):
            answer(session, .administered(Administered(request: request, count: count)))
        }
    }

    /// A batch is on disk: it is kept as the last value where it is one, its publisher is told, and then everybody gets it.
    func happen(_ pending: PendingPublish, _ tell: (Route) -> Void) {
        let (batch, topic) = (pending.batch, pending.batch.seal.topic)
        stored(batch)
        storage?.committed = batch.end
        // Deleted meanwhile it is in no store any more, and nothing for durable subscriptions.
        let isKept = topic.storeNumber == pending.storeNumber
        if isKept { topic.stored.note(batch) }
        if pending.retains, isKept {
            retain(batch, isTombstone: pending.isTombstone, batch.seal.account, isStored: true)
        }
        let route = topic.route(through: filters)
        tell(route)
        fanOut(Portion(batch), to: isKept ? route.subscriptions : route.subscriptions.filter { !$0.isDurable })
    }

    private func publish(_ pending: PendingPublish, _ session: Session) {
        session.uncommittedCount -= 1
        happen(pending) { route in
            let responders = pending.batch.requests.map { handOut($0, route) } ?? 0
            guard session.phase != .closing else { return }
            if pending.wantsReceipt {
                let (batch, durable) = (pending.batch, route.subscriptions.count { $0.isDurable })
                session.receipts.append(
                    Receipt(
                        number: pending.number, firstSequence: batch.firstSequence, eventCount: batch.eventCount,
                        liveMatches: UInt32(route.subscriptions.count - durable), durableMatches: UInt32(durable),
                        isDurable: true, responders: responders))
            }
            progress(session, isPatient: pending.isPatient)
            tellLimits(pending.batch.seal, route.limits, session)
        }
        finishLeaving(session)
    }
}

extension SealedBatch {
    /// An event's id.
    func id(of index: Int) -> BusUUID {
        if let ids = try? explicitIDs, ids.indices.contains(index) { return ids[index] }
        return header.firstID.advanced(by: UInt64(index)) ?? .zero
    }

    /// The events' ids where they don't count up from the first.
    var explicitIDs: [BusUUID] {
        get throws(WireError) {
            // The columns are read only where the first, which is the ids', has a value for each event.
            guard header.columnsLength > 4,
                columns.withUnsafeBytes({ $0.loadUnaligned(as: UInt8.self) }) & 0b11 == 0b11
            else { return [] }
            guard case .each(let ids) = try BatchColumns(columns, eventCount: Int(header.eventCount)).id else {
                return []
            }
            return ids
        }
    }
}
