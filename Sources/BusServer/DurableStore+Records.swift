// Between the broker's records and the store's.

import BusBroker
import BusStore
import BusWire

extension DurableStore {
    /// A write of the broker's as one of the store's; one becomes one, so that both count tickets alike.
    func translate(_ write: BusBroker.StoreWrite) -> BusStore.StoreWrite {
        switch write {
        case .append(let batch): .append(BusStore.StoredBatch(batch), ids: batch.ids)
        case .schedule(let event): .schedule(BusStore.StoredScheduled(event))
        case .unschedule(let number): .unschedule(number)
        case .setAsideScheduled(let number): .setAsideScheduled(number)
        case .publishScheduled(let number, let batch):
            .publishScheduled(number, BusStore.StoredBatch(batch), ids: batch.ids)
        case .seal(let seal): .seal(BusStore.StoredSeal(seal))
        case .sealClosed(let number): .sealClosed(number)
        case .topic(let number, let name):
            .topic(BusStore.StoredTopic(id: TopicID(rawValue: number), name: name.bytes, incarnation: number))
        case .removeTopic(let number): .topicDeleted(TopicID(rawValue: number))
        case .trim(let topic, let position):
            .trim(TopicID(rawValue: topic), before: position, receiptsSince: broker.idsSince)
        case .retain(let topic, let position): .retain(TopicID(rawValue: topic), position)
        case .declare(let filter, let settings):
            .declaration(StoredDeclaration(filter: filter.bytes, options: DeclarationOptions.encode(settings)))
        case .undeclare(let filter): .declarationRemoved(filter.bytes)
        case .subscription(let subscription): .subscription(BusStore.StoredSubscription(subscription))
        case .cursor(let number, let cursor): .cursor(subscription: number, BusStore.StoredCursor(cursor))
        case .removeSubscription(let number): .subscriptionRemoved(number)
        case .deadLetter(let letter): .deadLetter(BusStore.StoredDeadLetter(letter))
        case .removeDeadLetter(let number, let events): .deadLetterRemoved(number, events: events)
        case .ledger(let line): .ledger(LedgerEntry(line))
        case .trimLedger(let position): .ledgerTrim(before: position)
        case .lookUp(let uid, let first, let count, let ids, let topic, let includesWaiting):
            .known(
                StoredPublisher(uid: uid),
                ids.isEmpty ? [EventIDs(first: first, count: count)] : ids.map { EventIDs(first: $0, count: 1) },
                on: TopicID(rawValue: topic), includesWaiting: includesWaiting)
        case .trimIDs(let time): .receiptsTrim(before: time)
        }
    }
}

extension BusStore.StoredBatch {
    init(_ batch: BusBroker.StoredBatch) {
        self.init(
            position: batch.position, topic: TopicID(rawValue: batch.topic), firstSequence: batch.firstSequence,
            count: batch.eventCount, accepted: batch.time, expiry: batch.expiry, seal: batch.seal,
            publisher: StoredPublisher(uid: batch.uid), firstID: batch.firstID, body: batch.bytes)
    }
}

extension BusBroker.StoredBatch {
    init(_ batch: BusStore.StoredBatch) {
        self.init(
            position: batch.position, topic: batch.topic.rawValue, firstSequence: batch.firstSequence,
            eventCount: batch.count, time: batch.accepted, expiry: batch.expiry, seal: batch.seal,
            uid: batch.publisher.uid, firstID: batch.firstID, bytes: batch.body)
    }
}

extension BusStore.StoredSeal {
    init(_ seal: BusBroker.StoredSeal) {
        self.init(
            number: seal.number, topic: TopicID(rawValue: seal.topic), epoch: seal.epoch, uid: seal.publisher.uid,
            gid: seal.publisher.gid, salt: seal.salt, keyCheck: seal.keyCheck, publisher: seal.name)
    }
}

extension BusBroker.StoredSeal {
    init(_ seal: BusStore.StoredSeal) {
        self.init(
            number: seal.number, topic: seal.topic.rawValue, epoch: seal.epoch,
            publisher: PeerIdentity(uid: seal.uid, gid: seal.gid), name: seal.publisher, salt: seal.salt,
            keyCheck: seal.keyCheck)
    }
}

extension BusStore.StoredCursor {
    init(_ cursor: BusBroker.StoredCursor) {
        self.init(
            next: cursor.next,
            pending: cursor.pending.flatMap { range in
                // The store counts in 32 bits: a longer range is several.
                stride(from: 0, to: range.count, by: Int(UInt32.max)).map {
                    BusStore.PendingRange(
                        first: range.first + $0, count: UInt32(clamping: range.count - $0), attempts: range.attempts)
                }
            })
    }
}

extension BusBroker.StoredCursor {
    init(_ cursor: BusStore.StoredCursor) {
        self.init(
            next: cursor.next,
            pending: cursor.pending.map {
                BusBroker.PendingRange(first: $0.first, count: UInt64($0.count), attempts: $0.attempts)
            })
    }
}

extension BusStore.StoredSubscription {
    init(_ subscription: BusBroker.StoredSubscription) {
        let options = SubscriptionOptions(
            filter: subscription.filter.bytes, mode: subscription.mode.rawValue, settings: subscription.settings,
            uid: subscription.uid, created: subscription.created, attended: subscription.attended)
        self.init(
            id: subscription.number, name: subscription.name.bytes, options: options.encoded,
            cursor: BusStore.StoredCursor(subscription.cursor))
    }
}

