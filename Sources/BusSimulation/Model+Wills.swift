// Last wills: published exactly when their session ends in any way but its own goodbye or the daemon's.

import BusBroker
import BusWire

extension Model {
    func note(_ will: Will, _ sample: SampleBatch?, _ session: ModelSession) {
        guard let sample else {
            session.will = nil
            session.owedAnswers.append(.done(.will, will.request))
            return
        }
        let known = session.seals[sample.seal].flatMap { $0.keyCheck == nil ? nil : $0 }
        guard !sample.hasBadHeader, let seal = known, takesCounter(sample, of: seal) else {
            let reason: Reason =
                sample.hasBadHeader ? .malformedBatch : known == nil ? .unknownSeal : .counterOutOfOrder
            return owe(session, .will, will.request, [reason])
        }
        var faults: Set<Reason> = []
        if sample.eventCount != 1 || sample.hasBadColumns { faults.insert(.malformedBatch) }
        if will.batch.count > Limits.willLengthMax { faults.insert(.willTooLarge) }
        let old = session.will?.will.batch.count ?? 0
        if exceedsRetention(will.batch.count, session.uid, replacing: old).surely { faults.insert(.quotaExceeded) }
        if seal.topic.isReserved { faults.insert(.noReplyRight) }
        guard faults.isEmpty else { return owe(session, .will, will.request, faults) }
        session.will = ModelWill(will: will, seal: seal)
        session.owedAnswers.append(.done(.will, will.request))
        tally[.willSet] += 1
    }

    /// Those that are gone with these effects leave their wills, which are published when the round is over.
    func noteWillsOfClosed(in effects: [Effect]) {
        for case .close(let id, let reason, _) in effects {
            guard let session = sessions[id], let will = session.will else { continue }
            session.will = nil
            if reason != .shuttingDown, session.phase == .open { wills.append(will) }
        }
    }

    func execute(_ will: ModelWill) throws(Violation) {
        let batch = accept(will.will.batch, count: 1, will.seal)
        if will.will.retains || retainsAlways(batch.topic) { retain(batch, isTombstone: will.will.isTombstone) }
        try owe(batch, batch.places, to: matches(batch.topic), waits: false)
        tally[.willPublished] += 1
    }
}
