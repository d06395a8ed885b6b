// Subscriptions: made, given credit, acknowledged, ended.

import BusWire
import DequeModule

/// What a subscribe frame asks for, once all of it is known to be possible.
private struct Wish {
    let request: Subscribe
    let filter: TopicFilter
    let group: GroupName?
    let policy: OverflowPolicy
}

/// Why it isn't.
private struct Refusal: Error {
    let reason: Reason
    let message: String
}

extension Broker {
    func subscribe(_ request: Subscribe, _ session: Session) {
        if !request.durableName.isEmpty { return takePart(request, session) }
        do throws(Refusal) {
            let wish = try check(request, session)
            let backlog = try backlog(for: wish, session)
            let consumer = try attach(wish, session)
            if let backlog {
                session.account.queued.charge(backlog.length, from: session.peer.uid)
                consumer.backlog = backlog
            }
            answer(session, .subscribed(subscription: consumer.number))
            if let start = request.start, start != .new { beginReading(consumer, at: start) }
            if backlog != nil { pump(consumer) }
            if consumer.subscription.isShared { unsettle(consumer.subscription) }
        } catch {
            refuse(session, .subscribe, request: UInt64(request.subscription), error.reason, error.message)
        }
    }

    private func check(_ request: Subscribe, _ session: Session) throws(Refusal) -> Wish {
        let filter = try filter(request, session)
        let group = try group(request)
        guard let policy = OverflowPolicy(rawValue: request.overflow) else {
            throw Refusal(.notSupported, "overflow policy \(request.overflow) is not one this daemon offers")
        }
        guard request.stallMilliseconds <= Limits.stallMillisecondsMax else {
            throw Refusal(
                .notSupported, "a stall of \(request.stallMilliseconds) ms, at most \(Limits.stallMillisecondsMax)")
        }
        if policy == .stall, filter.bytes[0] == UInt8(ascii: "$") {
            throw Refusal(.notSupported, "a stall on topics of the daemon's own would hold back everybody")
        }
        guard request.creditEvents <= Limits.creditMax, request.creditBytes <= Limits.creditMax else {
            throw Refusal(.invalidCredit, "credit beyond \(Limits.creditMax)")
        }
        guard session.consumers[request.subscription] == nil else {
            throw Refusal(.subscriptionExists, "subscription \(request.subscription) exists already")
        }
        try checkQuotas(session)
        return Wish(request: request, filter: filter, group: group, policy: policy)
    }

    private func filter(_ request: Subscribe, _ session: Session) throws(Refusal) -> TopicFilter {
        let filter: TopicFilter
        do throws(NameFault) {
            filter = try TopicFilter(bytes: request.filter)
        } catch {
            throw Refusal(.badFilter, "filter \(error)")
        }
        // Answers are for who asked, and for nobody else.
        if filter.isReply, filter.bytes != Topic.reply(ofSession: session.id.rawValue).bytes {
            throw Refusal(.denied, "only session \(session.id)'s own answers may be subscribed to here")
        }
        return filter
    }

    private func group(_ request: Subscribe) throws(Refusal) -> GroupName? {
        guard request.mode.isSubset(of: .ephemeral) else {
            let unknown = request.mode.subtracting(.ephemeral).rawValue
            throw Refusal(
                .notSupported, "subscription mode \(unknown) is not one this daemon offers without a durable name")
        }
        guard !request.group.isEmpty else {
            guard !request.mode.contains(.exclusive) else {
                throw Refusal(.badGroup, "exclusive among whom? Name a group")
            }
            return nil
        }
        guard !request.mode.contains(.last) else {
            throw Refusal(.notSupported, "a group can't begin with last values: each would go to one member")
        }
        do throws(NameFault) {
            return try GroupName(bytes: request.group)
        } catch {
            throw Refusal(.badGroup, "the group's name \(error)")
        }
    }

    private func checkQuotas(_ session: Session) throws(Refusal) {
        guard session.consumers.count < configuration.subscriptionCountMax else {
            throw Refusal(
                .quotaExceeded,
                QuotaFault(
                    quota: "subscriptions per session", used: session.consumers.count,
                    limit: configuration.subscriptionCountMax, uid: session.peer.uid
                ).message)
        }
        guard session.account.subscriptionCount < configuration.quotas.subscriptions else {
            throw Refusal(
                .quotaExceeded,
                QuotaFault(
                    quota: "subscriptions", used: session.account.subscriptionCount,
                    limit: configuration.quotas.subscriptions, uid: session.peer.uid
                ).message)
        }
    }

