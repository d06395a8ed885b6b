// When something was accepted that shows only in what follows from it.

import BusBroker
import BusWire

extension Model {
    /// Whether an effect can't be explained by what was accepted so far.
    func presumesMore(_ effect: Effect, _ open: [Acceptance]) -> Bool {
        switch effect {
        // A shutdown closes everybody, and nothing is accepted behind it.
        case .close(let id, let reason, _): return reason == .shuttingDown || isOpen(id, open)
        case .send(let id, let frame):
            guard let session = sessions[id] else { return false }
            return presumesMore(frame, session)
        default: return false
        }
    }

    private func isOpen(_ id: SessionID, _ open: [Acceptance]) -> Bool {
        open.contains { if case .publish(let session) = $0 { session.id == id } else { false } }
    }

    private func presumesMore(_ frame: Frame, _ session: ModelSession) -> Bool {
        switch frame {
        case .closing: return true
        case .receipts(let receipts): return receipts.progress > session.progress
        case .error(let error): return error.inReplyTo == FrameType.publish.rawValue && session.owedRefusals.isEmpty
        case .announce(let announcement): return knownSeal(announcement.seal, session) == nil
        case .gap(let gap):
            guard let stream = session.subscriptions[gap.subscription]?.stream else { return false }
            if isForeseen(stream) { return !isExact(gap, stream) }
            // What was superseded was so by something that is owed now.
            let last = gap.reason == .superseded ? gap.lastSequence + 1 : gap.lastSequence
            return !stream.owed.contains {
                $0.topic.bytes == gap.topic && $0.firstSequence <= gap.lastSequence + 1 && last <= $0.lastSequence
            }
        case .deliver(let deliver):
            guard let subscription = session.subscriptions[deliver.subscription] else { return false }
            let stream = subscription.stream
            let entry = stream.owed.first { $0.batch.bytes == deliver.batch && $0.lost == nil }
            guard let entry else { return true }
            return isForeseen(stream) && !isNext(entry, stream, subscription)
        case .unanswered(let word):
            return !session.requests.contains { $0.correlation == word.correlation }
        case .sealLimits(let limits):
            guard !session.closedSeals.contains(limits.seal) else { return false }
            return !session.owedBounds.contains { $0.seal == limits.seal }
        case .unsubscribed(let end):
            // Put out because of something that was accepted: as much as is counted.
            guard end.reason != .unsubscribed, let subscription = session.subscriptions[end.subscription] else {
                return false
            }
            let live = subscription.stream.owed.filter { !$0.isStored }
            let known = live.reduce(subscription.missedCount) { $0 + $1.eventCount }
            return end.reason == .quotaExceeded ? known <= end.missedCount : known < end.missedCount
        default: return false
        }
    }
}
