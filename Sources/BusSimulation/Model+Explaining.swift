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
        case .announce(let announcement): return !isOwed(session) { $0.batch.seal.number == announcement.seal }
        case .gap(let gap):
            return !isOwed(session) {
                $0.topic.bytes == gap.topic && $0.firstSequence <= gap.lastSequence && gap.lastSequence <= $0.lastSequence
            }
        case .deliver(let deliver):
            let owed = session.subscriptions[deliver.subscription]?.stream.owed ?? []
            return !owed.contains { $0.batch.bytes == deliver.batch }
        case .unanswered(let word):
            return !session.requests.contains { $0.correlation == word.correlation }
        case .sealLimits(let limits):
            return !session.owedBounds.contains { $0.seal == limits.seal }
        case .unsubscribed(let end):
            return end.reason != .unsubscribed
        default: return false
        }
    }

    private func isOwed(_ session: ModelSession, _ isIt: (OwedEntry) -> Bool) -> Bool {
        session.subscriptions.values.contains { $0.stream.owed.contains(where: isIt) }
    }
}
