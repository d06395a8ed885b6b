// Ordering keys of one subscription: which member has events of a key, and which events wait for their key. It decides
// nothing; it answers, without a search, whether an event may be handed out, and to whom.
//
// An event waits here, and not in the queue, when it is known that it can't be handed out before something else of its
// key: its key's member takes nothing now, or an earlier event of the key is to be tried again. So the queue's front is
// always somebody's, and everybody else's events go on. How much may be taken from the queue for that is bounded here
// (`lookAhead`); what comes back from members always has room, and is bounded by what they may hold.

import BusWire
import DequeModule
import HeapModule

/// Who has which keys, and what waits for them.
final class KeyTable {
    /// What is known of one key; nothing is kept of one that nobody has and nothing waits for.
    private struct State {
        /// The one who has events of it.
        var holder: Holding?
        /// In which deliveries, each with how many.
        var held = NumberedValues<Int>()
        var heldCount = 0
        /// Events that wait, in order.
        var waiting: Deque<KeyedEvent> = []

        /// Whether the first event that waits is only waiting for its member.
        var isRipe: Bool { waiting.first.map { $0.due == nil } ?? false }

        /// Where an event is among those that wait, or would be. By halving: who leaves gives back many of a key, each
        /// before all that waits.
        func place(of sequence: UInt64) -> Int {
            var (low, high) = (0, waiting.count)
            while low < high {
                let middle = (low + high) / 2
                if waiting[middle].sequence < sequence { low = middle + 1 } else { high = middle }
            }
            return low
        }
    }

    private var states: [OrderedKey: State] = [:]
    /// Ripe keys that nobody has; those that somebody has stand in its own line.
    private var free = KeyLine()
    /// Events that aren't due yet.
    private var dues = Heap<DueEvent>()
    /// The first event of each key, and some that aren't the first any more; nil until somebody asks for the oldest.
    private var firsts: Heap<FirstEvent>?
    /// Batches that events wait in, each with how many.
    private var batches: [ObjectIdentifier: (batch: AcceptedBatch, count: Int)] = [:]
    /// How many events wait.
    private(set) var waitingCount: UInt64 = 0
    /// Bytes of the batches they are in, each batch once.
    private(set) var length: UInt64 = 0
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
    var delayedCount: UInt64 { UInt64(dues.count) }
    /// How many ripe keys nobody has.
    var freeCount: Int { free.count }

    /// Whether events of a key wait: later ones wait behind them.
    func isAwaited(_ key: OrderedKey) -> Bool { states[key].map { !$0.waiting.isEmpty } ?? false }

    /// Who has events of a key.
    func holder(of key: OrderedKey) -> Holding? { states[key]?.holder }

    /// How many events of a key its member has.
    func heldCount(of key: OrderedKey) -> Int { states[key]?.heldCount ?? 0 }

    /// In which deliveries its member has events of a key, from one on.
    func deliveries(of key: OrderedKey, from delivery: UInt64) -> [UInt64] {
        states[key].map { Array($0.held.numbers(from: delivery)) } ?? []
    }

    /// Whether a portion's first event may be handed to a member now.
    func allows(_ portion: Portion, for member: Holding) -> Bool {
        let index = portion.selection.bounds(of: Int(portion.batch.eventCount)).lowerBound
        guard let key = portion.batch.key(at: index) else { return true }
        guard let state = states[key] else { return true }
        return state.waiting.isEmpty && (state.holder == nil || state.holder === member)
    }

    /// Changes what is known of one key, and in which line it stands.
    private func change(_ key: OrderedKey, _ body: (inout State) -> Void) {
        var state = states.removeValue(forKey: key) ?? State()
        let (wasRipe, former, first) = (state.isRipe, state.holder, state.waiting.first?.sequence)
        body(&state)
        if wasRipe != state.isRipe || former !== state.holder {
            if wasRipe { changeLine(of: former) { $0.leave(key) } }
            if state.isRipe { changeLine(of: state.holder) { $0.join(key) } }
        }
        if firsts != nil, let new = state.waiting.first, new.sequence != first { insert(FirstEvent(new)) }
        if state.holder != nil || !state.waiting.isEmpty { states[key] = state }
    }

