// Ordering keys of one subscription: which member has events of a key, and which events wait for their key. It decides
// nothing; it answers, without a search, whether an event may be handed out, and to whom.
//
// An event waits here, and not in the queue, when it is known that it can't be handed out before something else of its
// key: its key's member takes nothing now, or an earlier event of the key is to be tried again. So the queue's front is
// always somebody's, and everybody else's events go on. How much may be taken from the queue for that is bounded here
// (`lookAhead`); what comes back from members always has room, and is bounded by what they may hold.

import BusWire
import DequeModule

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
    /// When it may be tried again; 0 for now.
    var due: Moment.Nanoseconds = 0

    var sequence: UInt64 { batch.firstSequence + UInt64(index) }
}

/// Who has which keys, and what waits for them.
final class KeyTable {
    /// What is known of one key; nothing is kept of one that nobody has and nothing waits for.
    private struct State {
        /// The one who has events of it.
        var holder: Holding?
        /// How many.
        var heldCount = 0
        /// Events that wait, in order.
        var waiting: Deque<KeyedEvent> = []
        /// Whether it stands in the line.
        var isInLine = false

        /// Whether the first event that waits is only waiting for its member.
        var isRipe: Bool { waiting.first?.due == 0 }
    }

    private var states: [OrderedKey: State] = [:]
    /// Keys with events that wait, in the order in which they began to; some have none any more.
    private var line: Deque<OrderedKey> = []
    /// Batches that events wait in, each with how many.
    private var batches: [ObjectIdentifier: (batch: AcceptedBatch, count: Int)] = [:]
    /// How many events wait.
    private(set) var waitingCount: UInt64 = 0
    /// Bytes of the batches they are in, each batch once.
    private(set) var length: UInt64 = 0
    /// Ripe keys that nobody has.
    private(set) var freeCount = 0
    /// How far one looks ahead: events that may wait here before the queue's front has to.
    let lookAheadCount: UInt64
    let lookAheadLength: UInt64

    /// How far one looks ahead at most. Not tuned.
    static let lookAheadCountMax: UInt64 = 2048
    static let lookAheadLengthMax: UInt64 = 1 << 20

    /// - Parameters:
    ///   - eventCountMax: how many events the queue beside it may hold; half as many may wait here.
    ///   - lengthMax: how many bytes it may hold.
    init(eventCountMax: UInt64, lengthMax: UInt64) {
        lookAheadCount = min(KeyTable.lookAheadCountMax, eventCountMax / 2)
        lookAheadLength = min(KeyTable.lookAheadLengthMax, lengthMax / 2)
    }

    var isEmpty: Bool { waitingCount == 0 }
    /// Whether events may be taken from the queue to wait here; the last batch may overdraw.
    var looksAhead: Bool { waitingCount < lookAheadCount && length < lookAheadLength }
    /// Whether nothing more is taken from the queue until less waits here: or who has all tried again would have the
    /// whole store in memory.
    var isOverfull: Bool { waitingCount >= Durable.delayedCountMax || length >= Durable.delayedLengthMax }
    /// How many keys are known of.
    var count: Int { states.count }
    /// How many keys members have events of.
    var heldKeyCount: Int { states.values.count { $0.holder != nil } }
    /// How many events wait for their next attempt.
    var delayedCount: UInt64 {
        states.values.reduce(0) { $0 + UInt64($1.waiting.count { $0.due != 0 }) }
    }

    /// Whether events of a key wait: later ones wait behind them.
    func isAwaited(_ key: OrderedKey) -> Bool { states[key].map { !$0.waiting.isEmpty } ?? false }

    /// Who has events of a key.
    func holder(of key: OrderedKey) -> Holding? { states[key]?.holder }

    /// How many events of a key its member has.
    func heldCount(of key: OrderedKey) -> Int { states[key]?.heldCount ?? 0 }

    /// Whether a portion's first event may be handed to a member now.
    func allows(_ portion: Portion, for member: Holding) -> Bool {
        let index = portion.selection.bounds(of: Int(portion.batch.eventCount)).lowerBound
        guard let key = portion.batch.key(at: index) else { return true }
        guard let state = states[key] else { return true }
        return state.waiting.isEmpty && (state.holder == nil || state.holder === member)
    }

    /// Changes what is known of one key, and what is counted of all.
    private func change(_ key: OrderedKey, _ body: (inout State) -> Void) {
        var state = states.removeValue(forKey: key) ?? State()
        count(state, -1)
        body(&state)
        count(state, 1)
        if !state.waiting.isEmpty, !state.isInLine {
            state.isInLine = true
            line.append(key)
        }
        if state.holder != nil || state.isInLine { states[key] = state }
    }

    private func count(_ state: State, _ sign: Int) {
        guard state.isRipe else { return }
        if let holder = state.holder { holder.ripeKeyCount += sign } else { freeCount += sign }
    }

    // MARK: Held

    /// A member was handed a portion.
    func hold(_ portion: Portion, by holder: Holding) {
        portion.forEachKey { key, _ in
            change(key) { state in
                state.holder = holder
                state.heldCount += 1
            }
        }
    }

    /// Its member has a portion no more.
    func release(_ portion: Portion) {
        portion.forEachKey { key, _ in
            change(key) { state in
                state.heldCount -= 1
                if state.heldCount <= 0 { (state.holder, state.heldCount) = (nil, 0) }
            }
        }
    }

    // MARK: Waiting

