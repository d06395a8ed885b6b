// What is owed: events, by their places in the batch that carries them.

import BusWire

/// How long the batches of a seal may be, by what becomes of its topic's events.
struct BatchBounds: Equatable {
    var length: UInt32
    var eventCount: UInt32
}

/// A publisher's seal.
final class ModelSeal {
    let number: UInt64
    let topic: Topic
    let salt: [UInt8]
    let uid: UInt32
    /// Its key check, once the key was derived.
    var keyCheck: [UInt8]?
    /// The counter the broker takes next.
    var nextCounter: UInt64 = 0
    /// The counter its publisher uses next.
    var clientCounter: UInt64 = 0
    /// The life of its topic that it belongs to.
    var life: ModelTopic?
    /// The bounds of its batches as they were told last.
    var bounds: BatchBounds

    init(number: UInt64, topic: Topic, salt: [UInt8], uid: UInt32, bounds: BatchBounds) {
        self.number = number
        self.topic = topic
        self.salt = salt
        self.uid = uid
        self.bounds = bounds
    }
}

/// A batch the broker accepted.
final class ModelBatch {
    /// Its place in the order of acceptance over all topics.
    let index: Int
    let seal: ModelSeal
    let bytes: SharedBytes
    let firstSequence: UInt64
    let eventCount: Int
    let time: Int64
    /// The life of its topic that it belongs to.
    let life: ModelTopic
    /// Of answers: whether more follow.
    var hasMore = false
    /// The ordering key of each event, 0 for none; empty where none has one.
    var keys: [UInt64] = []
    /// What each of its events asks; empty where they aren't requests.
    var requests: [ModelRequest] = []

    init(
        index: Int, seal: ModelSeal, life: ModelTopic, bytes: SharedBytes, firstSequence: UInt64, eventCount: Int,
        time: Int64
    ) {
        self.index = index
        self.life = life
        self.seal = seal
        self.bytes = bytes
        self.firstSequence = firstSequence
        self.eventCount = eventCount
        self.time = time
    }

    var topic: Topic { seal.topic }
    var lastSequence: UInt64 { firstSequence + UInt64(eventCount) - 1 }
    func sequence(at place: Int) -> UInt64 { firstSequence + UInt64(place) }
    var places: [Int] { Array(0..<eventCount) }
    func key(at place: Int) -> UInt64 { keys.isEmpty ? 0 : keys[place] }
}

/// Events of one batch that wait together: accepted, neither delivered nor told as missed.
final class OwedEntry {
    let batch: ModelBatch
    /// Which of the batch's events, in order; never none.
    var places: [Int]
    /// Requests among them that nobody waits for any more: neither delivered nor missed, but they keep their place.
    var withdrawn: Set<Int> = []
    /// How often they will have been handed to somebody with the next delivery.
    var attempt: UInt16 = 1
    /// Whether they are last values from before the subscription.
    var isStored = false
    /// Whether whoever gets them may answer.
    var isAnswerable = false
    /// Set when they were dropped: they are told as missed for this reason, in this place.
    var lost: Reason?

    init(_ batch: ModelBatch, _ places: [Int]) {
        self.batch = batch
        self.places = places
    }

    var topic: Topic { batch.topic }
    /// What of it is still meant.
    var live: [Int] { withdrawn.isEmpty ? places : places.filter { !withdrawn.contains($0) } }
    var eventCount: UInt64 { UInt64(live.count) }
    /// The batch travels and waits whole, whatever of it is meant.
    var length: UInt64 { UInt64(batch.bytes.count) }
    var firstSequence: UInt64 { batch.sequence(at: live.first ?? places[0]) }
    var lastSequence: UInt64 { batch.sequence(at: live.last ?? places[places.count - 1]) }

    /// The same events' other half: what `isTaken` says leaves this entry for the one returned.
    func split(_ isTaken: (Int) -> Bool) -> OwedEntry {
        let other = OwedEntry(batch, places.filter(isTaken))
        other.attempt = attempt
        other.isStored = isStored
        other.withdrawn = withdrawn
        other.isAnswerable = isAnswerable
        places.removeAll(where: isTaken)
        return other
    }
}
