// The one exception to "a slow subscriber slows nobody": a subscription with the policy `stall` holds back the
// publishers of the topics it matches, for a bounded time. A held-back publish is parked, not accepted: no sequence,
// no receipt. Only publishes park; credit and acknowledgements of the same session go on, so that a service that
// publishes and subscribes never waits for itself.

import BusWire
import DequeModule

extension Broker {
    /// Whether somebody holds back this topic's publishers now.
    func isStalled(_ topic: TopicState) -> Bool {
        // Nearly always nobody stalls anybody, and the route needn't be looked at.
        guard !stalling.isEmpty else { return false }
        return topic.route(through: filters).contains { $0.stallDeadline != nil }
    }

    func park(_ publish: Publish, _ session: Session) {
        var kept = publish
        kept.batch = publish.batch.compacted()
        if session.parked.isEmpty { parked.append(session) }
        session.parked.append(kept)
        session.parkedLength += kept.batch.count
        session.account.parkedLength += kept.batch.count
        totals.publishesStalled += 1
    }

    func beginStall(_ subscription: Subscription, at now: Moment) {
        guard subscription.stall == .none else { return }
        subscription.stall = .until(now.monotonic + subscription.stallTime)
        stalling.append(subscription)
    }

    /// Ends a stall when its queue has emptied by half, or was discarded.
    func endStall(_ subscription: Subscription) {
        guard subscription.stall != .none else { return }
        subscription.stall = .none
        stalling.removeAll { $0 === subscription }
        mayResume = true
    }

    /// Publishers have waited long enough: from now on the oldest make room.
    func expireStalls(at now: Moment) {
        for subscription in stalling where (subscription.stallDeadline ?? .max) <= now.monotonic {
            subscription.stall = .timedOut
            mayResume = true
        }
    }

    /// Takes up parked publishes, in the order in which their sessions began to wait, as far as they may go on.
    func resumeParked(at now: Moment) {
        guard mayResume else { return }
        mayResume = false
        for session in parked {
            while let publish = session.parked.first, session.phase == .open {
                guard accept(publish, from: session, at: now) else { break }
                session.parked.removeFirst()
                session.parkedLength -= publish.batch.count
                session.account.parkedLength -= publish.batch.count
            }
        }
        parked.removeAll { $0.parked.isEmpty }
    }
}
