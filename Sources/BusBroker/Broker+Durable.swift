// Durable subscriptions: made, attended, left to themselves, deleted. One has a name and a place in the store; the
// events it keeps in memory are those its consumers are about to be handed.

import BusWire
import DequeModule
import HeapModule

/// Why something about a durable subscription or a topic can't be had.
struct AdministrationFault: Error {
    let reason: Reason
    let message: String

    init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }
}

extension Broker {
    /// The durable subscription a session wants to take part in; made if there is none.
    func durable(
        _ request: Subscribe, _ session: Session
    ) throws(AdministrationFault) -> Subscription {
        guard let storage else { throw AdministrationFault(.storeUnavailable, "this bus has no store") }
        let name = try durableName(request.durableName)
        guard let known = storage.subscriptions[name] else {
            return try makeDurable(
                name, filter: request.filter, mode: request.mode, request.settings, start: request.start ?? .new,
                session)
        }
        try checkAgreement(request, with: known)
        guard known.consumers.isEmpty || known.mode.contains(.shared) || known.isStandby else {
            let other = known.consumers.first?.session
            throw AdministrationFault(
                .consumerExists,
                "subscription \(name) has a consumer: session \(other?.id.description ?? "?") \(other?.name ?? "")")
        }
        guard known.consumers.count < configuration.memberCountMax else {
            throw AdministrationFault(
                .quotaExceeded,
                QuotaFault(
                    quota: "members per group", used: known.consumers.count, limit: configuration.memberCountMax,
                    uid: session.peer.uid
                ).message)
        }
        return known
    }

    private func durableName(_ bytes: [UInt8]) throws(AdministrationFault) -> GroupName {
        do throws(NameFault) {
            return try GroupName(bytes: bytes)
        } catch {
            throw AdministrationFault(.badGroup, "the subscription's name \(error)")
        }
    }

    /// The first of the settings somebody comes with that would change what a subscription is.
    private func settingThatDiffers(
        _ settings: [Setting], _ known: Subscription
    ) throws(AdministrationFault) -> SettingKey? {
        guard let durable = known.durable else { return nil }
        for setting in settings where try values(of: Setting.merge(durable.settings, [setting])) != durable.values {
            return setting.key
        }
        return nil
    }

