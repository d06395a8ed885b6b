// What is published again: on durable topics the store knows the ids, on live ones the user's recent ones do.

import BusWire

extension Broker {
    /// The first receipt of a publish that may have been there before; nil when none of its ids is known.
    func duplicate(
        of batch: SealedBatch, _ publish: Publish, _ topic: TopicState, _ session: Session
    ) throws(PublishRefusal) -> Receipt? {
        // A request is made again under its id until it is answered.
        guard publish.isAgain, !publish.isRequest else { return nil }
        let known = topic.isDurable ? stored(publish, topic, session) : recent(batch, publish, topic, session)
        guard let first = known.first else { return nil }
        let count = known.reduce(0) { $0 + $1.count }
        guard count >= batch.header.eventCount else {
            let shown = known.prefix(8).map { "\($0.first)+\($0.count)" }.joined(separator: " ")
            throw PublishRefusal(.partlyKnown, "\(count) of \(batch.header.eventCount) events are known: \(shown)")
        }
        return Receipt(
            number: publish.number, firstSequence: first.firstSequence, eventCount: batch.header.eventCount,
            liveMatches: 0, isDurable: topic.isDurable, isDuplicate: true,
            isScheduled: first.isWaiting)
    }

    /// What was found out about a publish's ids.
    private func stored(_ publish: Publish, _ topic: TopicState, _ session: Session) -> [KnownIDs] {
        guard case .answered(let all)? = session.lookUps.removeValue(forKey: publish.number) else { return [] }
        lookedUp(session)
        let oldest = oldestKnown(topic)
        // While it waits to be published it is known, however long that is.
        return all.filter { $0.topic == topic.storeNumber && ($0.isWaiting || $0.accepted >= oldest) }
    }

    /// By the clock that no step of the other one moves: ids are neither forgotten early nor remembered for ever.
    private func oldestKnown(_ topic: TopicState) -> Int64 { ageTime - topic.settings.duplicateWindow }

    // MARK: Live topics

    /// Whether ids are remembered. Not those of requests, which are made again under their id until they are answered,
    /// nor of answers, to which the right is used up.
    private func remembersIDs(_ publish: Publish, _ topic: TopicState) -> Bool {
        topic.settings.duplicateWindow > 0 && !publish.isRequest && !topic.name.isReply
    }

    private func recent(
        _ batch: SealedBatch, _ publish: Publish, _ topic: TopicState, _ session: Session
    ) -> [KnownIDs] {
        guard remembersIDs(publish, topic) else { return [] }
        var runs: [IDRun] = []
        forEachRun(of: batch) { runs.append($0) }
        let sequences = session.account.recentIDs.sequences(of: runs, topic: topic.number, since: oldestKnown(topic))
        var known: [KnownIDs] = []
        var index = 0
        for run in runs {
            for offset in 0..<run.count {
                let sequence = sequences[index]
                index += 1
                guard sequence > 0, let id = run.first.advanced(by: offset) else { continue }
                if let last = known.last, last.first.advanced(by: UInt64(last.count)) == id,
                    last.firstSequence + UInt64(last.count) == sequence
                {
                    known[known.count - 1].count += 1
                } else {
                    known.append(KnownIDs(first: id, count: 1, topic: 0, firstSequence: sequence, accepted: 0))
                }
            }
        }
        return known
    }

    /// Takes note of what was accepted on a live topic.
    func remember(_ batch: SealedBatch, _ publish: Publish, _ accepted: AcceptedBatch) {
        let (seal, topic) = (accepted.seal, accepted.seal.topic)
        guard remembersIDs(publish, topic) else { return }
        let (time, window) = (ageTime, topic.settings.duplicateWindow)
        var sequence = accepted.firstSequence
        forEachRun(of: batch) { run in
            seal.account.recentIDs.note(
                run, topic: topic.number, firstSequence: sequence, at: time, window: window, after: &seal.recentIDs)
            sequence += run.count
        }
    }

    private func forEachRun(of batch: SealedBatch, _ body: (IDRun) -> Void) {
        let (first, count) = (batch.header.firstID, batch.header.eventCount)
        // Without the detour over an array where there are no columns.
        guard batch.header.columnsLength > 4, let ids = try? batch.explicitIDs else {
            return IDRun.forEach(from: first, count: count, body)
        }
        IDRun.forEach(from: first, count: count, explicit: ids, body)
    }
}
