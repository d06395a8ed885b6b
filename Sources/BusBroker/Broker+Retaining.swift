// Last values: what a topic's last retained event said, for whoever asks later. Kept whole with its batch, which is why
// batches of such topics are short, and charged to its publisher's user.

import BusWire

extension Broker {
    /// Whether a batch's last event may become the topic's last value.
    func checkRetention(
        _ batch: SealedBatch, isTombstone: Bool, _ topic: TopicState, _ account: Account
    ) throws(PublishRefusal) {
        guard !isTombstone else { return }
        // What it takes the place of is given back, if it is the same user's.
        let freed = topic.retained.map { $0.account === account ? $0.length : 0 } ?? 0
        let used = account.retainedLength - freed
        guard used + batch.bytes.count <= configuration.quotas.retainedLength else {
            throw PublishRefusal(
                QuotaFault(
                    quota: "retained_bytes", used: account.retainedLength,
                    limit: configuration.quotas.retainedLength, uid: account.uid))
        }
    }

    /// Makes a batch's last event the topic's last value, or clears it.
    ///
    /// - Parameter isStored: whether the store knows it already, as it does of whatever is on a durable topic.
    func retain(_ batch: AcceptedBatch, isTombstone: Bool, _ account: Account, isStored: Bool = false) {
        let topic = batch.seal.topic
        clearLastValue(of: topic)
        if topic.isDurable, !isStored {
            store(.retain(topic: topic.storeNumber, position: isTombstone ? nil : batch.position))
        }
        guard !isTombstone else { return noteIdle(topic) }
        let count = Int(batch.eventCount)
        let value = RetainedValue(
            portion: Portion(batch.value, Selection(count - 1..<count, of: count)), index: nextRetainedIndex,
            account: account)
        nextRetainedIndex += 1
        topic.retained = value
        retaining[topic.number] = topic
        account.retainedLength += value.length
    }

    private func clearLastValue(of topic: TopicState) {
        guard let former = topic.retained else { return }
        former.account.retainedLength -= former.length
        topic.retained = nil
        retaining[topic.number] = nil
        forget(former.account)
    }

    /// All last values that match a filter, in the order in which they were accepted.
    func lastValues(matching filter: TopicFilter) -> [Portion] {
        guard filter.hasWildcard else {
            let topic = (try? Topic(bytes: filter.bytes)).flatMap { topics[$0] }
            return topic?.retained.map { [$0.portion] } ?? []
        }
        return retaining.values.filter { filter.matches($0.name) }.compactMap(\.retained)
            .sorted { $0.index < $1.index }.map(\.portion)
    }
}
