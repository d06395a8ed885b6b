// Delivery: a batch goes at once to every subscription that is ready for it, and waits in the queue of the others.
//
// Nothing is handed to a session beyond one round's worth: what the kernel doesn't take waits here, where it is
// counted, charged and dropped by policy, and not in the transport.

import BusWire
import DequeModule

extension Broker {
    func fanOut(_ batch: AcceptedBatch, to route: [Subscription], at now: Moment) {
        var kept: AcceptedBatch?
        for subscription in route {
            if subscription.queue.isEmpty, subscription.hasCredit, canWrite(subscription.session) {
                tellMissed(subscription)
                deliver(batch, to: subscription)
                continue
            }
            // What outlives its round leaves the storage it was received in, once for all queues.
            let waiting =
                kept
                ?? AcceptedBatch(
                    seal: batch.seal, bytes: batch.bytes.compacted(), firstSequence: batch.firstSequence,
                    eventCount: batch.eventCount, time: batch.time)
            kept = waiting
            enqueue(waiting, to: subscription, at: now)
        }
    }

    private func canWrite(_ session: Session) -> Bool {
        !session.isBlocked && session.roundLength < configuration.roundLengthMax
            && session.roundCount < configuration.roundCountMax && session.phase == .open
    }

    private func enqueue(_ batch: AcceptedBatch, to subscription: Subscription, at now: Moment) {
        let account = subscription.session.account
        subscription.queue.append(batch)
        account.queuedLength += batch.bytes.count
        totals.eventsQueued += UInt64(batch.eventCount)
        totals.bytesQueued += UInt64(batch.bytes.count)
        if subscription.policy == .stall, subscription.queue.isFull { beginStall(subscription, at: now) }
        makeRoom(subscription)
        enlist(subscription)
    }

    /// Takes a subscription that lacks nothing but room on its connection among those that go on when it drains. One
    /// without credit isn't among them: its next credit takes it up, and a drained connection never walks past it.
    private func enlist(_ subscription: Subscription) {
        guard !subscription.isWaiting, subscription.hasCredit, !subscription.queue.isEmpty else { return }
        subscription.isWaiting = true
        subscription.session.waiting.append(subscription)
    }

    /// Drops the oldest until the queue is within its bounds and its user within its own.
    private func makeRoom(_ subscription: Subscription) {
        let account = subscription.session.account
        let mayDrop = subscription.policy == .dropOldest || subscription.stall == .timedOut
        let reason: Reason = subscription.policy == .stall ? .stallTimedOut : .queueFull
        while (mayDrop && subscription.queue.isOverfull) || account.queuedLength > configuration.queuedLengthMax {
            guard let dropped = subscription.queue.dropFirst(reason) else { break }
            returnCharge(dropped, subscription)
            subscription.missedCount += UInt64(dropped.eventCount)
            totals.eventsMissed += UInt64(dropped.eventCount)
        }
    }

    private func returnCharge(_ batch: AcceptedBatch, _ subscription: Subscription) {
        subscription.session.account.queuedLength -= batch.bytes.count
        totals.eventsQueued -= UInt64(batch.eventCount)
        totals.bytesQueued -= UInt64(batch.bytes.count)
    }

    private func deliver(_ batch: AcceptedBatch, to subscription: Subscription) {
        let session = subscription.session
        // It is written to anyway: what it publishes is told along.
        if session.isPatient { tellAtRoundEnd(session) }
        introduce(batch.seal, to: session)
        subscription.lastDelivery += 1
        subscription.sentEvents += UInt64(batch.eventCount)
        subscription.sentBytes += UInt64(batch.bytes.count)
        session.roundLength += batch.bytes.count
        session.roundCount += 1
        totals.batchesDelivered += 1
        totals.eventsDelivered += UInt64(batch.eventCount)
        totals.bytesDelivered += UInt64(batch.bytes.count)
        emit(
            .send(
                session.id,
                .deliver(
                    Deliver(
                        subscription: subscription.number, delivery: subscription.lastDelivery,
                        firstSequence: batch.firstSequence, time: batch.time, batch: batch.bytes))))
    }

    /// Tells a session whose seal a number is and grants the topic's secret, before it gets the first batch of either.
    private func introduce(_ seal: Seal, to session: Session) {
        guard !session.announced.contains(seal.number) else { return }
        var forgetsEarlier = false
        if session.announced.count >= configuration.announcedCountMax {
            // Both sides forget together, so that neither grows with the publishers that came and went.
            session.announced = []
            session.granted = []
            forgetsEarlier = true
        }
        let announcement = Announcement(
            seal: seal.number, epoch: seal.epoch, uid: seal.publisher.uid, gid: seal.publisher.gid, salt: seal.salt,
            keyCheck: seal.keyCheck, topic: seal.topic.name.bytes, publisher: seal.publisherName,
            forgetsEarlier: forgetsEarlier)
        emit(.send(session.id, .announce(announcement)))
        session.announced.insert(seal.number)
        if session.granted.insert(GrantKey(topic: seal.topic.number, epoch: seal.epoch)).inserted {
            emit(.grant(session.id, topic: seal.topic.name, epoch: seal.epoch))
        }
    }

    func drained(_ id: SessionID, at now: Moment) {
        guard let session = sessions[id] else { return }
        session.isBlocked = false
        if session.isUnreceipted { mayTell = true }
        session.roundLength = 0
        session.roundCount = 0
        session.unreadCount = 0
        // Each waiting subscription once; one that still can go on stands behind the others then. Some have lost
        // their queue since they were enlisted, and there is nothing to do.
        for _ in 0..<session.waiting.count {
            guard canWrite(session), let subscription = session.waiting.popFirst() else { break }
            subscription.isWaiting = false
            pump(subscription, at: now)
        }
    }

    /// Delivers from a subscription's queue while its credit and its session's round allow.
    func pump(_ subscription: Subscription, at now: Moment) {
        let session = subscription.session
        while subscription.hasCredit, canWrite(session), !subscription.queue.isEmpty {
            tellMissed(subscription)
            guard let batch = subscription.queue.popFirst() else { break }
            returnCharge(batch, subscription)
            deliver(batch, to: subscription)
        }
        if subscription.stall != .none, subscription.queue.isRelaxed { endStall(subscription) }
        enlist(subscription)
    }

    /// Tells what was dropped in front of the next delivery.
    func tellMissed(_ subscription: Subscription) {
        for (key, missed) in subscription.queue.takeMissed() {
            let gap = Gap(
                subscription: subscription.number, reason: key.reason, count: missed.count,
                firstSequence: missed.firstSequence, lastSequence: missed.lastSequence, topic: key.topic?.bytes ?? [])
            emit(.send(subscription.session.id, .gap(gap)))
        }
    }
}
