// Groups: each event goes to one member. What came in a round is handed out at its end, so that it can be shared by
// what each member has to do.

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
        repeat {
            while !unsettled.isEmpty {
                let groups = unsettled
                unsettled = []
                for group in groups {
                    group.group?.isUnsettled = false
                    guard !group.isEnded else { continue }
                    settle(group)
                }
            }
        } while takeUpStarved()
    }

    private func settle(_ group: Subscription) {
        if let durable = group.durable { tellRemoved(durable, group) }
        if group.hasWaiting { handOut(group) }
        // Somebody can take more: nothing is dropped before.
        guard group.group?.isUnsettled != true else { return }
        guard let queue = group.queue else { return group.isDurable ? settled(group) : () }
        if !group.hasWaiting { group.account.delist(group) }
        if group.isDurable { return settled(group) }
        if group.stall != .none, queue.isRelaxed { endStall(group) }
        boundQueue(group)
        guard group.hasWaiting else { return }
        for consumer in group.consumers where isReady(consumer) { enlist(consumer) }
    }

    /// A durable subscription was handed what its consumers take: the next page, perhaps, and who waits for room.
    private func settled(_ subscription: Subscription) {
        readOn(.durable(subscription))
        tellCaughtUp(subscription)
        guard subscription.hasWaiting else { return }
        for consumer in subscription.consumers where isReady(consumer) { enlist(consumer) }
    }

    /// Tells what a durable subscription can't get any more, to whoever of its consumers takes it first.
    private func tellRemoved(_ durable: Durable, _ subscription: Subscription) {
        guard !durable.missed.isEmpty else { return }
        guard let consumer = subscription.consumers.first(where: { $0.session.phase == .open }) else { return }
        tell(durable.missed.take(), to: consumer)
        // The next daemon isn't to tell it once more.
        touch(subscription)
    }

    /// Whether a member lacks at most room on its connection. Who takes nothing because its user holds too much goes on
    /// when that user acknowledges anything.
    func isReady(_ consumer: Consumer) -> Bool {
        guard isServed(consumer) else { return false }
        if let durable = consumer.subscription.durable, !durable.mayHandOut { return false }
        guard mayHold(consumer.session.account) else {
            consumer.session.account.starve(consumer)
            return false
        }
        return true
    }

    /// Whether a member has credit, and is no standby.
    func isServed(_ consumer: Consumer) -> Bool {
        let group = consumer.subscription
        return consumer.hasCredit && (!group.isExclusive || group.consumers.first === consumer)
    }

    private func handOut(_ subscription: Subscription) {
        guard let queue = subscription.queue, let group = subscription.group else { return }
        let ready = subscription.consumers.filter(mayBeHanded)
        guard !ready.isEmpty else { return }
        // Equals take turns in being the first.
        group.nextTurn = (group.nextTurn + 1) % ready.count
        let turn = Array(ready[group.nextTurn...] + ready[..<group.nextTurn])
        let shares = groupShares(of: countToHandOut(subscription, queue), among: rooms(of: turn))
        if let keys = group.keys, !keys.isEmpty || !subscription.isExclusive {
            handOut(queue, byKeys: keys, of: subscription, to: turn, shares)
        } else {
            handOut(queue, to: turn, shares)
        }
        // Where bytes or the connection ended before the share did, somebody else may take the rest.
        if subscription.consumers.contains(where: { subscription.hasAnything(for: $0) && mayBeHanded($0) }) {
            unsettle(subscription)
        }
    }

    /// Whether a member could be handed something now.
    func mayBeHanded(_ consumer: Consumer) -> Bool { isReady(consumer) && canWrite(consumer.session) }

    /// Cuts what waits into the members' shares.
    private func handOut(_ queue: DeliveryQueue, to turn: [Consumer], _ shares: [UInt64]) {
        // Two who share a batch both get and open the whole of it: worth it only where there are fewer than members.
        // What one takes beyond or below its share then, the next one takes less or more.
        let mayCut = queue.count < turn.count
        let last = shares.lastIndex { $0 > 0 }
        var rest: Int64 = 0
        for (index, consumer) in turn.enumerated() where shares[index] > 0 {
            rest += Int64(shares[index])
            rest = hand(rest, of: queue, to: consumer, cut: mayCut ? .exactly : index == last ? .upwards : .nearest)
        }
    }

    /// How many events may be handed out now. A durable subscription bounds what its consumers hold all together; the
    /// last batch may overdraw.
    private func countToHandOut(_ subscription: Subscription, _ queue: DeliveryQueue) -> UInt64 {
        let count = queue.eventCount + (subscription.group?.keys?.waitingCount ?? 0)
        guard let durable = subscription.durable else { return count }
        let most = durable.values.outstandingCountMax
        return min(count, most - min(durable.outstanding, most))
    }

    /// What each member is ready for; what a user may still hold is shared by its members.
    private func rooms(of members: [Consumer]) -> [GroupMember] {
        var counts: [UInt32: UInt64] = [:]
        for member in members { counts[member.session.account.uid, default: 0] += 1 }
        return members.map { member in
            let account = member.session.account
            let left = UInt64(configuration.quotas.outstandingEvents) - account.outstandingEvents
            let room = max(1, left / (counts[account.uid] ?? 1))
            return GroupMember(
                outstanding: member.outstanding, room: min(member.creditEvents - member.sentEvents, room))
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
        while rest > 0, consumer.hasCredit, canWrite(consumer.session), mayHold(consumer.session.account),
            let first = queue.first
        {
            let count = Int64(first.eventCount)
            let isWhole = count <= rest || cut == .upwards || (cut == .nearest && rest * 2 >= count)
            guard isWhole || cut == .exactly else { break }
            tellMissed(consumer)
            guard let portion = take(isWhole ? first.eventCount : UInt64(rest), of: queue, group) else { break }
            rest -= Int64(portion.eventCount)
            deliver(portion, to: consumer)
        }
        // What was lost behind the last one is told now: perhaps nothing follows.
        if queue.isEmpty, canWrite(consumer.session) { tellMissed(consumer) }
        return rest
    }

    /// Takes the first events of a queue's first portion out, and what is charged for them back.
    func take(_ count: UInt64, of queue: DeliveryQueue, _ subscription: Subscription) -> Portion? {
        let isWhole = queue.first.map { $0.eventCount <= count } ?? true
        guard let portion = queue.popFirst(events: count) else { return nil }
        // A batch that is cut stays in the queue with its length until its last event has gone.
        if isWhole {
            returnCharge(portion, subscription)
        } else {
            totals.eventsQueued -= portion.eventCount
        }
        return portion
    }
}
