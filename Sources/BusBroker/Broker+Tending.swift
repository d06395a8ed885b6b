// Looking after what is stored, once a second: what topics keep no longer, subscriptions that nobody attends, dead letters,
// the ledger, ids. What is removed before a subscription had it, is told to it.

public import BusWire
import DequeModule

extension Broker {
    /// How often what is too old is looked for. Not tuned.
    private static let sweepPause: Moment.Nanoseconds = 1_000_000_000
    /// How often dead letters, ledger and ids are looked after. Not tuned.
    private static let carePause: Moment.Nanoseconds = 60_000_000_000
    /// How often it is saved that somebody attends a subscription, and how long after a start nobody is taken for gone; in
    /// microseconds. Not tuned.
    private static let attendedPause: Int64 = 3_600_000_000

    func scheduleSweep() { storage?.sweepDeadline = now.monotonic + Broker.sweepPause }

    /// Removes what retention says, and subscriptions that nobody has attended for longer than they wanted.
    func sweep() {
        guard let storage, storage.sweepDeadline <= now.monotonic else { return }
        scheduleSweep()
        let time = ageTime
        var floors = SubscriptionFloors(committed: storage.committed)
        // In an order of their own, and not a table's.
        let old = storage.topics.values.filter { keepsTooMuch($0, time) }
        for topic in old.sorted(by: { $0.storeNumber < $1.storeNumber }) { retain(topic, time, &floors) }
        let due = storage.numbers.filter { needsCare($0.value, time) }
        for (_, subscription) in due.sorted(by: { $0.key < $1.key }) { tend(subscription, time, storage) }
        guard storage.careDeadline <= now.monotonic else { return }
        storage.careDeadline = now.monotonic + Broker.carePause
        trimRecords(storage)
        // Those of deleted subscriptions, too: whether there are any is only known where they lie.
        if storage.nextDeadLetter > 1 { emit(.tend(.deadLetters)) }
    }

    // MARK: Subscriptions

    /// Whether there is anything to be done about a subscription: nearly never, and there may be very many.
    private func needsCare(_ subscription: Subscription, _ time: Int64) -> Bool {
        guard let durable = subscription.durable else { return false }
        let (alone, most) = (time - durable.attended, durable.values.unattendedMax)
        guard subscription.consumers.isEmpty else { return alone >= Broker.attendedPause || durable.isReported }
        return alone >= configuration.unattendedTime && !durable.isReported || most > 0 && alone >= most
    }

    private func tend(_ subscription: Subscription, _ time: Int64, _ storage: Storage) {
        guard let durable = subscription.durable else { return }
        guard subscription.consumers.isEmpty else {
            durable.isReported = false
            guard time - durable.attended >= Broker.attendedPause else { return }
            durable.attended = time
            store(.subscription(subscription.stored(committed: storage.committed)))
            return
        }
        let alone = time - durable.attended
        if alone >= configuration.unattendedTime, !durable.isReported {
            durable.isReported = true
            emit(.tend(.unattended(durable.name, since: durable.attended)))
        }
        let most = durable.values.unattendedMax
        guard most > 0, alone >= most else { return }
        // Who was there when the daemon went has time to come back.
        let grace = Moment.Nanoseconds(min(most, Broker.attendedPause)) * 1000
        guard now.monotonic - storage.began >= grace else { return }
        remove(subscription, reason: .purged)
    }

    // MARK: Topics

    private func keepsTooMuch(_ topic: TopicState, _ time: Int64) -> Bool {
        let (settings, stored) = (topic.settings, topic.stored)
        guard stored.eventCount > 0, !stored.isTrimming else { return false }
        return settings.retentionAge > 0 && stored.firstTime < time - settings.retentionAge
            || settings.retentionLength > 0 && stored.byteCount > settings.retentionLength
            || settings.retentionCount > 0 && stored.eventCount > settings.retentionCount
    }