    /// Nobody may ask for the oldest for a long time: what isn't first any more goes by forgetting all of them.
    private func insert(_ first: FirstEvent) {
        firsts?.insert(first)
        if firstsAreStale { firsts = nil }
    }

    /// Whether more of them aren't first any more than are.
    private var firstsAreStale: Bool { firsts.map { $0.count > 2 * states.count + 64 } ?? true }

    private func changeLine(of holder: Holding?, _ body: (inout KeyLine) -> Void) {
        if let holder { body(&holder.ripeKeys) } else { body(&free) }
    }

    // MARK: Held

    /// A member was handed a portion.
    func hold(_ portion: Portion, by holder: Holding, in delivery: UInt64) {
        portion.forEachKey { key, _ in
            change(key) { state in
                if state.holder !== holder { (state.holder, state.held, state.heldCount) = (holder, .init(), 0) }
                state.held.append((state.held[delivery] ?? 0) + 1, under: delivery)
                state.heldCount += 1
            }
        }
    }

    /// Its member has a portion no more.
    func release(_ portion: Portion, of delivery: UInt64) {
        portion.forEachKey { key, _ in
            change(key) { state in
                let count = state.held[delivery] ?? 0
                state.held[delivery] = count > 1 ? count - 1 : nil
                state.heldCount -= 1
                if state.heldCount <= 0 { (state.holder, state.held, state.heldCount) = (nil, .init(), 0) }
            }
        }
    }

    // MARK: Waiting

    /// Has an event wait, in its place among those of its key.
    ///
    /// - Returns: whether it is the only one of its batch that waits.
    func wait(_ event: KeyedEvent) -> Bool {
        change(event.key) { $0.waiting.insert(event, at: $0.place(of: event.sequence)) }
        if let due = event.due { dues.insert(DueEvent(due: due, key: event.key, sequence: event.sequence)) }
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
        if waitingCount == 0 { firsts = nil }
        guard let known = batches[ObjectIdentifier(batch)] else { return false }
        guard known.count == 1 else {
            batches[ObjectIdentifier(batch)] = (batch, known.count - 1)
            return false
        }
        batches[ObjectIdentifier(batch)] = nil
        length -= UInt64(batch.bytes.count)
        return true
    }

    /// Keys whose first event waits only for this member, or, of keys that nobody has, for anybody: in the order in
    /// which they began to, each with its events up to the first that isn't due.
    ///
    /// - Parameters:
    ///   - most: events of a key that are told at once.
    ///   - body: returns whether it takes more.
    func forEachRipe(of holder: Holding?, most: Int, _ body: ([KeyedEvent]) -> Bool) {
        (holder?.ripeKeys ?? free).forEach { key in
            guard let state = states[key], state.isRipe else { return true }
            return body(Array(state.waiting.prefix(most).prefix { $0.due == nil }))
        }
    }

    /// What is due is ready.
    ///
    /// - Returns: when the next will be.
    func ripen(at now: Moment.Nanoseconds) -> Moment.Nanoseconds? {
        while let next = dues.min, next.due <= now {
            dues.removeMin()
            change(next.key) { state in
                let place = state.place(of: next.sequence)
                guard place < state.waiting.count, state.waiting[place].sequence == next.sequence else { return }
                state.waiting[place].due = nil
            }
        }
        return dues.min?.due
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
        for (key, state) in states where !state.waiting.isEmpty { change(key) { $0.waiting = [] } }
        (batches, waitingCount, length, dues, firsts) = ([:], 0, 0, Heap(), nil)
    }

