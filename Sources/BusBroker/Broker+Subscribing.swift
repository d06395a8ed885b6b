// Subscriptions: made, given credit, acknowledged, ended.

import BusWire
import DequeModule

extension Broker {
    func subscribe(_ request: Subscribe, _ session: Session) {
        func refuse(_ reason: Reason, _ message: String) {
            self.refuse(session, .subscribe, request: UInt64(request.subscription), reason, message)
        }
        let filter: TopicFilter
        do throws(NameFault) {
            filter = try TopicFilter(bytes: request.filter)
        } catch {
            return refuse(.badFilter, "filter \(error)")
        }
        guard let policy = OverflowPolicy(rawValue: request.overflow), policy == .dropOldest || policy == .stall else {
            return refuse(.notSupported, "overflow policy \(request.overflow) is not one this daemon offers")
        }
        guard request.stallMilliseconds <= Limits.stallMillisecondsMax else {
            let message = "a stall of \(request.stallMilliseconds) ms, at most \(Limits.stallMillisecondsMax)"
            return refuse(.notSupported, message)
        }
        guard request.creditEvents <= Limits.creditMax, request.creditBytes <= Limits.creditMax else {
            return refuse(.invalidCredit, "credit beyond \(Limits.creditMax)")
        }
        guard session.subscriptions[request.subscription] == nil else {
            return refuse(.subscriptionExists, "subscription \(request.subscription) exists already")
        }
        guard session.subscriptions.count < configuration.subscriptionCountMax else {
            let fault = QuotaFault(
                quota: "subscriptions per session", used: session.subscriptions.count,
                limit: configuration.subscriptionCountMax, uid: session.peer.uid)
            return refuse(.quotaExceeded, fault.message)
        }
        let subscription = Subscription(
            request, filter: filter, policy: policy, serial: nextSubscriptionSerial, session: session)
        nextSubscriptionSerial += 1
        session.subscriptions[subscription.number] = subscription
        session.account.subscriptionCount += 1
        filters.insert(subscription)
        answer(session, .subscribed(subscription: subscription.number))
    }

    func unsubscribe(_ number: UInt32, _ session: Session, at now: Moment) {
        guard let subscription = find(number, session, .unsubscribe) else { return }
        tellMissed(subscription)
        session.subscriptions[number] = nil
        discard(subscription)
        answer(
            session,
            .unsubscribed(
                Unsubscribed(
                    subscription: number, reason: .unsubscribed, deliveredCount: subscription.sentEvents,
                    missedCount: subscription.missedCount)))
    }

    func grantCredit(_ credit: Credit, _ session: Session, at now: Moment) {
        guard let subscription = find(credit.subscription, session, .credit) else { return }
        guard credit.events >= subscription.creditEvents, credit.bytes >= subscription.creditBytes,
            credit.events <= Limits.creditMax, credit.bytes <= Limits.creditMax
        else {
            let message = "credit is a running total: it can't go back, nor beyond \(Limits.creditMax)"
            return refuse(session, .credit, request: UInt64(credit.subscription), .invalidCredit, message)
        }
        subscription.creditEvents = credit.events
        subscription.creditBytes = credit.bytes
        pump(subscription, at: now)
    }

    func acknowledge(_ acknowledge: Acknowledge, _ session: Session) {
        guard let subscription = find(acknowledge.subscription, session, .acknowledge) else { return }
        guard acknowledge.delivery <= subscription.lastDelivery else {
            let message = "delivery \(acknowledge.delivery) was never sent, the last was \(subscription.lastDelivery)"
            return refuse(
                session, .acknowledge, request: UInt64(acknowledge.subscription), .acknowledgedUnsent, message)
        }
        subscription.acknowledged = max(subscription.acknowledged, acknowledge.delivery)
    }

    private func find(_ number: UInt32, _ session: Session, _ type: FrameType) -> Subscription? {
        if let subscription = session.subscriptions[number] { return subscription }
        refuse(session, type, request: UInt64(number), .unknownSubscription, "subscription \(number) doesn't exist")
        return nil
    }

    /// Takes a subscription out of everything but its session and gives back what it holds. Routes may remember it
    /// until their topic's next event, and its session's list until that drains: with nothing in it.
    func discard(_ subscription: Subscription) {
        filters.remove(subscription)
        let account = subscription.session.account
        account.subscriptionCount -= 1
        account.queuedLength -= Int(subscription.queue.length)
        totals.eventsQueued -= subscription.queue.eventCount
        totals.bytesQueued -= subscription.queue.length
        subscription.queue.removeAll()
        endStall(subscription)
    }
}
