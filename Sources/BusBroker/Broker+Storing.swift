// Durable topics: a batch is given its place, handed to the store, and is an event for everybody else only when it is
// on disk. Then it is fanned out and receipted, in the order of the positions.
//
// Everything that has to wait for the disk stands in one queue, by ticket. A session's other publishes keep behind its
// uncommitted ones: refusals and duplicates stand in the same queue, publishes to live topics are parked.

import BusWire
import DequeModule
import HeapModule

/// The store as the broker knows it.
final class Storage {
    let incarnation: BusUUID
    /// The next position to be given.
    var nextPosition: UInt64
    /// Everything before is on disk, and was fanned out.
    var committed: UInt64
    var nextTicket: UInt64 = 1
    var nextTopic: UInt64 = 1
    var nextSubscription: UInt64 = 1
    var nextDeadLetter: UInt64 = 1
    var nextRead: UInt64 = 1
    /// What waits for the disk, in order.
    var completions: Deque<(ticket: UInt64, completion: Completion)> = []
    /// Bytes the store uses, and those on their way to it.
    var bytesUsed: UInt64 = 0
    var bytesUnderWay: UInt64 = 0
    /// Bytes it may use.
    var bytesMax: UInt64
    /// What topics are by command.
    var declared: [TopicDeclaration] = []
    /// Durable topics by their number in the store.
    var topics: [UInt64: TopicState] = [:]
    /// Reads under way, by number.
    var reads: [UInt64: CatchUp.Reader] = [:]
    /// Durable subscriptions by name, and by number.
    var subscriptions: [GroupName: Subscription] = [:]
    var numbers: [UInt64: Subscription] = [:]
    /// Subscriptions whose place is to be saved, and when.
    var dirty: [Subscription] = []
    /// When deliveries are to be looked at.
    var timers = Heap<DurableTimer>()
    /// Those for whom the store looks where to begin, by the number of the question.
    var seeks: [UInt64: CatchUp.Reader] = [:]
    var saveDeadline: Moment.Nanoseconds?
    /// Lines for the ledger that leave with the next save.
    var ledger: [LedgerLine] = []
    /// When what is too old is looked for next.
    var sweepDeadline: Moment.Nanoseconds = 0
    /// What an administrator should know of the store; empty when all is well.
    var warning = ""
    /// When something was removed last, whose ids the store may remember; nil when all of them are forgotten.
    var removedAt: Int64?
    /// When ids are forgotten next.
    var forgetDeadline: Moment.Nanoseconds = 0
    /// Commits, for showing.
    var commits: UInt64 = 0

    /// Events of all durable topics.
    var eventCount: UInt64 { topics.values.reduce(0) { $0 + $1.stored.eventCount } }

    init(_ state: StoredState) {
        incarnation = state.incarnation
        nextPosition = state.nextPosition
        committed = state.nextPosition
        bytesUsed = state.bytesUsed
        bytesMax = state.bytesMax
        nextDeadLetter = state.lastDeadLetter + 1
    }
}

/// What happens when something is on disk.
enum Completion {
    /// A batch is an event now; of no session where it was a last will.
    case published(Session?, PendingPublish)
    /// A last will found no room.
    case lost
    /// A publish was refused behind others that weren't on disk yet.
    case refused(Session, publish: UInt64, Reason, String)
    /// A publish was known already.
    case duplicate(Session, Receipt)
    /// Ids were looked up.
    case lookedUp(Session, publish: UInt64)
    /// An administrator's wish is done.
    case administered(Session, request: UInt32, count: UInt64)
}

/// A batch on its way to the disk.
struct PendingPublish {
    let number: UInt64
    let wantsReceipt: Bool
    let isPatient: Bool
    let retains: Bool
    let isTombstone: Bool
    let batch: AcceptedBatch
}

