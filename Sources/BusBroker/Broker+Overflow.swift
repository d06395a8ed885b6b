// When more is accepted than a subscription takes: what waits is bounded by its queue and by its user's quota, what is
// beyond is lost by its policy, and every loss is counted and told in its place.

import BusWire

extension Broker {
    func enqueue(_ portion: Portion, to subscription: Subscription) {
        let queue = subscription.needQueue()
        noteKeys(of: portion, subscription)
        if subscription.policy == .dropOldest, !subscription.isShared, exchange(portion, queue, subscription) { return }
        guard makeRoomInQuota(for: portion, subscription) else {
            lose(portion, of: subscription, .quotaExceeded, queue.refuse)
            if subscription.policy == .disconnect { disconnect(subscription, .quotaExceeded) }
            return
        }
        // What groups are handed at the end of the round never overflows before.
        if !subscription.isShared, subscription.policy == .dropNewest, queue.isFull {
            return lose(portion, of: subscription, .queueFull, queue.refuse)
        }
        if subscription.policy == .latest {
            appendLatest(portion, queue, subscription)
        } else {
            queue.append(portion)
            charge(portion, subscription)
        }
        if subscription.isShared { return unsettle(subscription) }
        boundQueue(subscription)
        guard !subscription.isEnded, let consumer = subscription.consumers.first else { return }
        enlist(consumer)
    }

    /// Gives the place of a full queue's first portion to a new one at its end, where that is all it takes: charged is the
    /// difference, and nobody has to make room. What a subscriber that doesn't read costs for each batch is this.
    private func exchange(_ portion: Portion, _ queue: DeliveryQueue, _ subscription: Subscription) -> Bool {
        guard queue.exchanges(portion), let first = queue.first else { return false }
        let (account, publisher) = (subscription.account, portion.batch.seal.publisher.uid)
        let difference = Int(portion.length) - Int(first.length)
        guard first.batch.seal.publisher.uid == publisher else { return false }
        if difference > 0 {
            guard account.queued.used + difference <= account.queued.limit,
                account.queued.admits(difference, from: publisher)
            else { return false }
        }
        queue.append(portion)
        _ = queue.popFirst()
        if difference != 0 { account.queued.charge(difference, from: publisher) }
        totals.eventsQueued += portion.eventCount
        totals.eventsQueued -= first.eventCount
        totals.bytesQueued += portion.length
        totals.bytesQueued -= first.length
        lose(first, of: subscription, .queueFull, queue.missInFront)
        if let consumer = subscription.consumers.first { enlist(consumer) }
        return true
    }

    /// Keeps the last event of a batch in the place of what waited of its topic.
    private func appendLatest(_ portion: Portion, _ queue: DeliveryQueue, _ subscription: Subscription) {
        if let older = queue.supersede(topic: portion.batch.seal.topic.number) {
            returnCharge(older, subscription)
            lose(older, of: subscription, .superseded, queue.refuse)
        }
        var latest = portion
        if portion.eventCount > 1 {
            let others = latest.split(first: portion.eventCount - 1)
            lose(others, of: subscription, .superseded, queue.refuse)
        }
        queue.appendLatest(latest)
        charge(latest, subscription)
    }

    /// Brings a queue within its bounds, as its policy says.
    func boundQueue(_ subscription: Subscription) {
        guard let queue = subscription.queue else { return }
        switch subscription.policy {
        case .dropOldest, .latest:
            while queue.isOverfull { dropFirst(of: subscription, .queueFull) }
        case .dropNewest:
            while queue.isOverfull { dropLast(of: subscription) }
        case .stall:
            if queue.isFull { beginStall(subscription) }
            if subscription.stall == .timedOut {
                while queue.isOverfull { dropFirst(of: subscription, .stallTimedOut) }
            }
        case .disconnect:
            if queue.isOverfull { disconnect(subscription, .queueFull) }
        }
    }

    private func dropFirst(of subscription: Subscription, _ reason: Reason) {
        guard let queue = subscription.queue else { return }
        guard let dropped = queue.popFirst() else {
            dropWaiting(of: subscription, reason)
            if !subscription.hasWaiting { subscription.account.delist(subscription) }
            return
        }
        returnCharge(dropped, subscription)
        lose(dropped, of: subscription, reason, queue.missInFront)
        if !subscription.hasWaiting { subscription.account.delist(subscription) }
        // What made room for others is room for those who are held back, too.
        if reason == .quotaExceeded, subscription.stall != .none, queue.isRelaxed { endStall(subscription) }
    }

