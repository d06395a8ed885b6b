// Delivery: a batch goes at once to every subscription that is ready for it, and waits in the queue of the others.
//
// Nothing is handed to a session beyond one round's worth: what the kernel doesn't take waits here, where it is
// counted, charged and dropped by policy, and not in the transport.

import BusWire
import DequeModule
import OrderedCollections

extension Broker {
    func fanOut(_ portion: Portion, to route: [Subscription]) {
        var kept: Portion?
        for subscription in route {
            guard !subscription.isEnded else {
                // It would rather end than miss something, and ended when room was made for this.
                giveUp(portion, of: subscription, .quotaExceeded)
                continue
            }
            if portion.batch.position != 0, let catchUp = subscription.consumers.first?.backlog?.catchUp {
                // Still reading what is stored: it comes from there.
                if kept == nil { kept = Portion(portion.batch.compacted, portion.selection) }
                if let kept, !catchUp.admits(kept) { continue }
            }
            if !subscription.isShared, !subscription.hasQueued, let consumer = subscription.consumers.first,
                consumer.backlog == nil, consumer.hasCredit, canWrite(consumer.session)
            {
                tellMissed(consumer)
                deliver(portion, to: consumer)
                continue
            }
            // What outlives its round leaves the storage it was received in, once for all queues.
            let waiting = kept ?? Portion(portion.batch.compacted, portion.selection)
            kept = waiting
            if subscription.isDurable { offer(waiting, to: subscription) } else { enqueue(waiting, to: subscription) }
        }
    }

    func canWrite(_ session: Session) -> Bool {
        !session.isBlocked && session.roundLength < configuration.roundLengthMax
            && session.roundCount < configuration.roundCountMax && session.phase == .open
    }

    /// Takes a consumer that lacks nothing but room on its connection among those that go on when it drains. One
    /// without credit isn't among them: its next credit takes it up, and a drained connection never walks past it.
    func enlist(_ consumer: Consumer) {
        guard !consumer.isWaiting, consumer.hasCredit, consumer.backlog != nil || consumer.subscription.hasWaiting
        else {
            return
        }
        consumer.isWaiting = true
        consumer.session.waiting.append(consumer)
    }

    /// Hands a portion to a consumer: whose seal it is, and the batch. What was lost before it has been told.
    func deliver(_ whole: Portion, to consumer: Consumer, isStored: Bool = false) {
        guard let fresh = unexpired(whole, for: consumer), let portion = claim(fresh, for: consumer) else { return }
        let (session, batch) = (consumer.session, portion.batch)
        // It is written to anyway: what it publishes is told along.
        if session.isPatient { tellAtRoundEnd(session) }
        introduce(batch.seal, to: session)
        consumer.lastDelivery += 1
        consumer.sentEvents += portion.eventCount
        consumer.sentBytes += portion.length
        session.roundLength += batch.bytes.count
        session.roundCount += 1
        session.counters.eventsDelivered += portion.eventCount
        session.counters.bytesDelivered += portion.length
        session.counters.deliverRate.note(portion.eventCount, at: now.monotonic)
        totals.batchesDelivered += 1
        totals.eventsDelivered += portion.eventCount
        totals.bytesDelivered += portion.length
        if let holding = consumer.holding { hold(portion, consumer, holding) }
        let isAnswerable = batch.requests != nil && consumer.subscription.responds
        let mayBeRepeated = consumer.subscription.durable?.mayBeRepeated(portion) ?? false
        emit(
            .send(
                session.id,
                .deliver(
                    Deliver(
                        subscription: consumer.number, attempt: portion.attempt, delivery: consumer.lastDelivery,
                        firstSequence: batch.firstSequence, time: batch.time, isStored: isStored,
                        hasMore: batch.hasMore, isAnswerable: isAnswerable, mayBeRepeated: mayBeRepeated,
                        selection: portion.selection.isAll ? .empty : SharedBytes(portion.selection.bytes),
                        batch: batch.bytes))))
    }