/// How far the look-up of a publish's ids is.
enum LookUp {
    case asked
    case answered([KnownIDs])
}

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
        guard publish.isAgain, storage != nil else { return false }
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
                    uid: session.peer.uid, firstID: batch.header.firstID, count: batch.header.eventCount, ids: ids))
            complete(ticket, .lookedUp(session, publish: publish.number))
            return true
        }
    }

    /// What can be known of a publish on a durable topic before it is stored.
    func checkDurable(_ batch: SealedBatch, _ publish: Publish, _ topic: TopicState) throws(PublishRefusal) {
        guard !publish.isRequest else {
            throw PublishRefusal(.notSupported, "topic \(topic.name) is durable: requests are made on live ones")
        }
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
        let payloadMax = topic.settings.payloadLengthMax
        guard
            payloadMax == 0 || batch.bytes.count <= payloadMax + Limits.batchOverheadMax || batch.header.eventCount > 1
        else {
            throw PublishRefusal(.payloadTooLarge, "topic \(topic.name) takes payloads of at most \(payloadMax) bytes")
        }
    }

    /// What was found out about a publish's ids: nil when none of them is known.
    func duplicate(
        of batch: SealedBatch, _ publish: Publish, _ topic: TopicState, _ session: Session
    ) throws(PublishRefusal) -> Receipt? {
        guard publish.isAgain, case .answered(let all)? = session.lookUps.removeValue(forKey: publish.number) else {
            return nil
        }
        session.account.isLookingUp = false
        if !session.parked.isEmpty { mayResume = true }
        // A clock that was set a day ahead makes nobody's resends new.
        clock.advance(to: now)
        let oldest = clock.now - topic.settings.duplicateWindow
        let known = all.filter { $0.topic == topic.storeNumber && $0.accepted >= oldest }
        guard let first = known.first else { return nil }
        let count = known.reduce(0) { $0 + $1.count }
        guard count >= batch.header.eventCount else {
            let shown = known.prefix(8).map { "\($0.first)+\($0.count)" }.joined(separator: " ")
            throw PublishRefusal(.partlyKnown, "\(count) of \(batch.header.eventCount) events are known: \(shown)")
        }
        return Receipt(
            number: publish.number, firstSequence: first.firstSequence, eventCount: batch.header.eventCount,
            liveMatches: 0, isDurable: true, isDuplicate: true)
    }

    /// Gives a publish its place and hands it to the store.
    func append(
        _ batch: SealedBatch, _ publish: Publish, _ seal: Seal, _ session: Session, retains: Bool
    ) {
        session.uncommittedCount += 1
        append(batch, seal, session) {
            PendingPublish(
                number: publish.number, wantsReceipt: publish.wantsReceipt, isPatient: publish.isPatient,
                retains: retains, isTombstone: publish.isTombstone, batch: $0)
        }
    }

    /// Gives a last will its place and hands it to the store.
    func append(_ will: KeptWill, retains: Bool) {
        append(will.batch, will.seal, nil) {
            PendingPublish(
                number: 0, wantsReceipt: false, isPatient: true, retains: retains, isTombstone: will.isTombstone,
                batch: $0)
        }
    }

    private func append(
        _ batch: SealedBatch, _ seal: Seal, _ session: Session?, _ pending: (AcceptedBatch) -> PendingPublish
    ) {
        guard let position = storage?.nextPosition else { return }
        let topic = seal.topic
        let accepted = accepted(batch, seal).compacted
        accepted.position = position
        storage?.nextPosition += UInt64(accepted.eventCount)
        storage?.bytesUnderWay += UInt64(batch.bytes.count)
        if !seal.isStored { keep(seal) }
        let ticket = store(
            .append(
                StoredBatch(
                    position: position, topic: topic.storeNumber, firstSequence: accepted.firstSequence,
                    eventCount: accepted.eventCount, time: accepted.time, expiry: accepted.expiry,
                    seal: seal.number, uid: seal.publisher.uid, firstID: batch.header.firstID,
                    ids: (try? batch.explicitIDs) ?? [], bytes: accepted.bytes)))
        let pending = pending(accepted)
        complete(ticket, .published(session, pending))
        // In the same commit, or a crash could leave a topic with a last value before its last.
        if pending.retains {
            store(.retain(topic: topic.storeNumber, position: pending.isTombstone ? nil : position))
        }
    }

    /// A seal's announcement goes to the store before its first batch.
    private func keep(_ seal: Seal) {
        seal.isStored = true
        store(
            .seal(
                StoredSeal(
                    number: seal.number, topic: seal.topic.storeNumber, epoch: seal.epoch, publisher: seal.publisher,
                    name: seal.publisherName, salt: seal.salt, keyCheck: seal.keyCheck)))
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
        for answer in commit.known { noteKnown(answer.ids, ticket: answer.ticket) }
        takeBack(commit.refused)
        while let first = storage?.completions.first, first.ticket <= commit.through {
            storage?.completions.removeFirst()
            complete(first.completion)
        }
        for topic in commit.trimmed { trimmed(topic) }
        if !parked.isEmpty { mayResume = true }
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
            guard let refusal = reasons[completions[index].ticket],
                case .published(let session, let pending) = completions[index].completion
            else { continue }
            let (topic, batch) = (pending.batch.seal.topic, pending.batch)
            if topic.lastSequence == batch.lastSequence { topic.lastSequence = batch.firstSequence - 1 }
            storage?.bytesUnderWay -= UInt64(batch.bytes.count)
            if pending.retains {
                store(.retain(topic: topic.storeNumber, position: topic.retained?.portion.batch.position))
            }
            completions[index].completion =
                session.map { .refused($0, publish: pending.number, refusal.reason, refusal.message) } ?? .lost
        }
        // What came behind them meanwhile stays where it is.
        for index in completions.indices { storage?.completions[index].completion = completions[index].completion }
    }

    func complete(_ completion: Completion) {
        switch completion {
        case .published(let session, let pending): publish(pending, session)
        case .lost: break
        case .refused(let session, let number, let reason, let message):
            session.uncommittedCount -= 1
            refusePublish(number, session, reason, message)
            finishLeaving(session)
        case .duplicate(let session, let receipt):
            session.uncommittedCount -= 1
            session.receipts.append(receipt)
            progress(session, isPatient: false)
            finishLeaving(session)
        case .lookedUp(let session, let publish):
            // A session that is gone asked for nothing.
            if session.phase == .closing { session.lookUps[publish] = nil }
        case .administered(let session, let request, let count):
            answer(session, .administered(Administered(request: request, count: count)))
        }
    }

    /// A batch is on disk: now it is an event.
    private func publish(_ pending: PendingPublish, _ session: Session?) {
        let (batch, topic) = (pending.batch, pending.batch.seal.topic)
        storage?.bytesUnderWay -= UInt64(batch.bytes.count)
        storage?.committed = batch.end
        if topic.isDurable { topic.stored.note(batch) }
        session?.uncommittedCount -= 1
        if pending.retains {
            retain(batch, isTombstone: pending.isTombstone, batch.seal.account, isStored: true)
        }
        let route = topic.route(through: filters)
        if let session, session.phase != .closing {
            if pending.wantsReceipt {
                let durable = route.subscriptions.count { $0.isDurable }
                session.receipts.append(
                    Receipt(
                        number: pending.number, firstSequence: batch.firstSequence, eventCount: batch.eventCount,
                        liveMatches: UInt32(route.subscriptions.count - durable), durableMatches: UInt32(durable),
                        isDurable: true))
            }
            progress(session, isPatient: pending.isPatient)
            tellLimits(batch.seal, route.limits, session)
        }
        fanOut(Portion(batch), to: route.subscriptions)
        if let session { finishLeaving(session) }
    }
}

extension SealedBatch {
    /// The events' ids where they don't count up from the first.
    var explicitIDs: [BusUUID] {
        get throws(WireError) {
            guard header.columnsLength > 4 else { return [] }
            guard case .each(let ids) = try BatchColumns(columns, eventCount: Int(header.eventCount)).id else {
                return []
            }
            return ids
        }
    }
}