    private func checkAgreement(_ request: Subscribe, with known: Subscription) throws(AdministrationFault) {
        let name = known.durable?.name.description ?? ""
        guard request.filter.isEmpty || request.filter == known.filter.bytes else {
            throw AdministrationFault(.nameTaken, "subscription \(name) has the filter '\(known.filter)'")
        }
        guard request.filter.isEmpty ? request.mode.isSubset(of: known.mode) : request.mode == known.mode else {
            let isFree = known.mode.contains(.unacknowledged)
            throw AdministrationFault(
                .nameTaken,
                "subscription \(name) is \(known.modeName), and \(isFree ? "isn't" : "is") acknowledged")
        }
        if let other = try settingThatDiffers(request.settings, known) {
            throw AdministrationFault(
                .nameTaken, "subscription \(name) has another \(other.name): `bus subscription alter` changes it")
        }
        guard request.start == nil || request.start == .new else {
            throw AdministrationFault(
                .nameTaken, "subscription \(name) stands somewhere already: `bus subscription seek` moves it")
        }
    }

    func makeDurable(
        _ name: GroupName, filter bytes: [UInt8], mode: SubscribeMode, _ settings: [Setting], start: Start,
        _ session: Session, for wish: Wisher? = nil
    ) throws(AdministrationFault) -> Subscription {
        guard let storage else { throw AdministrationFault(.storeUnavailable, "this bus has no store") }
        guard !bytes.isEmpty else {
            throw AdministrationFault(.unknownName, "there is no subscription \(name), and no filter to make it with")
        }
        let filter = try filter(bytes)
        guard mode.isSubset(of: .durable), !mode.contains([.shared, .exclusive]) else {
            throw AdministrationFault(.notSupported, "a durable subscription is alone, shared or exclusive")
        }
        try checkCanMatchDurable(filter)
        try check(start, filter)
        let account = session.account
        guard account.subscriptionCount < configuration.quotas.subscriptions else {
            throw AdministrationFault(
                .quotaExceeded,
                QuotaFault(
                    quota: "subscriptions", used: account.subscriptionCount, limit: configuration.quotas.subscriptions,
                    uid: account.uid
                ).message)
        }
        let values = try values(of: settings)
        let stored = StoredSubscription(
            number: storage.nextSubscription, name: name, filter: filter, mode: mode,
            settings: Setting.merge([], settings), uid: session.peer.uid, created: now.wall, attended: ageTime,
            cursor: StoredCursor(next: start == .new ? storage.committed : 0))
        storage.nextSubscription += 1
        let subscription = add(stored, values, repeatedBefore: 0)
        store(.subscription(stored))
        begin(subscription, at: start, for: wish)
        return subscription
    }

    /// Whether one may begin there.
    func check(_ start: Start, _ filter: TopicFilter) throws(AdministrationFault) {
        guard case .sequence = start, filter.hasWildcard else { return }
        throw AdministrationFault(
            .badFilter, "a sequence is of one topic, and '\(filter)' can be several: use --since")
    }

    func filter(_ bytes: [UInt8]) throws(AdministrationFault) -> TopicFilter {
        do throws(NameFault) {
            return try TopicFilter(bytes: bytes)
        } catch {
            throw AdministrationFault(.badFilter, "filter \(error)")
        }
    }

    /// A filter that names one live topic would never get anything.
    private func checkCanMatchDurable(_ filter: TopicFilter) throws(AdministrationFault) {
        guard !filter.hasWildcard, let topic = try? Topic(bytes: filter.bytes) else { return }
        guard TopicDeclaration.of(topic, in: declarations)?.settings.isDurable == true else {
            throw AdministrationFault(
                .notDurable, "topic \(topic) is live: declare it durable first (`bus topic create '\(topic)'`)")
        }
    }

    func values(of settings: [Setting]) throws(AdministrationFault) -> DurableSettings {
        do throws(SettingFault) {
            return try DurableSettings(Setting.merge(configuration.subscriptionDefaults, settings))
        } catch {
            throw AdministrationFault(.invalidSetting, error.description)
        }
    }

    /// Takes a subscription up, new or from the store.
    @discardableResult
    func add(_ stored: StoredSubscription, _ values: DurableSettings, repeatedBefore: UInt64) -> Subscription {
        let account = account(of: stored.uid)
        let request = Subscribe(
            subscription: 0, filter: stored.filter.bytes, queueEventCount: Durable.windowEventCount,
            queueLength: Durable.windowLength, creditEvents: 0, creditBytes: 0, mode: stored.mode)
        let subscription = Subscription(
            request, filter: stored.filter, group: Group(stored.name), policy: .dropOldest,
            serial: nextSubscriptionSerial, account: account,
            durable: Durable(stored, values, repeatedBefore: repeatedBefore))
        nextSubscriptionSerial += 1
        account.subscriptionCount += 1
        account.durableCount += 1
        storage?.subscriptions[stored.name] = subscription
        storage?.numbers[stored.number] = subscription
        filters.insert(subscription)
        return subscription
    }

    // MARK: Attending

    /// A session takes part in a durable subscription.
    func attend(_ request: Subscribe, _ session: Session) throws(AdministrationFault) -> Consumer {
        let subscription = try durable(request, session)
        let consumer = Consumer(request, session, subscription)
        subscription.consumers.append(consumer)
        session.consumers[consumer.number] = consumer
        session.account.subscriptionCount += 1
        subscription.durable?.untold.append(consumer)
        readOn(.durable(subscription))
        unsettle(subscription)
        return consumer
    }

    /// Something was committed that a durable subscription matches.
    func offer(_ portion: Portion, to subscription: Subscription) {
        guard let catchUp = subscription.durable?.catchUp, catchUp.admits(portion) else { return }
        guard subscription.queue?.isFull != true else {
            catchUp.fallBehind(at: portion.batch.position)
            return fellBehind(subscription)
        }
        queue(portion, for: subscription)
        unsettle(subscription)
    }

    func queue(_ portion: Portion, for subscription: Subscription) {
        noteKeys(of: portion, subscription)
        subscription.needQueue().append(portion)
        charge(portion, subscription)
    }

    /// Tells consumers that came since that they have got what was stored.
    func tellCaughtUp(_ subscription: Subscription) {
        guard let durable = subscription.durable, !durable.untold.isEmpty, durable.catchUp.isLive,
            !subscription.hasQueued
        else { return }
        for consumer in durable.untold where consumer.session.phase == .open {
            let marker = CaughtUp(subscription: consumer.number, count: consumer.sentEvents)
            emit(.send(consumer.session.id, .caughtUp(marker)))
        }
        durable.untold = []
    }

    /// The last consumer is gone: what is in memory is given up, to be read again when somebody comes.
    func rest(_ subscription: Subscription, lastOf consumer: Consumer) {
        guard let durable = subscription.durable, let storage else { return }
        let held = releaseHeld(of: consumer)
        var returned: [PendingRange] = []
        for one in held {
            // What ends whoever takes it up is given up on some time, though nobody else is there to see it.
            guard one.portion.attempt < durable.values.attemptCountMax else {
                bury(one.portion, subscription, consumer, one, .attemptsExhausted, Reason.sessionGone.name)
                continue
            }
            note(one.portion, .returned, subscription, consumer, reason: .sessionGone, held: one)
            durable.redeliveredCount += one.portion.eventCount
            returned += one.portion.ranges(attempts: 0)
        }
        var cursor = subscription.cursor(committed: storage.committed)
        cursor.pending = PendingRange.joined(cursor.pending + returned, before: .max)
        forgetWaiting(subscription, durable)
        durable.untold = []
        durable.attended = ageTime
        durable.catchUp.leave(at: cursor)
        fellBehind(subscription)
        touch(subscription)
        // Since when nobody attends it must be known after a restart, too.
        store(.subscription(subscription.stored(committed: storage.committed)))
    }

    /// What waits in memory is given up here, to be read again where it isn't done.
    private func forgetWaiting(_ subscription: Subscription, _ durable: Durable) {
        if let queue = subscription.queue {
            for portion in queue.portions { returnCharge(portion, subscription) }
            queue.removeAll()
        }
        for portion in takeAllWaiting(of: subscription) { durable.noteRepeated(portion) }
        subscription.account.windowLength -= Int(durable.delayedLength)
        (durable.delayed, durable.delayedLength) = (Heap(), 0)
    }

    // MARK: Where it stands

    /// Has where a subscription stands saved soon.
    func touch(_ subscription: Subscription) {
        guard let durable = subscription.durable, !durable.isDirty, let storage else { return }
        durable.isDirty = true
        storage.dirty.append(subscription)
        if storage.saveDeadline == nil { storage.saveDeadline = now.monotonic + configuration.savePause }
    }

    /// Saves where subscriptions stand, and what the ledger is to say: together, a few times a second.
    func saveDue() {
        guard let storage, let deadline = storage.saveDeadline, deadline <= now.monotonic else { return }
        save()
    }

    func save() {
        guard let storage else { return }
        storage.saveDeadline = nil
        let (dirty, ledger) = (storage.dirty, storage.ledger)
        (storage.dirty, storage.ledger) = ([], [])
        for subscription in dirty {
            guard let durable = subscription.durable, !subscription.isEnded else { continue }
            durable.isDirty = false
            let cursor = subscription.cursor(committed: storage.committed)
            durable.savedNext = cursor.next
            store(.cursor(subscription: durable.number, cursor))
        }
        for line in ledger { store(.ledger(line)) }
    }

    /// Has a subscription begin somewhere else. What its consumers hold is theirs no more.
    ///
    /// - Parameter wish: who is to be answered when the place is found, where it must be looked for.
    /// - Returns: whether it begins there now.
    @discardableResult
    func begin(_ subscription: Subscription, at start: Start, for wish: Wisher? = nil) -> Bool {
        guard let durable = subscription.durable, let storage else { return true }
        switch start {
        case .new: move(subscription, durable, to: StoredCursor(next: storage.committed))
        case .all: move(subscription, durable, to: StoredCursor(next: 0))
        case .last, .since, .sequence:
            seek(.durable(subscription), to: start, for: wish)
            return false
        }
        return true
    }

    func move(_ subscription: Subscription, _ durable: Durable, to cursor: StoredCursor) {
        for consumer in subscription.consumers { _ = releaseHeld(of: consumer) }
        forgetWaiting(subscription, durable)
        durable.missed = MissedEvents()
        durable.catchUp.reset(cursor)
        durable.untold = Array(subscription.consumers)
        touch(subscription)
        readOn(.durable(subscription))
    }

    /// Ends a durable subscription. Its consumers are told.
    func remove(_ subscription: Subscription, reason: Reason) {
        guard let durable = subscription.durable, let storage else { return }
        for consumer in subscription.consumers {
            _ = releaseHeld(of: consumer)
            consumer.session.consumers[consumer.number] = nil
            consumer.session.account.subscriptionCount -= 1
            if consumer.session.phase == .open {
                emit(.send(consumer.session.id, .unsubscribed(account(of: consumer, reason))))
            }
        }
        forgetWaiting(subscription, durable)
        subscription.isEnded = true
        subscription.consumers = ConsumerList()
        filters.remove(subscription)
        storage.subscriptions[durable.name] = nil
        storage.numbers[durable.number] = nil
        closeOwn(.deadLetters(of: durable.name))
        let owner = account(of: durable.uid)
        owner.subscriptionCount -= 1
        owner.durableCount -= 1
        store(.removeSubscription(durable.number))
        forget(owner)
    }
}

extension Subscription {
    /// Whether consumers beyond the first stand by.
    var isStandby: Bool { mode.contains(.exclusive) }

    /// What kind of durable subscription it is, in a word.
    var modeName: String { mode.contains(.shared) ? "shared" : mode.contains(.exclusive) ? "exclusive" : "alone" }
}
