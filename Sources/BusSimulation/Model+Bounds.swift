// How long batches may be: publishers hear of it when that changes, at the latest with their next publish.

import BusBroker
import BusWire

extension Model {
    /// What a topic's batches are held to now.
    func bounds(of topic: Topic) -> BatchBounds {
        let isShared = matches(topic).contains { $0.group != nil && !$0.isExclusive }
        // Who retains by flag knows it, and nobody else's batches are kept.
        let isKept = retainsAlways(topic)
        let length =
            isKept ? Limits.retainedBatchLengthMax : isShared ? Limits.groupBatchLengthMax : Limits.batchLengthMax
        let count = isShared ? Limits.groupBatchEventCountMax : Limits.batchEventCountMax
        return BatchBounds(length: UInt32(length), eventCount: UInt32(count))
    }

    /// A publish was accepted: its publisher must know what its next is held to.
    func oweBounds(_ seal: ModelSeal, _ session: ModelSession) {
        let bounds = bounds(of: seal.topic)
        // A topic of answers has one subscriber, alone, and a responder may have lost its seal already.
        guard seal.bounds != bounds, session.seals[seal.number] != nil else { return }
        seal.bounds = bounds
        session.owedBounds.append((seal.number, bounds))
    }

    func check(_ limits: SealLimitsChanged, _ session: ModelSession) throws(Violation) {
        let told = BatchBounds(length: limits.batchLengthMax, eventCount: limits.batchEventCountMax)
        if let index = session.owedBounds.firstIndex(where: { $0.seal == limits.seal && $0.bounds == told }) {
            session.owedBounds.remove(at: index)
            return
        }
        // A publish that waited may be accepted under a seal that was closed since.
        if session.closedSeals.contains(limits.seal) { return }
        guard let seal = session.seals[limits.seal] else {
            throw Violation("session \(session.id) is told bounds of seal \(limits.seal), which isn't its own")
        }
        let isNews = told != seal.bounds && told == bounds(of: seal.topic)
        try expect(isNews, "session \(session.id) is told \(told) of seal \(seal.number) after \(seal.bounds)")
        seal.bounds = told
    }
}