    /// What a topic keeps no longer: its age, its bytes and its count, up to what somebody still has to get.
    private func retain(_ topic: TopicState, _ time: Int64, _ floors: inout SubscriptionFloors) {
        let (settings, stored) = (topic.settings, topic.stored)
        let floor =
            settings.retentionIsHard
            ? floors.committed : floors.floor(of: topic.route(through: filters).subscriptions)
        guard floor > stored.firstPosition else { return }
        stored.isTrimming = true
        emit(
            .retain(
                RetentionOrder(
                    topic: topic.storeNumber,
                    olderThan: settings.retentionAge == 0 ? .min : time - settings.retentionAge,
                    lengthMax: settings.retentionLength, eventCountMax: settings.retentionCount, before: floor)))
    }

    /// The store found what a topic keeps no longer.
    func retained(_ number: UInt64, before position: UInt64, firstTime: Int64) {
        guard let storage, let topic = storage.topics[number] else { return }
        guard position > topic.stored.firstPosition else {
            topic.stored.firstTime = firstTime
            topic.stored.isTrimming = false
            return
        }
        // Somebody may have begun further back since it was asked: then it is looked at anew.
        var floors = SubscriptionFloors(committed: storage.committed)
        guard
            topic.settings.retentionIsHard
                || floors.floor(of: topic.route(through: filters).subscriptions) >= position
        else {
            topic.stored.isTrimming = false
            return
        }
        trim(topic, before: position, .retention)
    }

    /// Has a topic's events before a position removed, and remembers who hasn't had them.
    func trim(_ topic: TopicState, before position: UInt64, _ reason: Reason) {
        let stored = topic.stored
        var losers: [(subscription: Subscription, hasNone: Bool)] = []
        for subscription in topic.route(through: filters).subscriptions {
            guard let durable = subscription.durable else { continue }
            // Who begins again after a crash mustn't take for lost what it had.
            if durable.savedNext < position { touch(subscription) }
            // What it was handed, or has in memory, is missed when it is read again and isn't there.
            guard !durable.catchUp.isLive, durable.catchUp.next < position else { continue }
            // What is on its way to the disk nobody had.
            let hasNone = stored.eventCount == 0 || durable.catchUp.next <= stored.firstPosition
            losers.append((subscription, hasNone))
            durable.catchUp.dropPage()
            if durable.catchUp.next == 0 {
                durable.catchUp.leaveBeginning()
                touch(subscription)
            }
        }
        save()
        stored.removalReason = reason
        let ticket = store(.trim(topic: topic.storeNumber, before: position))
        guard position > stored.firstPosition else { return }
        storage?.trimming.insert(topic.storeNumber)
        if let last = stored.removals.indices.last, stored.removals[last].position >= position {
            // It is wished for once more, and somebody left meanwhile.
            let known = Set(stored.removals[last].losers.map(\.subscription.serial))
            stored.removals[last].losers += losers.filter { !known.contains($0.subscription.serial) }
        } else {
            stored.removals.append(
                StoredCounts.Removal(reason: reason, ticket: ticket, position: position, losers: losers))
        }
    }

    /// The store removed something of a topic; what it was asked to up to a ticket is removed now.
    func trimmed(_ now: StoredTopic, through ticket: UInt64) {
        guard let topic = storage?.topics[now.number] else { return }
        let stored = topic.stored
        let before = stored.firstSequence
        let done = stored.removals.prefix { $0.ticket <= ticket }
        stored.removals.removeFirst(done.count)
        stored.update(now)
        if now.firstSequence > before { tell(Array(done), of: topic, since: before) }
        // They read on now, told or not.
        for (subscription, _) in done.flatMap(\.losers) { unsettle(subscription) }
        let subscriptions = topic.route(through: filters).subscriptions
        for subscription in subscriptions where subscription.hasQueued { touch(subscription) }
    }

