// Rows of inspection about what is stored: declarations and durable subscriptions from the broker's own tables; dead
// letters and traces are asked of the store, and what only the broker knows of them is told here.

public import BusWire
import HeapModule
import DequeModule

extension Broker {
    /// Declarations of topics, those of the configuration first.
    var declarationRows: [[InspectedValue]] {
        configuration.topics.map { row($0, source: "configuration") }
            + (storage?.declared ?? []).map { row($0, source: "command") }
    }

    private func row(_ declaration: TopicDeclaration, source: String) -> [InspectedValue] {
        let settings = declaration.settings
        return [
            InspectedValue("filter", declaration.filter.description),
            InspectedValue("source", source),
            InspectedValue(SettingKey.durable.name, settings.isDurable ? 1 : 0),
            InspectedValue(SettingKey.retain.name, settings.retains ? 1 : 0),
            InspectedValue(SettingKey.retentionAge.name, UInt64(clamping: settings.retentionAge)),
            InspectedValue(SettingKey.retentionLength.name, settings.retentionLength),
            InspectedValue(SettingKey.retentionCount.name, settings.retentionCount),
            InspectedValue(SettingKey.retentionIsHard.name, settings.retentionIsHard ? 1 : 0),
            InspectedValue(SettingKey.duplicateWindow.name, UInt64(clamping: settings.duplicateWindow)),
            InspectedValue(SettingKey.payloadLengthMax.name, UInt64(clamping: settings.payloadLengthMax)),
            InspectedValue("topics", UInt64(topics.keys.count { declaration.filter.matches($0) })),
        ]
    }

    /// Durable subscriptions, by name.
    var durableRows: [[InspectedValue]] {
        (storage?.subscriptions ?? [:]).sorted { $0.key.bytes.lexicographicallyPrecedes($1.key.bytes) }
            .compactMap { row(durable: $0.value) }
    }

    /// - Returns: nil for a subscription that isn't durable.
    func row(durable subscription: Subscription) -> [InspectedValue]? {
        guard let durable = subscription.durable, let storage else { return nil }
        let cursor = subscription.cursor(committed: storage.committed)
        let values = durable.values
        return [
            InspectedValue("subscription", durable.name.description),
            InspectedValue("filter", subscription.filter.description),
            InspectedValue("mode", subscription.modeName),
            InspectedValue("consumers", UInt64(subscription.consumers.count)),
            InspectedValue("pending", pending(of: subscription, storage)),
            InspectedValue("outstanding", durable.outstanding),
            InspectedValue("delayed", durable.delayedCount + (subscription.group?.keys?.delayedCount ?? 0)),
            InspectedValue("acknowledged", durable.acknowledgedCount),
            InspectedValue("redelivered", durable.redeliveredCount),
            InspectedValue("dead", durable.deadCount),
            InspectedValue(
                "attended_at", UInt64(clamping: subscription.consumers.isEmpty ? durable.attended : now.wall)),
            InspectedValue("created_at", UInt64(clamping: durable.created)),
            InspectedValue("position", cursor.next),
            InspectedValue("caught_up", durable.catchUp.isLive && !subscription.hasQueued ? 1 : 0),
            InspectedValue("uid", UInt64(durable.uid)),
            InspectedValue(SettingKey.acknowledgeWait.name, values.acknowledgeWait / 1000),
            InspectedValue(SettingKey.attemptCountMax.name, UInt64(values.attemptCountMax)),
            InspectedValue(SettingKey.backoffMin.name, values.backoffMin / 1000),
            InspectedValue(SettingKey.backoffMax.name, values.backoffMax / 1000),
            InspectedValue(SettingKey.unattendedMax.name, UInt64(clamping: values.unattendedMax)),
            InspectedValue(SettingKey.deadLetters.name, values.keepsDeadLetters ? 1 : 0),
            InspectedValue(SettingKey.outstandingCountMax.name, values.outstandingCountMax),
        ]
    }

    /// Events that are stored for a subscription and not settled, at most: exact where it has one topic to itself or is at
    /// the end, else what all topics have stored since.
    func pending(of subscription: Subscription, _ storage: Storage) -> UInt64 {
        let cursor = subscription.cursor(committed: storage.committed)
        let behind = storage.committed - min(cursor.next, storage.committed)
        let stored = storage.topics.values.reduce(0) {
            subscription.filter.matches($1.name) ? $0 + $1.stored.eventCount : $0
        }
        return cursor.pending.reduce(0) { $0 + $1.count } + min(behind, stored)
    }