    /// The last values a subscription begins with; nil where it wants none.
    private func backlog(for wish: Wish, _ session: Session) throws(Refusal) -> Backlog? {
        if let start = wish.request.start, start != .new { return try stored(from: start, wish) }
        guard wish.request.mode.contains(.last) else { return nil }
        let backlog = Backlog(lastValues(matching: wish.filter))
        let used = session.account.queued.used
        guard used + backlog.length <= configuration.quotas.queuedLength else {
            throw Refusal(
                .quotaExceeded,
                QuotaFault(
                    quota: "queued_bytes", used: used, limit: configuration.quotas.queuedLength, uid: session.peer.uid
                ).message + "; the last values have \(backlog.length)")
        }
        return backlog
    }

    /// What a subscription begins with that wants what is stored: nothing yet, and where to read it.
    private func stored(from start: Start, _ wish: Wish) throws(Refusal) -> Backlog {
        guard let storage else { throw Refusal(.storeUnavailable, "this bus has no store") }
        guard wish.group == nil, !wish.request.mode.contains(.last) else {
            throw Refusal(.notSupported, "a group can't begin with what is stored: make a durable subscription")
        }
        if case .sequence = start, wish.filter.hasWildcard {
            throw Refusal(.badFilter, "a sequence is of one topic, and '\(wish.filter)' can be several: use --since")
        }
        return Backlog([], catchUp: CatchUp(next: start == .all ? 0 : storage.committed))
    }

    private func beginReading(_ consumer: Consumer, at start: Start) {
        if start == .all { return readOn(.ephemeral(consumer)) }
        seek(.ephemeral(consumer), to: start)
    }

    /// A session takes part in a durable subscription.
    private func takePart(_ request: Subscribe, _ session: Session) {
        do {
            guard session.consumers[request.subscription] == nil else {
                throw Refusal(.subscriptionExists, "subscription \(request.subscription) exists already")
            }
            guard request.creditEvents <= Limits.creditMax, request.creditBytes <= Limits.creditMax else {
                throw Refusal(.invalidCredit, "credit beyond \(Limits.creditMax)")
            }
            guard request.group.isEmpty else {
                throw Refusal(.badGroup, "a durable subscription is shared under its own name, not by a group")
            }
            try checkQuotas(session)
            let consumer = try attend(request, session)
            answer(session, .subscribed(subscription: consumer.number))
        } catch let fault as AdministrationFault {
            refuse(session, .subscribe, request: UInt64(request.subscription), fault.reason, fault.message)
        } catch let refusal as Refusal {
            refuse(session, .subscribe, request: UInt64(request.subscription), refusal.reason, refusal.message)
        } catch {
            preconditionFailure("everything above throws one of these two: \(error)")
        }
    }

    /// Makes the subscription, or joins the group that has it.
    private func attach(_ wish: Wish, _ session: Session) throws(Refusal) -> Consumer {
        let subscription = try subscription(for: wish, session)
        let consumer = Consumer(wish.request, session, subscription)
        subscription.consumers.append(consumer)
        session.consumers[consumer.number] = consumer
        session.account.subscriptionCount += 1
        return consumer
    }

    private func subscription(for wish: Wish, _ session: Session) throws(Refusal) -> Subscription {
        let key = wish.group.map { GroupKey(filter: wish.filter, name: $0) }
        if let key, let known = groups[key] {
            guard known.agrees(with: wish.request) else {
                throw Refusal(
                    .groupConflict,
                    "group \(key.name) of '\(key.filter)' is \(known.description): its members must agree")
            }
            guard known.consumers.count < configuration.memberCountMax else {
                throw Refusal(
                    .quotaExceeded,
                    QuotaFault(
                        quota: "members per group", used: known.consumers.count,
                        limit: configuration.memberCountMax, uid: session.peer.uid
                    ).message)
            }
            return known
        }
        let subscription = Subscription(
            wish.request, filter: wish.filter, group: wish.group.map(Group.init), policy: wish.policy,
            serial: nextSubscriptionSerial, account: session.account)
        nextSubscriptionSerial += 1
        if let key { groups[key] = subscription }
        filters.insert(subscription)
        return subscription
    }

    // MARK: The end

