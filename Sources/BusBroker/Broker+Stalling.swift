// The one exception to "a slow subscriber slows nobody": a subscription with the policy `stall` holds back the
// publishers of the topics it matches, for a bounded time. A held-back publish is parked, not accepted: no sequence,
// no receipt. Only publishes park; credit and acknowledgements of the same session go on, so that a service that
// publishes and subscribes never waits for itself.

import BusWire
import DequeModule
import HeapModule

/// When a stall is over, if it lasts so long.
struct StallDeadline: Comparable {
    let deadline: Moment.Nanoseconds
    let serial: UInt64

    static func < (a: StallDeadline, b: StallDeadline) -> Bool { (a.deadline, a.serial) < (b.deadline, b.serial) }
}

extension Broker {
    /// Whether somebody holds back this topic's publishers now.
    func isStalled(_ topic: TopicState) -> Bool {
        // Nearly always nobody stalls anybody, and the route needn't be looked at.
        guard !stalling.isEmpty else { return false }
        return topic.route(through: filters).subscriptions.contains { $0.stallDeadline != nil }
    }

    func park(_ publish: Publish, _ session: Session) {
        var kept = publish
        kept.batch = publish.batch.compacted()
        // Its seal now: the publisher may close it before the publish goes on. And its counter: a will may follow it
        // under the same seal, and waits for no stall.
        let batch = try? SealedBatch(kept.batch)
        let seal = batch.flatMap { self.seal($0.header.seal, of: session) }
        var refusal: PublishRefusal?
        if let batch, let seal {
            do throws(PublishRefusal) { try checkNext(batch, seal) } catch { refusal = error }
        }
        // Its topic isn't forgotten while something of it waits.
        seal?.topic.sealCount += 1
        if session.parked.isEmpty { parked.append(session) }
        session.parked.append(ParkedPublish(publish: kept, seal: seal, refusal: refusal))
        session.parkedLength += kept.frameLength
        session.account.parkedLength += kept.frameLength
        totals.publishesStalled += 1
    }

    func beginStall(_ subscription: Subscription) {
        guard let queue = subscription.queue, queue.stall == .none else { return }
        // No time at all is over before it begins.
        let time = UInt64(subscription.stallMilliseconds) * 1_000_000
        stalling[subscription.serial] = subscription
        guard time > 0 else { return queue.stall = .timedOut }
        let deadline = now.monotonic + time
        queue.stall = .until(deadline)
        stallDeadlines.insert(StallDeadline(deadline: deadline, serial: subscription.serial))
    }

    /// Ends a stall when its queue has emptied by half, or was discarded.
    func endStall(_ subscription: Subscription) {
        guard let queue = subscription.queue, queue.stall != .none else { return }
        queue.stall = .none
        stalling[subscription.serial] = nil
        mayResume = true
        forgetStallDeadlines()
    }

    /// Nobody is woken for a stall that ended, and no more deadlines are kept than a few for each stall.
    private func forgetStallDeadlines() {
        while let first = stallDeadlines.min, !isDue(first) { stallDeadlines.removeMin() }
        guard stallDeadlines.count > 2 * stalling.count + 64 else { return }
        stallDeadlines = Heap(stallDeadlines.unordered.filter(isDue))
    }

    /// How many deadlines are kept, for tests.
    var stallDeadlineCount: Int { stallDeadlines.count }

    private func isDue(_ stall: StallDeadline) -> Bool { stalling[stall.serial]?.stallDeadline == stall.deadline }

    /// Publishers have waited long enough: from now on the oldest make room.
    func expireStalls() {
        while let first = stallDeadlines.min, first.deadline <= now.monotonic {
            stallDeadlines.removeMin()
            guard let subscription = stalling[first.serial], isDue(first) else { continue }
            subscription.queue?.stall = .timedOut
            mayResume = true
        }
        forgetStallDeadlines()
    }

    /// Takes up parked publishes, in the order in which their sessions began to wait, as far as they may go on.
    func resumeParked() {
        // Once more where a session that was ended on the way held back others. Each turn ends a stall or a session.
        while mayResume {
            mayResume = false
            for session in parked { resume(session) }
            parked.removeAll { $0.parked.isEmpty }
        }
    }

    /// A publish waits no more, whatever became of it.
    func unpark(_ publish: ParkedPublish) {
        // A reply topic is gone with who asked.
        guard let topic = publish.seal?.topic, topics[topic.name] === topic else { return }
        topic.sealCount -= 1
        noteIdle(topic)
    }

    /// A session that said goodbye is gone when all it published is told.
    func finishLeaving(_ session: Session) {
        guard session.phase == .leaving, session.parked.isEmpty, session.uncommittedCount == 0 else { return }
        end(session, .goodbye, "goodbye")
    }

    private func resume(_ session: Session) {
        while let next = session.parked.first {
            guard accept(next.publish, from: session, asParked: next) else { return }
            // Refusing it can end a session that doesn't read, which gives back all it has parked.
            guard !session.parked.isEmpty else { return }
            session.parked.removeFirst()
            unpark(next)
            session.parkedLength -= next.publish.frameLength
            session.account.parkedLength -= next.publish.frameLength
        }
        finishLeaving(session)
    }
}
