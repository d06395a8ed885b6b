// A daemon's beginning: what the store held becomes topics, last values and subscriptions, before anybody connects.

import BusWire

extension Broker {
    /// Takes up what the store held. Called once, before the first input.
    ///
    /// - Parameter state: what was read.
    public func recover(_ state: StoredState, at now: Moment) {
        begin(at: now)
        let storage = Storage(state)
        // Maybe by the daemon before.
        if !state.topics.isEmpty { storage.removedAt = clock.now }
        self.storage = storage
        for (filter, settings) in state.declarations {
            // What a former program could say and this one can't is left as it is, and shown.
            guard
                let declaration = try? TopicDeclaration(
                    filter, settings: settings, defaults: configuration.topicDefaults)
            else { continue }
            storage.declared.append(declaration)
        }
        for topic in state.topics { recover(topic, storage) }
        for stored in state.subscriptions {
            let values =
                (try? DurableSettings(Setting.merge(configuration.subscriptionDefaults, stored.settings))) ?? .init()
            storage.nextSubscription = max(storage.nextSubscription, stored.number + 1)
            // What was handed out before the daemon went may have been handled, and not told.
            add(stored, values, repeatedBefore: state.nextPosition)
        }
        for (number, count) in state.deadCounts { storage.numbers[number]?.durable?.deadCount = count }
        // Its commit says how much room there is.
        store(.trimIDs(before: 0))
        scheduleSweep()
    }

    private func recover(_ stored: StoredTopic, _ storage: Storage) {
        storage.nextTopic = max(storage.nextTopic, stored.number + 1)
        let topic = makeTopic(stored.name, account(of: configuration.ownIdentity.uid), stored)
        storage.topics[stored.number] = topic
        if let retained = stored.retained {
            let batch = AcceptedBatch(retained.batch, seal(retained.seal, topic))
            retain(batch, isTombstone: false, account(of: retained.seal.publisher.uid), isStored: true)
        }
    }

    // MARK: Too old

    /// How often what is too old is looked for. Not tuned.
    private static let sweepPause: Moment.Nanoseconds = 1_000_000_000

    func scheduleSweep() { storage?.sweepDeadline = now.monotonic + Broker.sweepPause }

    /// Removes what retention says, and subscriptions that nobody has attended for longer than they wanted.
    func sweep() {
        guard let storage, storage.sweepDeadline <= now.monotonic else { return }
        scheduleSweep()
        clock.advance(to: now)
        for topic in storage.topics.values { trim(topic, storage) }
        for subscription in storage.numbers.values {
            guard let durable = subscription.durable, durable.values.unattendedMax > 0, subscription.consumers.isEmpty,
                clock.now - durable.attended >= durable.values.unattendedMax
            else { continue }
            remove(subscription, reason: .expired)
        }
        forget(storage)
    }

    /// How often it is looked what the store needn't remember any more. Not tuned.
    private static let forgetPause: Moment.Nanoseconds = 60_000_000_000

    /// Ids of removed events stay as long as their duplicates may come, and what the ledger says of events as long as
    /// there may be one; without this both would stay for ever.
    private func forget(_ storage: Storage) {
        guard let removedAt = storage.removedAt, storage.forgetDeadline <= now.monotonic else { return }
        storage.forgetDeadline = now.monotonic + Broker.forgetPause
        let oldest = clock.now - (storage.topics.values.map(\.settings.duplicateWindow).max() ?? 0)
        // Then nothing is left, and an idle daemon writes nothing.
        if removedAt < oldest { storage.removedAt = nil }
        store(.trimIDs(before: oldest))
        let first = storage.topics.values.filter { $0.stored.eventCount > 0 }.map(\.stored.firstPosition).min()
        // A line that begins before the first event there is may still be of it, too.
        let before = first ?? storage.committed
        let reach = UInt64(LedgerLine.countMax)
        if before > reach { store(.trimLedger(before: before - reach)) }
    }

    /// Since when the ids of a topic's events are remembered, microseconds since 1970.
    public func idsRemembered(of topic: UInt64) -> Int64 {
        clock.advance(to: now)
        return clock.now - (storage?.topics[topic]?.settings.duplicateWindow ?? 0)
    }

    /// What a topic keeps no longer: its age, its bytes and its count, up to what somebody still has to get.
    private func trim(_ topic: TopicState, _ storage: Storage) {
        let (settings, stored) = (topic.settings, topic.stored)
        guard stored.eventCount > 0, !stored.isTrimming else { return }
        let oldest = settings.retentionAge == 0 ? Int64.min : clock.now - settings.retentionAge
        let over =
            (settings.retentionLength > 0 && stored.byteCount > settings.retentionLength)
            || (settings.retentionCount > 0 && stored.eventCount > settings.retentionCount)
        guard stored.firstTime < oldest || over else { return }
        let floor = settings.retentionIsHard ? storage.committed : floor(of: topic, storage)
        guard floor > stored.firstPosition else { return }
        stored.isTrimming = true
        emit(
            .retain(
                RetentionOrder(
                    topic: topic.storeNumber, olderThan: oldest, lengthMax: settings.retentionLength,
                    eventCountMax: settings.retentionCount, before: floor)))
    }

    /// The first position that a subscription of this topic may still have to get.
    private func floor(of topic: TopicState, _ storage: Storage) -> UInt64 {
        topic.route(through: filters).subscriptions.filter(\.isDurable).map {
            let cursor = $0.cursor(committed: storage.committed)
            return min(cursor.next, cursor.pending.first?.first ?? .max)
        }.min() ?? storage.committed
    }

    /// The store found what a topic keeps no longer.
    func retained(_ number: UInt64, before position: UInt64, firstTime: Int64) {
        guard let topic = storage?.topics[number] else { return }
        guard position > topic.stored.firstPosition else {
            topic.stored.firstTime = firstTime
            topic.stored.isTrimming = false
            return
        }
        store(.trim(topic: number, before: position))
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

    /// The store removed something of a topic.
    func trimmed(_ stored: StoredTopic) {
        storage?.topics[stored.number]?.stored.update(stored)
        clock.advance(to: now)
        storage?.removedAt = clock.now
    }
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

/// Time for what grows old: it goes on as the monotonic clock does, and follows a step of the other clock back at once,
/// ahead only when that has stood for a while. So a clock that is set wrong for a moment, or was never set, makes nothing
/// old early, and neither does one that was ahead when the daemon began and is set right then.
struct AgeClock {
    /// Microseconds since 1970.
    private(set) var now: Int64
    private var monotonic: Moment.Nanoseconds
    /// How far the wall clock was ahead, and since when.
    private var ahead: (by: Int64, since: Moment.Nanoseconds)?
    /// How long a step must have stood. Not tuned.
    static let patience: Moment.Nanoseconds = 3_600_000_000_000
    /// What counts as a step, in microseconds.
    static let tolerance: Int64 = 10_000_000

    init(at moment: Moment) { (now, monotonic) = (moment.wall, moment.monotonic) }

    mutating func advance(to moment: Moment) {
        now += Int64((moment.monotonic - monotonic) / 1000)
        monotonic = moment.monotonic
        let lead = moment.wall - now
        guard lead >= -AgeClock.tolerance else { return (now, ahead) = (moment.wall, nil) }
        guard lead > AgeClock.tolerance else { return ahead = nil }
        guard let ahead, abs(lead - ahead.by) <= AgeClock.tolerance else {
            return ahead = (lead, moment.monotonic)
        }
        guard moment.monotonic - ahead.since >= AgeClock.patience else { return }
        now = moment.wall
        self.ahead = nil
    }
}
