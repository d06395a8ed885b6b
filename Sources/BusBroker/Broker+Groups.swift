// Groups: each event goes to one member. What came in a round is handed out at its end, so that it can be shared by
// what each member has to do; what a member that is gone hadn't acknowledged goes to the others.

import BusWire
import DequeModule

extension Broker {
    /// Has a group's queue looked at when the round ends: events came, or a member can take more.
    func unsettle(_ subscription: Subscription) {
        guard let group = subscription.group, !group.isUnsettled, !subscription.isEnded else { return }
        group.isUnsettled = true
        unsettled.append(subscription)
    }

    func settleGroups() {
        while !unsettled.isEmpty {
            let groups = unsettled
            unsettled = []
            for group in groups {
                group.group?.isUnsettled = false
                guard !group.isEnded else { continue }
                settle(group)
            }
        }
    }

    private func settle(_ group: Subscription) {
        if group.hasQueued { handOut(group) }
        // Somebody can take more: nothing is dropped before.
        guard group.group?.isUnsettled != true else { return }
        guard let queue = group.queue else { return }
        if queue.isEmpty { group.account.delist(group) }
        if group.stall != .none, queue.isRelaxed { endStall(group) }
        boundQueue(group)
        guard group.hasQueued else { return }
        for consumer in group.consumers where isReady(consumer) { enlist(consumer) }
    }

    /// Whether a member lacks at most room on its connection. Who takes nothing because its user holds too much goes on
    /// when that user acknowledges anything.
    private func isReady(_ consumer: Consumer) -> Bool {
        let (group, account) = (consumer.subscription, consumer.session.account)
        guard !group.isExclusive || group.consumers.first === consumer, consumer.hasCredit else { return false }
        guard account.outstandingEvents >= configuration.quotas.outstandingEvents else { return true }
        if !account.starved.contains(where: { $0 === group }) { account.starved.append(group) }
        return false
    }

    private func handOut(_ subscription: Subscription) {
        guard let queue = subscription.queue, let group = subscription.group else { return }
        let ready = subscription.consumers.filter { isReady($0) && canWrite($0.session) }
        guard !ready.isEmpty else { return }
        // Equals take turns in being the first.
        group.nextTurn = (group.nextTurn + 1) % ready.count
        let turn = Array(ready[group.nextTurn...] + ready[..<group.nextTurn])
        let members = turn.map { consumer in
            let left = configuration.quotas.outstandingEvents - Int(consumer.session.account.outstandingEvents)
            return GroupMember(
                outstanding: consumer.outstanding, room: min(consumer.creditEvents - consumer.sentEvents, UInt64(left)))
        }
        let shares = groupShares(of: queue.eventCount, among: members)
        // Two who share a batch both get and open the whole of it: worth it only where there are fewer than members.
        // What one takes beyond or below its share then, the next one takes less or more.
        let mayCut = queue.count < turn.count
        let last = shares.lastIndex { $0 > 0 }
        var rest: Int64 = 0
        for (index, consumer) in turn.enumerated() where shares[index] > 0 {
            rest += Int64(shares[index])
            rest = hand(rest, of: queue, to: consumer, cut: mayCut ? .exactly : index == last ? .upwards : .nearest)
        }
        // Where bytes or the connection ended before the share did, somebody else may take the rest.
        if subscription.hasQueued, subscription.consumers.contains(where: { isReady($0) && canWrite($0.session) }) {
            unsettle(subscription)
        }
    }

    /// What becomes of the batch in which a share ends.
    private enum Cut {
        /// It is cut there.
        case exactly
        /// It belongs to the share that more than half of it is in.
        case nearest
        /// It belongs to the share: nobody comes behind it.
        case upwards
    }

    /// Hands the next events of a queue to one member, as many as its share, its credit and its connection allow.
    ///
    /// - Returns: what is left of the share; below zero what was taken beyond it.
    private func hand(_ share: Int64, of queue: DeliveryQueue, to consumer: Consumer, cut: Cut) -> Int64 {
        let group = consumer.subscription
        var rest = share
        while rest > 0, consumer.hasCredit, canWrite(consumer.session), let first = queue.first {
            let count = Int64(first.eventCount)
            let isWhole = count <= rest || cut == .upwards || (cut == .nearest && rest * 2 >= count)
            guard isWhole || cut == .exactly else { break }
            tellMissed(consumer)
            guard let portion = queue.popFirst(events: isWhole ? first.eventCount : UInt64(rest)) else { break }
            // A batch that is cut stays in the queue with its length until its last event has gone.
            if isWhole {
                returnCharge(portion, group)
            } else {
                totals.eventsQueued -= portion.eventCount
            }
            rest -= Int64(portion.eventCount)
            deliver(portion, to: consumer)
        }
        // What was lost behind the last one is told now: perhaps nothing follows.
        if queue.isEmpty, canWrite(consumer.session) { tellMissed(consumer) }
        return rest
    }

    // MARK: What members hold

    /// A member has handled everything up to a delivery.
    func release(_ consumer: Consumer, through delivery: UInt64) {
        guard let holding = consumer.holding else { return }
        let account = consumer.session.account
        account.outstandingEvents -= holding.release(through: delivery)
        if consumer.subscription.hasQueued { unsettle(consumer.subscription) }
        guard account.outstandingEvents < configuration.quotas.outstandingEvents, !account.starved.isEmpty else {
            return
        }
        let starved = account.starved
        account.starved = []
        for group in starved { unsettle(group) }
    }

    /// A member left a group that goes on: what it held goes to the others, and the group to the next one's account.
    func handBack(_ consumer: Consumer) {
        let group = consumer.subscription
        moveCharges(of: group)
        guard let holding = consumer.holding else { return }
        let queue = group.needQueue()
        consumer.session.account.outstandingEvents -= holding.eventCount
        for (_, portion) in holding.releaseAll().reversed() {
            takeBackRights(portion, from: consumer.session)
            var again = Portion(portion.batch, portion.selection, attempt: portion.attempt)
            guard portion.attempt < configuration.attemptCountMax else {
                lose(portion, of: group, .attemptsExhausted, queue.missInFront)
                continue
            }
            again.attempt += 1
            queue.prepend(again)
            charge(again, group)
        }
        enforceQuota(of: group)
        unsettle(group)
    }

    /// A group's last member left: what it held is nobody's any more.
    func dropHolding(of consumer: Consumer) {
        guard let holding = consumer.holding else { return }
        consumer.session.account.outstandingEvents -= holding.eventCount
        for (_, portion) in holding.releaseAll() {
            takeBackRights(portion, from: consumer.session)
            giveUp(portion, of: consumer.subscription, .responderGone)
        }
    }

    /// What waits for a group is charged to its oldest member's user.
    private func moveCharges(of group: Subscription) {
        guard let owner = group.consumers.first?.session.account, owner !== group.account else { return }
        let former = group.account
        former.delist(group)
        group.account = owner
        guard let queue = group.queue else { return }
        for portion in queue.portions {
            let (length, uid) = (Int(portion.length), portion.batch.seal.publisher.uid)
            former.queued.giveBack(length, from: uid)
            owner.queued.charge(length, from: uid)
        }
        if !queue.isEmpty { owner.enlist(group) }
        enforceQuota(of: group)
        forget(former)
    }
}