    /// Those who hadn't got what was removed miss it; who hadn't got what several wishes removed, once.
    private func tell(_ removals: [StoredCounts.Removal], of topic: TopicState, since before: UInt64) {
        let end = topic.stored.firstSequence
        var told: Set<UInt64> = []
        for removal in removals {
            for (subscription, _) in removal.losers where !subscription.isEnded {
                guard told.insert(subscription.serial).inserted else { continue }
                let hadNone = removals.allSatisfy { removal in
                    removal.losers.contains { $0.subscription === subscription && $0.hasNone }
                }
                let missed = Missed(
                    count: end - before, firstSequence: before, lastSequence: end - 1, isExact: hadNone)
                subscription.durable?.missed.note(missed, of: topic.name, removal.reason)
                unsettle(subscription)
            }
        }
    }

    /// A subscription that was at the end isn't any more: what is being removed, and it hasn't got, it won't find when it
    /// reads on.
    func fellBehind(_ subscription: Subscription) {
        guard let storage, let next = subscription.durable?.catchUp.next else { return }
        storage.trimming = storage.trimming.filter { storage.topics[$0]?.stored.removals.isEmpty == false }
        for number in storage.trimming {
            guard let topic = storage.topics[number], subscription.filter.matches(topic.name) else { continue }
            for place in topic.stored.removals.indices where next < topic.stored.removals[place].position {
                let (reason, losers) = (topic.stored.removals[place].reason, topic.stored.removals[place].losers)
                // Without a hard limit retention removes what everybody has had: who went back behind it since then
                // misses nothing that was there.
                guard reason == .purged || topic.settings.retentionIsHard else { continue }
                guard !losers.contains(where: { $0.subscription === subscription }) else { continue }
                topic.stored.removals[place].losers.append((subscription, false))
            }
        }
    }

    // MARK: What is gone

    /// A topic goes with all that is stored of it. Who stands at the end of what is stored has the rest of it in memory.
    func missAll(of topic: TopicState) {
        // What waited for word of a removal reads on.
        for (subscription, _) in topic.stored.removals.flatMap(\.losers) { unsettle(subscription) }
        guard topic.stored.eventCount > 0, let end = storage?.nextPosition else { return }
        for subscription in topic.route(through: filters).subscriptions {
            guard let durable = subscription.durable, !durable.catchUp.isLive, durable.catchUp.position < end else {
                continue
            }
            var missed = Missed(
                count: topic.stored.eventCount, firstSequence: topic.stored.firstSequence,
                lastSequence: topic.lastSequence)
            missed.isExact = durable.catchUp.again.isEmpty && durable.catchUp.next <= topic.stored.firstPosition
            durable.missed.note(missed, of: topic.name, .purged)
            unsettle(subscription)
        }
    }

    /// A subscription was to have these positions once more, and they aren't there.
    func missed(_ gone: [PendingRange], of subscription: Subscription) {
        guard let durable = subscription.durable, let storage, let first = gone.first?.first else { return }
        let count = gone.reduce(0) { $0 + $1.count }
        let cut = storage.topics.values.filter {
            $0.stored.firstPosition > first && $0.stored.firstSequence > 1 && subscription.filter.matches($0.name)
        }
        guard let topic = cut.first, cut.count == 1 else {
            // Of one of several, or of one that is deleted.
            return durable.missed.noteUnnamed(
                count, cut.contains { $0.settings.retentionIsHard } ? .retention : .purged)
        }
        var missed = topic.stored.removed(since: first)
        missed.count = count
        missed.isExact = true
        durable.missed.note(missed, of: topic.name, topic.reasonOfRemoval)
    }

    /// Takes note of what was removed before a subscription came to it, and no other daemon has told it.
    func missedBefore(_ subscription: Subscription) {
        guard let durable = subscription.durable, let storage else { return }
        let next = durable.catchUp.next
        let topics = storage.topics.values.filter {
            // Who begins with all there is, begins behind what had been removed.
            $0.stored.firstPosition > next && $0.stored.firstSequence > 1 && (next > 0 || $0.settings.retentionIsHard)
                && subscription.filter.matches($0.name)
        }
        for topic in topics.sorted(by: { $0.storeNumber < $1.storeNumber }) {
            durable.missed.note(topic.stored.removed(since: next), of: topic.name, topic.reasonOfRemoval)
        }
    }

