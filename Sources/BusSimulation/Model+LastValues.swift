// Last values, and who begins with them: all that were kept when it subscribed, a marker, then what is new.

import BusBroker
import BusWire

extension Model {
    /// A batch was accepted that retains: its last event is what whoever comes later begins with.
    func retain(_ batch: ModelBatch, isTombstone: Bool) {
        let topic = topic(batch.topic, uid: batch.seal.uid)
        tally[isTombstone ? .cleared : .retained] += 1
        topic.lastValue = isTombstone ? nil : (batch, batch.eventCount - 1)
    }

    /// Whether every event of a topic becomes its last value by configuration.
    func retainsAlways(_ topic: Topic) -> Bool {
        configuration.topics.contains { $0.retains && $0.filter.matches(topic) }
    }

    /// A stream begins with the last values there are now.
    func beginWithLast(_ subscription: ModelSubscription) {
        let stream = subscription.stream
        let values = topics.values.filter { stream.filter.matches($0.name) }.compactMap(\.lastValue)
        subscription.storedCount = 0
        for value in values.sorted(by: { $0.batch.index < $1.batch.index }) {
            let entry = OwedEntry(value.batch, [value.place])
            entry.isStored = true
            stream.owed.append(entry)
        }
    }

    func check(_ caughtUp: CaughtUp, _ session: ModelSession) throws(Violation) {
        let subscription = try subscription(caughtUp.subscription, session)
        let name = subscription.name
        guard let count = subscription.storedCount else { throw Violation("\(name): a marker it isn't owed") }
        try expect(caughtUp.count == count, "\(name): caught up after \(caughtUp.count), it got \(count)")
        let lost = subscription.stream.gaps.map(\.topic)
        let isLeft = subscription.stream.owed.contains { $0.isStored && $0.lost == nil && !lost.contains($0.topic) }
        try expect(!isLeft, "\(name): caught up, and not all that was kept is delivered")
        try expect(session.owedAnswers.isEmpty, "\(name): caught up before it was subscribed")
        subscription.storedCount = nil
        tally[.caughtUp] += 1
    }
}
