// Ordering keys, in a group: one member at a time has events of a key, and they come in their order; what must wait for
// that, and nothing else, is passed by.

import BusBroker
import BusWire

extension Model {
    /// A member was handed events: nobody else has any of their keys, and none of these keys still waits before them.
    func checkKeys(_ entry: OwedEntry, of subscription: ModelSubscription) throws(Violation) {
        guard !entry.batch.keys.isEmpty else { return }
        let (stream, name) = (subscription.stream, subscription.name)
        for place in entry.live where entry.batch.key(at: place) != 0 {
            let key = entry.batch.key(at: place)
            let what = "\(name): \(entry.topic) \(entry.batch.sequence(at: place)) of key \(key)"
            try expect(!isElsewhere(entry, place, subscription), "\(what), which another member has")
            let isBehind = stream.waiting.contains { other in
                other.batch.life === entry.batch.life
                    && other.live.contains {
                        other.batch.key(at: $0) == key && (other.batch.index, $0) < (entry.batch.index, place)
                    }
            }
            try expect(!isBehind, "\(what), before another of that key")
            tally[.keyed] += 1
        }
    }

    /// Whether a member other than this one has events of an event's key.
    private func isElsewhere(_ entry: OwedEntry, _ place: Int, _ subscription: ModelSubscription) -> Bool {
        let key = entry.batch.key(at: place)
        return key != 0
            && subscription.stream.members.contains { member in
                member !== subscription
                    && member.unacknowledged.contains { _, held in
                        held.batch.life === entry.batch.life && held.places.contains { held.batch.key(at: $0) == key }
                    }
            }
    }

    /// What of an entry a member could be handed as far as keys go.
    func free(_ entry: OwedEntry, for subscription: ModelSubscription) -> [Int] {
        guard subscription.stream.group != nil, !entry.batch.keys.isEmpty else { return entry.live }
        return entry.live.filter { !isElsewhere(entry, $0, subscription) }
    }

    /// Whether an entry may be passed by one that goes to a member: its keys are others', or it is the same batch, which
    /// is parted.
    func isHeldUp(_ earlier: OwedEntry, _ entry: OwedEntry, _ subscription: ModelSubscription) -> Bool {
        guard subscription.stream.group != nil, !earlier.batch.keys.isEmpty else { return false }
        if earlier.batch === entry.batch { return true }
        guard free(earlier, for: subscription).isEmpty else { return false }
        tally[.keptBack] += 1
        return true
    }

    /// Whether an entry has nothing but events with keys.
    func isKeyed(_ entry: OwedEntry, _ stream: ModelStream) -> Bool {
        stream.group != nil && !entry.batch.keys.isEmpty && entry.live.allSatisfy { entry.batch.key(at: $0) != 0 }
    }

    /// Events of one batch that wait alike are one entry, however they came to wait: they may come together.
    func unite(_ stream: ModelStream, _ isIt: (OwedEntry) -> Bool) {
        let parts = stream.owed.filter { isIt($0) && !$0.batch.keys.isEmpty }
        guard parts.count > 1, let first = parts.first else { return }
        for other in parts.dropFirst() {
            first.places += other.places
            first.withdrawn.formUnion(other.withdrawn)
            stream.owed.removeAll { $0 === other }
        }
        first.places.sort()
    }
}