    /// A topic as it is stored, by its number.
    public func storedTopic(_ number: UInt64) -> StoredTopic? {
        guard let topic = storage?.topics[number] else { return nil }
        let stored = topic.stored
        return StoredTopic(
            number: number, name: topic.name, lastSequence: topic.lastSequence, lastTime: topic.lastTime,
            firstSequence: stored.firstSequence, firstPosition: stored.firstPosition, firstTime: stored.firstTime,
            eventCount: stored.eventCount, byteCount: stored.byteCount)
    }

    // MARK: Records

    /// Since when ids must be known, by what is declared; microseconds since 1970.
    public var idsSince: Int64 {
        let window = declarations.reduce(TopicSettings.duplicateWindowDefault) { max($0, $1.settings.duplicateWindow) }
        return ageTime - window
    }

    /// Forgets what the ledger says of events that are gone, and ids that may come again as new ones.
    private func trimRecords(_ storage: Storage) {
        let oldest = storage.topics.values.reduce(storage.committed) {
            $1.stored.eventCount == 0 ? $0 : min($0, $1.stored.firstPosition)
        }
        if oldest > storage.ledgerTrimmed {
            storage.ledgerTrimmed = oldest
            store(.trimLedger(before: oldest))
        }
        let since = idsSince
        guard since > storage.idsTrimmed else { return }
        storage.idsTrimmed = since
        store(.trimIDs(before: since))
    }
}

extension TopicState {
    /// Why something of it that a subscription was still to have is gone. Without a hard limit only who purges it removes
    /// that.
    fileprivate var reasonOfRemoval: Reason { settings.retentionIsHard ? stored.removalReason : .purged }
}

extension StoredCounts {
    /// What can have been removed of the events from a position on: at most as many as there are positions.
    fileprivate func removed(since position: UInt64) -> Missed {
        let last = max(firstSequence, 2) - 1
        let count = min(last, firstPosition - min(position, firstPosition))
        return Missed(
            count: count, firstSequence: last - count + min(count, 1), lastSequence: last, isExact: false)
    }
}

/// Up to where subscriptions have all they have to get; looked up once for each, however many topics it has.
private struct SubscriptionFloors {
    let committed: UInt64
    private var known: [UInt64: UInt64] = [:]

    init(committed: UInt64) { self.committed = committed }

    mutating func floor(of subscriptions: [Subscription]) -> UInt64 {
        subscriptions.reduce(committed) { $1.isDurable ? min($0, floor(of: $1)) : $0 }
    }

    private mutating func floor(of subscription: Subscription) -> UInt64 {
        if let known = known[subscription.serial] { return known }
        let floor = subscription.floor(committed: committed)
        known[subscription.serial] = floor
        return floor
    }
}

/// What the store's owner is asked to look after.
public enum StoreCare: Sendable {
    /// Find the dead letters that are too old, or too many, and say so by `Input.deadTrimmed`.
    case deadLetters
    /// Say that nobody has attended a subscription since this time, microseconds since 1970.
    case unattended(GroupName, since: Int64)
}

/// What of a topic is to be removed.
public struct RetentionOrder: Sendable {
    /// The topic's number in the store.
    public var topic: UInt64
    /// Batches accepted before this time, microseconds since 1970.
    public var olderThan: Int64
    /// The oldest, while there are more bytes than this; 0 for no bound.
    public var lengthMax: UInt64
    /// The oldest, while there are more events than this; 0 for no bound.
    public var eventCountMax: UInt64
    /// Nothing that ends behind this position.
    public var before: UInt64
}
