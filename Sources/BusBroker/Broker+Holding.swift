// What members of groups were handed and haven't acknowledged. It is charged to their users, who are handed nothing
// more when it is too much; what a member that is gone held goes to the others.

import BusWire
import DequeModule

extension Broker {
    /// Whether a user's members may be handed more. The last batch may overdraw.
    func mayHold(_ account: Account) -> Bool {
        account.outstandingEvents < configuration.quotas.outstandingEvents
            && account.outstandingLength < configuration.quotas.outstandingLength
    }

    /// A member was handed a portion. It is in storage of its own: what a group gets has waited in its queue.
    func hold(_ portion: Portion, _ consumer: Consumer, _ holding: Holding) {
        if let durable = consumer.subscription.durable {
            let held = Held(
                delivery: consumer.lastDelivery, portion: portion, brought: portion.selection,
                deadline: now.monotonic + durable.values.acknowledgeWait, sent: now.wall)
            guard !consumer.subscription.mode.contains(.unacknowledged) else {
                return acknowledged(portion, held, consumer)
            }
            holding.append(held)
            durable.outstanding += portion.eventCount
            lookAt(consumer.subscription, held.deadline)
        } else {
            holding.append(Held(delivery: consumer.lastDelivery, portion: portion))
        }
        consumer.session.account.outstandingEvents += portion.eventCount
        consumer.session.account.outstandingLength += Int(portion.length)
    }

    /// A member has handled everything up to a delivery.
    func release(_ consumer: Consumer, through delivery: UInt64) {
        guard let holding = consumer.holding else { return }
        if consumer.subscription.isDurable { return acknowledge(through: delivery, consumer, holding) }
        let (events, length) = holding.release(through: delivery)
        giveBack(events, length, to: consumer.session.account)
        if consumer.subscription.hasWaiting { unsettle(consumer.subscription) }
    }

    func giveBack(_ events: UInt64, _ length: Int, to account: Account) {
        account.outstandingEvents -= events
        account.outstandingLength -= length
        guard !account.starved.isEmpty, mayHold(account) else { return }
        if !relieved.contains(where: { $0 === account }) { relieved.append(account) }
    }

    /// Has one group looked at that waited for a user to acknowledge something; false when there is none, or it is used
    /// up again. One after the other: however many wait, only as many are looked at as there is something for.
    func takeUpStarved() -> Bool {
        while let account = relieved.last {
            if mayHold(account), let consumer = account.nextStarved() {
                unsettle(consumer.subscription)
                return true
            }
            relieved.removeLast()
        }
        return false
    }

    // MARK: Leaving

    /// A member left a group that goes on: what it held goes to the others, and the group to the next one's account.
    func handBack(_ consumer: Consumer) {
        let group = consumer.subscription
        if let durable = group.durable {
            durable.untold.removeAll { $0 === consumer }
            return passOn(releaseHeld(of: consumer), from: consumer)
        }
        moveCharges(of: group)
        // Charged to somebody else it may have been too much, and have ended.
        guard !group.isEnded else { return dropHolding(of: consumer) }
        let queue = group.needQueue()
        for portion in letGo(consumer).reversed() {
            guard portion.attempt < configuration.attemptCountMax else {
                lose(portion, of: group, .attemptsExhausted, queue.missInFront)
                continue
            }
            var again = portion
            again.attempt += 1
            putBack(again, group)
        }
        enforceQuota(of: group)
        unsettle(group)
    }

    /// Takes away what a member held, because nobody comes after it.
    func dropHolding(of consumer: Consumer) {
        for portion in letGo(consumer) { giveUp(portion, of: consumer.subscription, .responderGone) }
    }

    /// What a member held and is still to be done, oldest first; it holds nothing afterwards. Its rights to answer go
    /// with it, and what it has answered is done.
    private func letGo(_ consumer: Consumer) -> [Portion] {
        guard let holding = consumer.holding else { return [] }
        let account = consumer.session.account
        account.feed(consumer)
        let (events, length) = (holding.eventCount, holding.length)
        let portions = holding.releaseAll()
        giveBack(events, length, to: account)
        return portions.compactMap { takeBackRights($0.portion, from: consumer) }
    }

    /// What waits for a group is charged to its oldest member's user.
    private func moveCharges(of group: Subscription) {
        guard let owner = group.consumers.first?.session.account, owner !== group.account else { return }
        let former = group.account
        former.delist(group)
        group.account = owner
        guard let queue = group.queue else { return }
        for batch in queue.portions.map(\.batch) + (group.group?.keys?.waitingBatches ?? []) {
            let (length, uid) = (batch.bytes.count, batch.seal.publisher.uid)
            former.queued.giveBack(length, from: uid)
            owner.queued.charge(length, from: uid)
        }
        if group.hasWaiting { owner.enlist(group) }
        enforceQuota(of: group)
        forget(former)
    }
}
