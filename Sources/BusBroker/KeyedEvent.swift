// An event that waits for its ordering key, and how such events become portions again.

import BusWire

/// An ordering key: its hash, on its topic.
struct OrderedKey: Hashable {
    let topic: UInt64
    let hash: UInt64
}

/// An event that waits for its key.
struct KeyedEvent {
    let batch: AcceptedBatch
    let index: Int
    let key: OrderedKey
    /// Which attempt its delivery will be.
    var attempt: UInt16 = 1
    /// Whether somebody had it, and it was taken back with no fault of its own.
    var isRepeated = false
    /// When it may be tried again; nil for now.
    var due: Moment.Nanoseconds?

    var sequence: UInt64 { batch.firstSequence + UInt64(index) }
}

extension KeyedEvent {
    /// Whether it comes before another: by their places in the store, else by topic.
    func precedes(_ other: KeyedEvent) -> Bool {
        (batch.position, key.topic, sequence) < (other.batch.position, other.key.topic, other.sequence)
    }

    /// Events as portions, as few as the order of each key allows: one for each run of events of a batch that are alike.
    static func portions(_ events: [KeyedEvent]) -> [Portion] {
        var portions: [Portion] = []
        var run: [KeyedEvent] = []
        func close() {
            guard let first = run.first else { return }
            let places = Set(run.map(\.index))
            guard let selection = Selection(of: Int(first.batch.eventCount), where: places.contains) else { return }
            var portion = Portion(first.batch, selection, attempt: first.attempt)
            portion.isRepeated = first.isRepeated
            portions.append(portion)
            run = []
        }
        for event in events.sorted(by: { $0.precedes($1) }) {
            if let last = run.last, !last.isLike(event) { close() }
            run.append(event)
        }
        close()
        return portions
    }

    private func isLike(_ other: KeyedEvent) -> Bool {
        batch === other.batch && attempt == other.attempt && isRepeated == other.isRepeated
    }
}

extension Portion {
    /// Its events that have a key, each with its place in the batch.
    func forEachKey(_ body: (OrderedKey, Int) -> Void) {
        guard batch.keys != nil else { return }
        for index in 0..<Int(batch.eventCount) where selection.contains(index) {
            if let key = batch.key(at: index) { body(key, index) }
        }
    }
}

extension AcceptedBatch {
    /// An event's ordering key; nil where it has none.
    func key(at index: Int) -> OrderedKey? {
        guard let hash = keys?.key(at: index, in: bytes), hash != 0 else { return nil }
        return OrderedKey(topic: seal.topic.number, hash: hash)
    }
}