    func unsubscribe(_ number: UInt32, _ session: Session) {
        guard let consumer = find(number, session, .unsubscribe) else { return }
        // A group's losses are told to who goes on, if anybody does.
        if consumer.subscription.consumers.count == 1, let queue = consumer.subscription.queue {
            tell(queue.takeAllMissed(), to: consumer)
        }
        session.consumers[number] = nil
        detach(consumer)
        answer(session, .unsubscribed(account(of: consumer, .unsubscribed)))
    }

    /// What a consumer got and what its subscription missed.
    func account(of consumer: Consumer, _ reason: Reason) -> Unsubscribed {
        Unsubscribed(
            subscription: consumer.number, reason: reason, deliveredCount: consumer.sentEvents,
            missedCount: consumer.subscription.missedCount)
    }

    /// Takes a consumer from its subscription, which ends with its last one. It no longer stands in its session's table.
    func detach(_ consumer: Consumer) {
        let (subscription, account) = (consumer.subscription, consumer.session.account)
        // Its group can have ended meanwhile, all its members with it: what one gives back may be too much.
        guard !subscription.isEnded else { return }
        account.subscriptionCount -= 1
        if let backlog = consumer.backlog {
            giveBack(backlog.length, of: backlog, account)
            consumer.backlog = nil
        }
        subscription.consumers.remove(consumer)
        if subscription.isDurable, subscription.consumers.isEmpty {
            rest(subscription, lastOf: consumer)
        } else if subscription.consumers.isEmpty {
            discard(subscription, lastOf: consumer)
        } else {
            handBack(consumer)
        }
    }

    /// Takes a subscription out of everything and gives back what it holds. Routes may remember it until their topic's
    /// next event, and its sessions' lists until they drain: with nothing in it.
    private func discard(_ subscription: Subscription, lastOf consumer: Consumer) {
        subscription.isEnded = true
        filters.remove(subscription)
        if let group = subscription.group {
            groups[GroupKey(filter: subscription.filter, name: group.name)] = nil
            dropHolding(of: consumer)
        }
        if let queue = subscription.queue {
            for portion in queue.portions { returnCharge(portion, subscription) }
            for portion in queue.portions { giveUp(portion, of: subscription, .responderGone) }
            queue.removeAll()
            subscription.account.delist(subscription)
        }
        for portion in takeAllWaiting(of: subscription) { giveUp(portion, of: subscription, .responderGone) }
        endStall(subscription)
    }

    // MARK: Credit

    func grantCredit(_ credit: Credit, _ session: Session) {
        guard let consumer = find(credit.subscription, session, .credit) else { return }
        guard credit.events >= consumer.creditEvents, credit.bytes >= consumer.creditBytes,
            credit.events <= Limits.creditMax, credit.bytes <= Limits.creditMax
        else {
            let message = "credit is a running total: it can't go back, nor beyond \(Limits.creditMax)"
            return refuse(session, .credit, request: UInt64(credit.subscription), .invalidCredit, message)
        }
        consumer.creditEvents = credit.events
        consumer.creditBytes = credit.bytes
        if consumer.subscription.isShared { unsettle(consumer.subscription) } else { pump(consumer) }
    }

    func acknowledge(_ acknowledge: Acknowledge, _ session: Session) {
        guard let consumer = find(acknowledge.subscription, session, .acknowledge) else { return }
        guard acknowledge.delivery <= consumer.lastDelivery else {
            let message = "delivery \(acknowledge.delivery) was never sent, the last was \(consumer.lastDelivery)"
            return refuse(
                session, .acknowledge, request: UInt64(acknowledge.subscription), .acknowledgedUnsent, message)
        }
        release(consumer, through: acknowledge.delivery)
    }

    private func find(_ number: UInt32, _ session: Session, _ type: FrameType) -> Consumer? {
        if let consumer = session.consumers[number] { return consumer }
        refuse(session, type, request: UInt64(number), .unknownSubscription, "subscription \(number) doesn't exist")
        return nil
    }
}

extension Refusal {
    fileprivate init(_ reason: Reason, _ message: String) { self.init(reason: reason, message: message) }
}

extension Subscription: CustomStringConvertible {
    /// What its members agreed on: `exclusive, drop-oldest`.
    var description: String {
        let kind = isShared ? (isExclusive ? "exclusive, " : "shared, ") : ""
        let stall = policy == .stall ? "=\(stallMilliseconds)ms" : ""
        return kind + policy.name + stall + (responds ? ", answering requests" : "")
    }
}