    private func dropLast(of subscription: Subscription) {
        guard let queue = subscription.queue, let dropped = queue.popLast() else { return }
        returnCharge(dropped, subscription)
        lose(dropped, of: subscription, .queueFull, queue.refuse)
    }

    /// A subscription that would rather end than miss something ends, and is told why.
    private func disconnect(_ subscription: Subscription, _ reason: Reason) {
        // Nothing of it goes to anybody else, not even for a moment.
        for consumer in subscription.consumers { dropHolding(of: consumer) }
        if let queue = subscription.queue {
            for portion in queue.portions {
                returnCharge(portion, subscription)
                lose(portion, of: subscription, reason) { _, _ in }
            }
            queue.removeAll()
            subscription.account.delist(subscription)
        }
        for portion in takeAllWaiting(of: subscription) { lose(portion, of: subscription, reason) { _, _ in } }
        for consumer in subscription.consumers {
            let session = consumer.session
            session.consumers[consumer.number] = nil
            if session.phase == .open {
                emit(.send(session.id, .unsubscribed(account(of: consumer, reason))))
            }
            detach(consumer)
        }
    }

    // MARK: The user's quota

    /// Makes room for a portion among what its user's subscriptions may queue, at the cost of the longest queues; false
    /// where its publisher's user has had its share, or there is nothing to drop.
    private func makeRoomInQuota(for portion: Portion, _ subscription: Subscription) -> Bool {
        let (account, length) = (subscription.account, Int(portion.length))
        let publisher = portion.batch.seal.publisher.uid
        guard account.queued.admits(length, from: publisher) else { return false }
        while account.queued.used + length > account.queued.limit {
            let victim = account.longQueue(or: subscription)
            guard victim.hasWaiting else { return false }
            guard victim.policy != .disconnect else {
                // Its own end comes when what it misses by it is counted.
                if victim === subscription { return false }
                disconnect(victim, .quotaExceeded)
                continue
            }
            dropFirst(of: victim, .quotaExceeded)
        }
        // The end of one group can have been the end of another.
        return !subscription.isEnded
    }

    /// What came back to a group, or came to another user with it, wasn't asked about before: the longest queues pay.
    func enforceQuota(of group: Subscription) {
        guard !group.isDurable else { return }
        while group.account.queued.used > group.account.queued.limit {
            let victim = group.account.longQueue(or: group)
            guard victim.hasWaiting else { return }
            if victim.policy == .disconnect {
                disconnect(victim, .quotaExceeded)
            } else {
                dropFirst(of: victim, .quotaExceeded)
            }
        }
    }

    func charge(_ portion: Portion, _ subscription: Subscription) {
        if subscription.isDurable {
            subscription.account.windowLength += Int(portion.length)
        } else {
            subscription.account.queued.charge(Int(portion.length), from: portion.batch.seal.publisher.uid)
            subscription.account.enlist(subscription)
        }
        totals.eventsQueued += portion.eventCount
        totals.bytesQueued += portion.length
    }

    func returnCharge(_ portion: Portion, _ subscription: Subscription) {
        if subscription.isDurable {
            subscription.account.windowLength -= Int(portion.length)
        } else {
            subscription.account.queued.giveBack(Int(portion.length), from: portion.batch.seal.publisher.uid)
        }
        totals.eventsQueued -= portion.eventCount
        totals.bytesQueued -= portion.length
    }

    // MARK: Losses

    /// Counts a loss and has it remembered for the subscriber, each in its place. Requests that nobody waits for any more
    /// are no loss.
    func lose(
        _ portion: Portion, of subscription: Subscription, _ reason: Reason, _ remember: (Portion, Reason) -> Void
    ) {
        guard let lost = wanted(portion, by: subscription) else { return }
        remember(lost, reason)
        subscription.needQueue().missedCount += lost.eventCount
        subscription.consumers.first?.session.counters.eventsMissed += lost.eventCount
        totals.eventsMissed += lost.eventCount
        giveUp(lost, of: subscription, reason)
    }
}
