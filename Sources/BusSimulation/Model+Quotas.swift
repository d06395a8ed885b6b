// What one user may hold, over all its sessions: when it must be refused, and when it may be.

import BusBroker
import BusWire

extension Model {
    private func sessions(of uid: UInt32) -> [ModelSession] { sessions.values.filter { $0.uid == uid } }

    func subscriptionCount(of uid: UInt32) -> Int { sessions(of: uid).reduce(0) { $0 + $1.subscriptions.count } }

    func requestCount(of uid: UInt32) -> Int { sessions(of: uid).reduce(0) { $0 + $1.requests.count } }

    /// Events that a user's members of groups hold.
    func outstanding(of uid: UInt32) -> Int {
        sessions(of: uid).reduce(0) { $0 + $1.subscriptions.values.reduce(0) { $0 + $1.outstanding } }
    }

    /// Whether a user's members of groups may be handed more.
    func mayHold(_ uid: UInt32) -> Bool { outstanding(of: uid) < configuration.quotas.outstandingEvents }

    /// Bytes of last values and wills a user has left.
    func retainedLength(of uid: UInt32) -> Int {
        let values = topics.values.compactMap(\.lastValue).filter { $0.batch.seal.uid == uid }
        let wills = sessions(of: uid).compactMap(\.will) + self.wills.filter { $0.seal.uid == uid }
        return values.reduce(0) { $0 + $1.batch.bytes.count } + wills.reduce(0) { $0 + $1.will.batch.count }
    }

    /// Whether what is to be kept goes beyond what a user may have kept, and whether it does even when what it takes
    /// the place of is taken off.
    func exceedsRetention(_ length: Int, _ uid: UInt32, replacing old: Int) -> (perhaps: Bool, surely: Bool) {
        let (used, limit) = (retainedLength(of: uid), configuration.quotas.retainedLength)
        return (used + length > limit, used - old + length > limit)
    }

    /// Whether a user may be told that it publishes too fast: only if it would have tried to publish more than a
    /// second's worth within a second.
    func mayBeTooFast(_ count: Int, _ uid: UInt32) -> Bool {
        let limit = configuration.quotas.publishRate
        guard limit > 0 else { return false }
        attempts[uid, default: []].append((now.monotonic, count))
        return recent(uid, &attempts) > limit
    }

    /// Never more than a full bucket and what fills it meanwhile, but for one batch that is longer than all of it.
    func noteRate(_ count: Int, _ uid: UInt32) throws(Violation) {
        let limit = configuration.quotas.publishRate
        guard limit > 0 else { return }
        published[uid, default: []].append((now.monotonic, count))
        let recent = recent(uid, &published)
        try expect(
            recent <= 2 * limit || count > limit,
            "uid \(uid) published \(recent) events in a second: \(published[uid] ?? [])")
    }

    private func recent(_ uid: UInt32, _ all: inout [UInt32: [(time: UInt64, count: Int)]]) -> Int {
        all[uid]?.removeAll { $0.time + 1_000_000_000 < now.monotonic }
        return all[uid]?.reduce(0) { $0 + $1.count } ?? 0
    }

    /// Whether the effects under way refuse a publish for a reason.
    func isRefused(_ publish: ModelPublish, _ session: ModelSession, _ reason: Reason) -> Bool {
        effects.contains { effect in
            // It may have been ended by that refusal, which it didn't read.
            if case .close(session.id, .notReading, _) = effect { return true }
            guard case .send(session.id, .error(let error)) = effect else { return false }
            return error.inReplyTo == FrameType.publish.rawValue && error.request == publish.number
                && error.reason == reason
        }
    }
}