    /// Tells a session whose seal a number is and grants the topic's secret, before it gets the first batch of either.
    func introduce(_ seal: Seal, to session: Session) {
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
            topicIncarnation: seal.topic.incarnation, forgetsEarlier: forgetsEarlier)
        emit(.send(session.id, .announce(announcement)))
        session.announced.insert(seal.number)
        if session.granted.insert(GrantKey(topic: seal.topic.number, epoch: seal.epoch)).inserted {
            emit(.grant(session.id, topic: seal.topic.name, epoch: seal.epoch))
        }
    }

    func drained(_ id: SessionID) {
        guard let session = sessions[id] else { return }
        session.isBlocked = false
        if session.isUnreceipted { mayTell = true }
        session.roundLength = 0
        session.roundCount = 0
        session.unreadCount = 0
        // Each waiting consumer once; one that still can go on stands behind the others then. Some have lost their
        // queue since they were enlisted, and there is nothing to do.
        for _ in 0..<session.waiting.count {
            guard canWrite(session), let consumer = session.waiting.popFirst() else { break }
            consumer.isWaiting = false
            if consumer.subscription.isShared { unsettle(consumer.subscription) } else { pump(consumer) }
        }
    }

    /// Delivers what waits for a consumer of its own while its credit and its session's round allow: first the last
    /// values it asked for, then what was accepted since.
    func pump(_ consumer: Consumer) {
        let (session, subscription) = (consumer.session, consumer.subscription)
        pumpBacklog(consumer)
        guard let queue = subscription.queue else { return enlist(consumer) }
        if consumer.backlog == nil {
            while consumer.hasCredit, canWrite(session), !queue.isEmpty {
                // Before it is taken out: what lies in front then was lost behind it.
                tellMissed(consumer)
                guard let portion = queue.popFirst() else { break }
                returnCharge(portion, subscription)
                deliver(portion, to: consumer)
            }
        }
        if queue.isEmpty {
            subscription.account.delist(subscription)
            // What was lost behind the last one is told now: perhaps nothing follows.
            if canWrite(session), consumer.backlog == nil { tellMissed(consumer) }
        }
        if subscription.stall != .none, queue.isRelaxed { endStall(subscription) }
        enlist(consumer)
    }

    /// Delivers last values, then the marker.
    private func pumpBacklog(_ consumer: Consumer) {
        guard let backlog = consumer.backlog else { return }
        while consumer.hasCredit, canWrite(consumer.session), let portion = backlog.popFirst() {
            giveBack(Int(portion.length), of: backlog, consumer.session.account)
            let before = consumer.sentEvents
            deliver(portion, to: consumer, isStored: true)
            backlog.told += consumer.sentEvents - before
        }
        guard backlog.isOver else {
            if backlog.catchUp != nil { readOn(.ephemeral(consumer)) }
            return
        }
        consumer.backlog = nil
        emit(.send(consumer.session.id, .caughtUp(CaughtUp(subscription: consumer.number, count: backlog.told))))
    }

    /// Gives back what was charged for a backlog, or a part of it.
    func giveBack(_ length: Int, of backlog: Backlog, _ account: Account) {
        if backlog.catchUp == nil {
            account.queued.giveBack(length, from: account.uid)
        } else {
            account.windowLength -= length
        }
    }

    /// Tells what was lost in front of the next delivery.
    func tellMissed(_ consumer: Consumer) {
        guard let queue = consumer.subscription.queue, queue.hasMissedInFront else { return }
        tell(queue.takeMissed(), to: consumer)
    }

    func tell(_ missed: MissedEvents, to consumer: Consumer) {
        for (key, missed) in missed.entries {
            let gap = Gap(
                subscription: consumer.number, reason: key.reason, count: missed.isExact ? missed.count : nil,
                firstSequence: missed.firstSequence, lastSequence: missed.lastSequence, topic: key.topic?.bytes ?? [])
            emit(.send(consumer.session.id, .gap(gap)))
        }
    }
}