    /// The first of all events that wait, to be given up before all others; nil where none does.
    func oldest() -> KeyedEvent? {
        if firstsAreStale {
            firsts = Heap(states.values.lazy.compactMap { $0.waiting.first.map(FirstEvent.init) })
        }
        while let first = firsts?.min {
            if let event = states[first.key]?.waiting.first, event.sequence == first.sequence { return event }
            firsts?.removeMin()
        }
        return nil
    }
}

/// When an event may be tried again.
private struct DueEvent: Comparable {
    let due: Moment.Nanoseconds
    let key: OrderedKey
    let sequence: UInt64

    static func < (a: DueEvent, b: DueEvent) -> Bool { a.due < b.due }
}

/// The first event of a key, in the order in which what is too much is given up.
private struct FirstEvent: Comparable {
    let position: UInt64
    let key: OrderedKey
    let sequence: UInt64

    init(_ event: KeyedEvent) { (position, key, sequence) = (event.batch.position, event.key, event.sequence) }

    static func < (a: FirstEvent, b: FirstEvent) -> Bool {
        (a.position, a.key.topic, a.sequence) < (b.position, b.key.topic, b.sequence)
    }
}

extension KeyTable {
    /// What it claims against what there is, in words; for those who check.
    func faults(_ holdings: [Holding]) -> [String] {
        var faults: [String] = []
        var held: [OrderedKey: [ObjectIdentifier: [UInt64: Int]]] = [:]
        for holding in holdings {
            for one in holding.portions {
                one.portion.forEachKey { key, _ in
                    held[key, default: [:]][ObjectIdentifier(holding), default: [:]][one.delivery, default: 0] += 1
                }
            }
        }
        if held.values.contains(where: { $0.count > 1 }) { faults.append("two members have events of one key") }
        let claimed = states.filter { $0.value.holder != nil }
        if Set(claimed.keys) != Set(held.keys) { faults.append("keys are had that nobody has, or the other way round") }
        for (key, state) in claimed {
            let counts = state.holder.flatMap { held[key]?[ObjectIdentifier($0)] } ?? [:]
            let count = counts.values.reduce(0, +)
            if count != state.heldCount {
                faults.append("\(state.heldCount) events of a key counted, had are \(count)")
            }
            let numbers = Array(state.held.numbers(from: 0))
            if numbers != counts.keys.sorted() || numbers.contains(where: { state.held[$0] != counts[$0] }) {
                faults.append("a key's deliveries are \(numbers), had are \(counts.keys.sorted())")
            }
        }
        return faults + waitingFaults(holdings)
    }

    private func waitingFaults(_ holdings: [Holding]) -> [String] {
        var faults: [String] = []
        let waiting = states.values.flatMap(\.waiting)
        if waitingCount != waiting.count { faults.append("\(waitingCount) events wait for keys, \(waiting.count) do") }
        if dues.count != waiting.count(where: { $0.due != nil }) { faults.append("events that aren't due are lost") }
        let lengths = Dictionary(waiting.map { (ObjectIdentifier($0.batch), $0.batch.bytes.count) }) { one, _ in one }
        if length != lengths.values.reduce(0, +) { faults.append("bytes that wait for keys are counted wrong") }
        for (key, state) in states {
            let sequences = state.waiting.map(\.sequence)
            if zip(sequences, sequences.dropFirst()).contains(where: >=) {
                faults.append("a key's events wait disordered")
            }
            let lines = [free.contains(key)] + holdings.map { $0.ripeKeys.contains(key) }
            let ought = [state.holder == nil] + holdings.map { state.holder === $0 }
            if lines != ought.map({ $0 && state.isRipe }) { faults.append("a key stands in the wrong line") }
        }
        let ripe = states.values.filter(\.isRipe)
        let standing = holdings.reduce(free.count) { $0 + $1.ripeKeys.count }
        if standing != ripe.count { faults.append("\(standing) keys stand in line, ripe are \(ripe.count)") }
        return faults
    }
}
