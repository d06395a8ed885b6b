// Groups: each event to one member that is there, and once more, to another, when that one goes without having
// acknowledged it.

import BusBroker
import BusWire

extension Model {
    /// Takes note of what a member was handed, and checks the order in which it gets its share.
    func noteShare(_ entry: OwedEntry, of subscription: ModelSubscription) throws(Violation) {
        let stream = subscription.stream
        try expect(subscription.isOnDuty, "\(subscription.name): stands by, and is delivered to")
        try checkKeys(entry, of: subscription)
        let unordered = entry.live.filter { entry.batch.key(at: $0) == 0 }
        if entry.attempt == 1, let first = unordered.first, let last = unordered.last {
            try expect(
                subscription.newest < (entry.batch.index, first),
                "\(subscription.name): \(entry.topic) \(entry.firstSequence) comes late")
            subscription.newest = (entry.batch.index, last)
        }
        subscription.unacknowledged.append((subscription.lastDelivery, entry))
        if stream.members.count > 1 { tally[.shared] += 1 }
        if entry.attempt > 1 { tally[.redelivered] += 1 }
    }

    /// What a member that goes had not acknowledged goes to the others, before what waits; with the last it is lost.
    func giveBack(_ subscription: ModelSubscription, _ stream: ModelStream) {
        var entries = subscription.unacknowledged.map(\.entry)
        subscription.unacknowledged = []
        for entry in entries { rise(entry, of: subscription) }
        entries.removeAll { $0.places.isEmpty }
        guard !stream.members.isEmpty, stream.missedAtEnd == nil else {
            return lose(entries, of: stream, [.responderGone])
        }
        for entry in entries { entry.attempt += 1 }
        // What was lost before is told first.
        let index = stream.owed.firstIndex { $0.lost == nil } ?? stream.owed.count
        stream.owed.insert(contentsOf: entries, at: index)
        filling.append(stream)
    }

    func acknowledge(_ delivery: UInt64, _ subscription: ModelSubscription) {
        subscription.unacknowledged.removeAll { $0.delivery <= delivery }
    }
}