    /// What is stored, for the daemon's status.
    var storedStatus: [InspectedValue] {
        guard let storage else { return [InspectedValue("durable", 0)] }
        let durables = storage.numbers.values.compactMap(\.durable)
        return [
            InspectedValue("durable", 1),
            InspectedValue("incarnation_store", storage.incarnation.description),
            InspectedValue("store_bytes", storage.bytesUsed),
            InspectedValue("store_limit", storage.bytesMax),
            InspectedValue("store_events", storage.eventCount),
            InspectedValue("durable_topics", UInt64(storage.topics.count)),
            InspectedValue("durable_subscriptions", UInt64(durables.count)),
            InspectedValue("dead_letters", durables.reduce(0) { $0 + $1.deadCount }),
            InspectedValue("unattended_subscriptions", UInt64(durables.count(where: \.isReported))),
            InspectedValue("commits", storage.commits),
            InspectedValue("commit_p50_us", storage.commitTimes.quantile(0.5)),
            InspectedValue("commit_p99_us", storage.commitTimes.quantile(0.99)),
            InspectedValue("uncommitted", UInt64(storage.completions.count)),
            InspectedValue("store_warning", storage.warning),
        ]
    }

    /// Has the daemon's status show what an administrator should know of the store; empty for nothing.
    public func warn(ofStore warning: String) { storage?.warning = warning }

    /// Answers a question that the store was asked.
    func inspected(_ id: SessionID, _ request: UInt32, _ rows: [[InspectedValue]], _ after: UInt64) {
        guard let session = sessions[id] else { return }
        answer(session, .inspected(Inspected(request: request, rows: rows, after: after)))
    }

    // MARK: What the runner asks

    /// A durable subscription's name, by its number; nil when it is gone.
    public func durableName(_ number: UInt64) -> GroupName? { storage?.numbers[number]?.durable?.name }

    /// A durable subscription's number, by its name.
    public func durableNumber(_ name: GroupName) -> UInt64? { storage?.subscriptions[name]?.durable?.number }

    /// A topic's name, by its number in the store.
    public func storedTopicName(_ number: UInt64) -> Topic? { storage?.topics[number]?.name }

    /// What the session of this number calls itself that was there at a time; nil when it is gone: numbers begin anew with
    /// each daemon, and what is stored outlives them.
    public func sessionName(_ number: UInt64, at time: Int64) -> String? {
        sessions[SessionID(number)].flatMap { $0.connectedAt <= time ? $0.name : nil }
    }

    /// Where an event is now, for every durable subscription that matches its topic.
    public func whereabouts(of position: UInt64, topic number: UInt64) -> [Whereabouts] {
        guard let topic = storage?.topics[number], let storage else { return [] }
        return topic.route(through: filters).subscriptions.compactMap { subscription in
            guard let durable = subscription.durable else { return nil }
            let (state, session, attempt, sent) = place(of: position, subscription, durable, storage)
            return Whereabouts(
                subscription: durable.number, name: durable.name, state: state, session: session, attempt: attempt,
                sent: sent)
        }
    }

    private func place(
        of position: UInt64, _ subscription: Subscription, _ durable: Durable, _ storage: Storage
    ) -> (Whereabouts.State, UInt64, UInt16, Int64) {
        for consumer in subscription.consumers {
            if let held = consumer.holding?.portions.first(where: { $0.portion.holds(position) }) {
                return (.sent, consumer.session.id.rawValue, held.portion.attempt, held.sent)
            }
        }
        if let one = durable.delayed.unordered.first(where: { $0.portion.holds(position) }) {
            return (.delayed, 0, one.portion.attempt, 0)
        }
        if let one = subscription.group?.keys?.event(at: position) {
            return (one.due == nil ? .queued : .delayed, 0, one.attempt, 0)
        }
        if let portion = subscription.queue?.portions.first(where: { $0.holds(position) }) {
            return (.queued, 0, portion.attempt, 0)
        }
        let cursor = subscription.cursor(committed: storage.committed)
        let isOpen = position >= cursor.next || cursor.pending.contains { $0.contains(position) }
        return (isOpen ? .matched : .settled, 0, 0, 0)
    }
}

/// Where an event is for one durable subscription.
public struct Whereabouts: Sendable {
    /// Where.
    public enum State: String, Sendable {
        /// In the store, to be read when it is its turn.
        case matched
        /// In memory, next to be handed out.
        case queued
        /// Handed to a session.
        case sent
        /// Waiting for its next attempt.
        case delayed
        /// Done with, or before the subscription began: the ledger says which.
        case settled
    }

    /// The subscription.
    public let subscription: UInt64
    /// Its name.
    public let name: GroupName
    /// Where the event is.
    public let state: State
    /// Who has it; 0 for nobody.
    public let session: UInt64
    /// At which attempt.
    public let attempt: UInt16
    /// When it was handed over, microseconds since 1970; 0 if it wasn't.
    public let sent: Int64
}

extension Portion {
    func holds(_ position: UInt64) -> Bool {
        guard position >= batch.position, position < batch.end else { return false }
        return selection.contains(Int(position - batch.position))
    }
}