    /// Has an event wait, in its place among those of its key.
    ///
    /// - Returns: whether it is the only one of its batch that waits.
    func wait(_ event: KeyedEvent) -> Bool {
        change(event.key) { state in
            // By halving: who leaves gives back many of a key, each before all that waits.
            var (low, place) = (0, state.waiting.count)
            while low < place {
                let middle = (low + place) / 2
                if state.waiting[middle].sequence > event.sequence { place = middle } else { low = middle + 1 }
            }
            state.waiting.insert(event, at: place)
        }
        waitingCount += 1
        let known = batches[ObjectIdentifier(event.batch), default: (event.batch, 0)]
        batches[ObjectIdentifier(event.batch)] = (known.batch, known.count + 1)
        guard known.count == 0 else { return false }
        length += UInt64(event.batch.bytes.count)
        return true
    }

    /// The first event of a key waits no more.
    ///
    /// - Returns: whether none of its batch does.
    func removeFirst(_ key: OrderedKey) -> Bool {
        var removed: KeyedEvent?
        change(key) { removed = $0.waiting.popFirst() }
        guard let removed else { return false }
        return forget(removed.batch)
    }

    private func forget(_ batch: AcceptedBatch) -> Bool {
        waitingCount -= 1
        guard let known = batches[ObjectIdentifier(batch)] else { return false }
        guard known.count == 1 else {
            batches[ObjectIdentifier(batch)] = (batch, known.count - 1)
            return false
        }
        batches[ObjectIdentifier(batch)] = nil
        length -= UInt64(batch.bytes.count)
        if waitingCount == 0 { _ = clearedLine() }
        return true
    }

    /// Keys whose first event only waits for its member, in the order in which they began to wait, each with its events
    /// up to the first that isn't due.
    func forEachRipe(_ body: (Holding?, [KeyedEvent]) -> Void) {
        for key in clearedLine() {
            guard let state = states[key], state.isRipe else { continue }
            body(state.holder, Array(state.waiting.prefix { $0.due == 0 }))
        }
    }

    /// The line, without those that nothing waits for any more.
    private func clearedLine() -> Deque<OrderedKey> {
        guard line.contains(where: { states[$0]?.waiting.isEmpty != false }) else { return line }
        for key in line where states[key]?.waiting.isEmpty != false { change(key) { $0.isInLine = false } }
        line.removeAll { states[$0]?.isInLine != true }
        return line
    }

    /// What is due is ready.
    ///
    /// - Returns: when the next will be.
    func ripen(at now: Moment.Nanoseconds) -> Moment.Nanoseconds? {
        var next: Moment.Nanoseconds?
        for key in clearedLine() where states[key]?.waiting.contains(where: { $0.due != 0 }) == true {
            change(key) { state in
                for place in state.waiting.indices where state.waiting[place].due != 0 {
                    let due = state.waiting[place].due
                    if due <= now { state.waiting[place].due = 0 } else { next = min(next ?? due, due) }
                }
            }
        }
        return next
    }

    /// All that waits, as portions in the order of batches; for those who check, give up, or move charges.
    var portions: [Portion] { KeyedEvent.portions(states.values.flatMap(\.waiting)) }

    /// The event that waits and has a place in the store.
    func event(at position: UInt64) -> KeyedEvent? {
        states.values.lazy.flatMap(\.waiting).first { $0.batch.position + UInt64($0.index) == position }
    }

    /// Batches with events that wait.
    var waitingBatches: [AcceptedBatch] { batches.values.map(\.batch) }

    /// Forgets all that waits.
    func removeAllWaiting() {
        for key in line { change(key) { ($0.waiting, $0.isInLine) = ([], false) } }
        (line, batches, waitingCount, length) = ([], [:], 0, 0)
    }

    /// The first of all events that wait, to be given up before all others; nil where none does.
    var oldest: KeyedEvent? {
        states.values.lazy.compactMap(\.waiting.first).min { $0.precedes($1) }
    }
}

extension KeyTable {
    /// What it claims against what there is, in words; for those who check.
    func faults(_ holdings: [Holding]) -> [String] {
        var faults: [String] = []
        var held: [OrderedKey: [ObjectIdentifier: Int]] = [:]
        for holding in holdings {
            for one in holding.portions {
                one.portion.forEachKey { key, _ in held[key, default: [:]][ObjectIdentifier(holding), default: 0] += 1 }
            }
        }
        if held.values.contains(where: { $0.count > 1 }) { faults.append("two members have events of one key") }
        let claimed = states.filter { $0.value.holder != nil }
        if Set(claimed.keys) != Set(held.keys) { faults.append("keys are had that nobody has, or the other way round") }
        for (key, state) in claimed {
            let count = state.holder.flatMap { held[key]?[ObjectIdentifier($0)] }
            if count != state.heldCount {
                faults.append("\(state.heldCount) events of a key counted, had are \(count ?? 0)")
            }
        }
        let waiting = states.values.flatMap(\.waiting)
        if waitingCount != waiting.count { faults.append("\(waitingCount) events wait for keys, \(waiting.count) do") }
        let lengths = Dictionary(waiting.map { (ObjectIdentifier($0.batch), $0.batch.bytes.count) }) { one, _ in one }
        if length != lengths.values.reduce(0, +) { faults.append("bytes that wait for keys are counted wrong") }
        let ripe = states.values.filter(\.isRipe)
        if freeCount != ripe.count(where: { $0.holder == nil }) { faults.append("free keys are counted wrong") }
        for holding in holdings where holding.ripeKeyCount != ripe.count(where: { $0.holder === holding }) {
            faults.append("a member's ripe keys are counted wrong")
        }
        for (key, state) in states {
            let sequences = state.waiting.map(\.sequence)
            if zip(sequences, sequences.dropFirst()).contains(where: >=) {
                faults.append("a key's events wait disordered")
            }
            if !sequences.isEmpty, !line.contains(key) { faults.append("a key waits outside the line") }
        }
        return faults
    }
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