extension BusBroker.StoredSubscription {
    /// Nil where its options aren't ones this program can read.
    init?(_ subscription: BusStore.StoredSubscription) {
        guard let options = SubscriptionOptions(subscription.options),
            let name = try? GroupName(bytes: subscription.name), let filter = try? TopicFilter(bytes: options.filter)
        else { return nil }
        self.init(
            number: subscription.id, name: name, filter: filter, mode: SubscribeMode(rawValue: options.mode),
            settings: options.settings, uid: options.uid, created: options.created, attended: options.attended,
            cursor: BusBroker.StoredCursor(subscription.cursor))
    }
}

extension BusStore.StoredDeadLetter {
    init(_ letter: BusBroker.StoredDeadLetter) {
        self.init(
            id: letter.number, subscription: letter.subscription, position: letter.position,
            selection: letter.selection, reason: letter.reason.rawValue, reasonText: letter.message,
            attempts: letter.attempts, firstAttempt: letter.accepted, lastAttempt: letter.died, died: letter.died)
    }
}

extension BusBroker.StoredDeadLetter {
    init(_ letter: BusStore.StoredDeadLetter) {
        self.init(
            number: letter.id, subscription: letter.subscription, position: letter.position,
            selection: letter.selection, reason: Reason(rawValue: letter.reason), message: letter.reasonText,
            attempts: letter.attempts, died: letter.died, accepted: letter.firstAttempt)
    }
}

extension LedgerEntry {
    init(_ line: LedgerLine) {
        self.init(
            subscription: line.subscription, first: line.first, count: line.count, outcome: line.outcome.rawValue,
            session: line.session, attempt: line.attempt, sent: line.sent, time: line.time,
            reason: line.reason?.rawValue ?? 0, answer: line.answer)
    }
}

extension StoreCommit {
    init(_ commit: Committed) {
        self.init(
            through: commit.through,
            refused: commit.refused.map { ($0.ticket, $0.reason.reason, $0.reason.message) },
            known: commit.known.map { ($0.ticket, $0.ids.map(BusBroker.KnownIDs.init)) },
            trimmed: commit.removedFrom.compactMap { BusBroker.StoredTopic($0) },
            usage: commit.usage.map { ($0.uid, $0.byteCount) },
            setAside: commit.setAside.map(BusBroker.SetAsideScheduled.init), duration: commit.duration,
            bytesUsed: commit.bytesUsed)
    }
}

extension BusBroker.KnownIDs {
    init(_ known: BusStore.KnownIDs) {
        self.init(
            first: known.ids.first, count: known.ids.count, topic: known.topic.rawValue,
            firstSequence: known.firstSequence, accepted: known.accepted)
    }
}

extension BusBroker.StoredTopic {
    /// Nil for a topic that is deleted.
    init?(_ topic: BusStore.StoredTopic) {
        guard !topic.isDeleted, let name = try? Topic(bytes: topic.name) else { return nil }
        self.init(
            number: topic.id.rawValue, name: name, lastSequence: topic.lastSequence, lastTime: topic.lastTime,
            firstSequence: topic.firstSequence, firstPosition: topic.floor,
            firstTime: topic.eventCount == 0 ? .max : .min, eventCount: topic.eventCount, byteCount: topic.byteCount)
    }
}

extension StoreRefusal {
    /// The protocol's name for it.
    var reason: Reason {
        switch self {
        case .storeFull, .diskFull: .storeFull
        case .unknownTopic, .outOfOrder: .storeUnavailable
        }
    }

    var message: String {
        switch self {
        case .storeFull: "the store is full: purge a topic, or raise max-bytes"
        case .diskFull: "the store's file system is full: make room, or purge a topic"
        case .unknownTopic: "the topic was deleted meanwhile"
        case .outOfOrder: "the store holds something behind this already; this is a mistake in the daemon"
        }
    }
}

extension StoreDamage {
    /// What is damaged, for people.
    var description: String {
        switch self {
        case .behindHead(let commit, let head, let lost, let copies):
            "commits \(commit + 1) to \(head) are gone, up to \(lost.count) events with them; copies as found: \(copies)"
        case .headUnreadable: "the head file can't be read: whether commits are gone can't be told this time"
        case .batch(let position, let topic, let count):
            "batch at \(position) of topic \(topic?.rawValue ?? 0) (\(count.map(String.init) ?? "?") events) put aside"
        case .batchMissing(let position, let topic): "batch at \(position) of topic \(topic.rawValue) isn't there"
        case .unreadable(let positions): "positions \(positions.lowerBound) to \(positions.upperBound) can't be read"
        case .row("batches_by_topic", let key):
            "the index of topics lacks what is at \(key), or can't be read there: the table is read instead"
        case .row(let table, let key): "row \(key) of \(table) put aside"
        case .unremovable(let topic):
            "what is removed of topic \(topic?.rawValue ?? 0) stays on disk until the next start: a page can't be read"
        case .rowsMissing(let table, let found, let written): "\(table) has \(found) rows, \(written) were written"
        }
    }
}

extension ServerError {
    /// Why the store can't be opened. SQLite names a statement, and not what it is about.
    static func store(_ error: StoreError) -> ServerError {
        if case .sqlite = error {
            .state("the store can't be read: \(error.description)")
        } else {
            .state(error.description)
        }
    }
}
