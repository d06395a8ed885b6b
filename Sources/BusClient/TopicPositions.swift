// Where a subscription is on each of its topics: to know after a reconnect to the same daemon what was missed, and
// which last value was seen already, which isn't the same: what was told as missed wasn't seen. Pure.
//
// A position counts within one life of its topic: one that was forgotten and begins anew counts from 1 again.

import BusWire

/// The positions of one subscription.
struct TopicPositions {
    private struct Place {
        /// Which life of the topic; 0 when it wasn't told.
        var incarnation: UInt64
        /// The last that was heard of: an event, or word of events missed.
        var sequence: UInt64
        /// The last event that came. Of what was missed a later subscription may still bring the last value.
        var shown: UInt64

        /// Durable topics' lives have the highest bit.
        var isDurable: Bool { incarnation >> 63 == 1 }

        func isOfSameLife(as other: UInt64) -> Bool {
            incarnation == other || incarnation == 0 || other == 0
        }
    }

    /// Where a topic was before a reconnect, and how many stored events of it came since.
    private struct Untold {
        let place: Place
        var storedCount: UInt64 = 0
    }

    private var known: [Topic: Place] = [:]
    /// The topic heard of last, which is mostly the next one, too.
    private var recentTopic: Topic?
    private var recent = Place(incarnation: 0, sequence: 0, shown: 0)
    /// Topics that haven't been heard of since the reconnect.
    private var untold: [Topic: Untold] = [:]

    /// Topics remembered; of others it is said that it can't be known. Not tuned.
    private static let topicsMax = 65_536

    /// A topic is at `last`. Returns what was missed of it before `first` since a reconnect, if this is the first word
    /// of it.
    mutating func note(_ topic: Topic, incarnation: UInt64, first: UInt64, last: UInt64) -> Missed? {
        move(topic, Place(incarnation: incarnation, sequence: last, shown: last))
        return missed(topic, incarnation: incarnation, before: first)
    }

    private mutating func missed(_ topic: Topic, incarnation: UInt64, before first: UInt64) -> Missed? {
        guard !untold.isEmpty, let before = untold.removeValue(forKey: topic) else { return nil }
        let place = before.place
        guard place.isOfSameLife(as: incarnation) else {
            return Missed(count: nil, topic: topic, firstSequence: 0, lastSequence: 0, reason: .reconnected)
        }
        guard first > place.sequence + 1 + before.storedCount else { return nil }
        return Missed(
            count: first - place.sequence - 1 - before.storedCount, topic: topic, firstSequence: place.sequence + 1,
            lastSequence: first - 1, reason: .reconnected)
    }

    /// A gap was told up to `last`: of which life is not said.
    mutating func noteGap(_ topic: Topic, first: UInt64, last: UInt64) -> Missed? {
        let incarnation = place(of: topic)?.incarnation ?? 0
        move(topic, Place(incarnation: incarnation, sequence: last, shown: 0))
        return missed(topic, incarnation: incarnation, before: first)
    }

    /// Stored events came, up to this one. False if it, or a later one, was seen already.
    mutating func noteStored(_ topic: Topic, incarnation: UInt64, sequence: UInt64, count: UInt64 = 1) -> Bool {
        if let place = place(of: topic), place.isOfSameLife(as: incarnation), place.shown >= sequence {
            return false
        }
        // What lies between is told with the next event, when it is known how much that is. One that was told as missed
        // lies before.
        if let place = untold[topic]?.place, place.isOfSameLife(as: incarnation), place.sequence < sequence {
            untold[topic]?.storedCount += count
        }
        move(topic, Place(incarnation: incarnation, sequence: sequence, shown: sequence))
        return true
    }

    private func place(of topic: Topic) -> Place? { recentTopic == topic ? recent : known[topic] }

    private mutating func move(_ topic: Topic, _ place: Place) {
        let before = self.place(of: topic)
        if recentTopic != topic {
            rememberRecent()
            recentTopic = topic
        }
        recent = place
        // Redelivery goes back; what was heard of stays heard of, and what was seen seen.
        guard let before, before.isOfSameLife(as: place.incarnation) else { return }
        recent.sequence = max(before.sequence, place.sequence)
        recent.shown = max(before.shown, place.shown)
    }

    private mutating func rememberRecent() {
        guard let topic = recentTopic else { return }
        if known.count < TopicPositions.topicsMax || known[topic] != nil { known[topic] = recent }
        recentTopic = nil
    }

    /// Whether all topics heard of are durable, and there is one.
    var knowsOnlyDurable: Bool {
        guard !known.isEmpty || recentTopic != nil else { return false }
        return (recentTopic == nil || recent.isDurable) && known.values.allSatisfy(\.isDurable)
    }

    /// After the same daemon was reached again topics heard of before tell what was missed with their next event.
    /// Another daemon counts anew, but for durable topics: these are of one life for ever.
    mutating func connectionRestored(sameDaemon: Bool) {
        rememberRecent()
        if !sameDaemon {
            known = known.filter { $0.value.isDurable }
            untold = untold.filter { $0.value.place.isDurable }
        }
        // What wasn't told after the reconnect before this one is still to be.
        untold.merge(known.mapValues { Untold(place: $0) }) { earlier, _ in earlier }
    }
}
