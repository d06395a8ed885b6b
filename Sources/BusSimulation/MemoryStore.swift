// A store in memory, as simple as can be: what the real one promises, and nothing of how it keeps it. A commit happens
// when somebody says so; a crash loses what wasn't committed.

public import BusBroker
public import BusWire

/// What a broker asks of a store, answered from a few arrays.
public struct MemoryStore {
    /// What is on disk.
    public struct Disk {
        /// Its batches, by position.
        public var batches: [StoredBatch] = []
        /// Seals by number.
        public var seals: [UInt64: StoredSeal] = [:]
        /// Names of topics by number.
        public var topics: [UInt64: Topic] = [:]
        /// Sequences and times of the topics' last events.
        public var ends: [UInt64: (sequence: UInt64, time: Int64)] = [:]
        /// Last values' positions by topic.
        public var retained: [UInt64: UInt64] = [:]
        /// What was declared.
        public var declarations: [(filter: TopicFilter, settings: [Setting])] = []
        /// Subscriptions by number.
        public var subscriptions: [UInt64: StoredSubscription] = [:]
        /// Dead letters by number.
        public var deadLetters: [UInt64: StoredDeadLetter] = [:]
        /// What is to be published later, by number.
        public var scheduled: [UInt64: StoredScheduled] = [:]
        /// What waited and was put aside, by number.
        public var setAside: [UInt64: StoredScheduled] = [:]
        /// Lines of the ledger.
        public var ledger: [LedgerLine] = []
        /// Batches that are removed and whose ids are still known.
        var receipts: [StoredBatch] = []
        /// The first position not given yet.
        public var nextPosition: UInt64 = 1
        /// Positions that were lost with the end of a damaged log, and the last topic there was then.
        public var lost: [(positions: Range<UInt64>, lastTopic: UInt64)] = []
        var lastDeadLetter: UInt64 = 0
        var lastTopic: UInt64 = 0
        var lastSubscription: UInt64 = 0
        /// Nothing of a topic is left before these positions.
        var floors: [UInt64: UInt64] = [:]
    }

    /// What is on disk.
    public private(set) var disk = Disk()
    /// Which store it is.
    public let incarnation: BusUUID
    /// Bytes of batches it takes.
    public var bytesMax: UInt64 = .max
    private var users: Set<UInt32> = []
    private var waiting: [(ticket: UInt64, write: StoreWrite)] = []
    /// The topic whose batch was refused last.
    private var topicRefused: UInt64?

    /// An empty store.
    public init(incarnation: BusUUID) { self.incarnation = incarnation }

    /// Whether something waits for a commit.
    public var isDirty: Bool { !waiting.isEmpty }

    /// Leaves a write for the next commit.
    public mutating func submit(_ ticket: UInt64, _ write: StoreWrite) { waiting.append((ticket, write)) }

    /// What isn't committed is lost.
    public mutating func crash() { waiting = [] }

    /// The log's end turns out to be damaged: so many positions are gone, and others go on behind them.
    public mutating func lose(positions count: UInt64) {
        let first = disk.nextPosition
        disk.nextPosition += count
        for topic in disk.topics.keys {
            let end = disk.ends[topic] ?? (0, 0)
            disk.ends[topic] = (end.sequence + count, end.time)
        }
        disk.lost.append((first..<disk.nextPosition, disk.topics.keys.max() ?? 0))
    }

    /// A topic turns out to be damaged: nothing is known of it, what it has is still there.
    public mutating func damage(topic number: UInt64) { disk.topics[number] = nil }

    /// A seal turns out to be damaged.
    public mutating func damage(seal number: UInt64) { disk.seals[number] = nil }

    /// The row of an event that waits turns out to be damaged.
    public mutating func damage(scheduled number: UInt64) -> SetAsideScheduled? {
        var commit = StoreCommit(through: 0)
        setAside(scheduled: number, &commit)
        return commit.setAside.first
    }

    /// Carries out everything that waits, or only the first so many.
    public mutating func commit(first count: Int = .max) -> StoreCommit {
        var commit = StoreCommit(through: 0)
        for (ticket, write) in waiting.prefix(count) {
            apply(write, ticket, &commit)
            commit.through = ticket
        }
        waiting.removeFirst(min(count, waiting.count))
        commit.usage = usage()
        commit.bytesUsed = bytesUsed
        return commit
    }

    /// What users hold now; also of those who held something before.
    private mutating func usage() -> [(uid: UInt32, bytes: UInt64)] {
        let held = self.held
        users.formUnion(held.keys)
        return users.sorted().map { ($0, held[$0] ?? 0) }
    }

    private var held: [UInt32: UInt64] {
        disk.batches.reduce(into: [:]) { $0[$1.uid, default: 0] += UInt64($1.bytes.count) }
    }

    private var bytesUsed: UInt64 {
        disk.batches.reduce(0) { $0 + UInt64($1.bytes.count) }
            + disk.scheduled.values.reduce(0) { $0 + UInt64($1.bytes.count) }
    }

    private mutating func apply(_ write: StoreWrite, _ ticket: UInt64, _ commit: inout StoreCommit) {
        switch write {
        case .append(let batch): _ = append(batch, ticket, &commit)
        case .schedule(let event): schedule(event, ticket, &commit)
        case .unschedule(let number): disk.scheduled[number] = nil
        case .setAsideScheduled(let number): setAside(scheduled: number, &commit)
        case .publishScheduled(let number, let batch):
            if append(batch, ticket, &commit) { disk.scheduled[number] = nil }
        case .seal(let seal): disk.seals[seal.number] = seal
        case .sealClosed: break
        case .topic(let number, let name):
            disk.topics[number] = name
            disk.lastTopic = max(disk.lastTopic, number)
        case .removeTopic(let number):
            disk.topics[number] = nil
            disk.batches.removeAll { $0.topic == number }
            disk.scheduled = disk.scheduled.filter { $0.value.topic != number }
        case .trim(let topic, let position):
            disk.receipts += disk.batches.filter { $0.topic == topic && $0.position < position }
            disk.batches = disk.batches.filter { $0.topic != topic || $0.position >= position || isNeeded($0) }
            disk.floors[topic] = max(disk.floors[topic] ?? 0, min(position, disk.nextPosition))
            if let now = stored(topic) { commit.trimmed.append(now) }
        case .retain(let topic, let position): if topicRefused != topic { disk.retained[topic] = position }
        case .declare(let filter, let settings):
            disk.declarations.removeAll { $0.filter == filter }
            disk.declarations.append((filter, settings))
        case .undeclare(let filter): disk.declarations.removeAll { $0.filter == filter }
        case .subscription(let subscription):
            disk.subscriptions[subscription.number] = subscription
            disk.lastSubscription = max(disk.lastSubscription, subscription.number)
        case .cursor(let number, let cursor): disk.subscriptions[number]?.cursor = cursor
        case .removeSubscription(let number): disk.subscriptions[number] = nil
        case .deadLetter(let letter):
            disk.deadLetters[letter.number] = letter
            disk.lastDeadLetter = max(disk.lastDeadLetter, letter.number)
        case .removeDeadLetter(let number, let events):
            guard var letter = disk.deadLetters[number] else { return }
            for (place, byte) in events.enumerated() where place < letter.selection.count {
                letter.selection[place] &= ~byte
            }
            disk.deadLetters[number] = letter.selection.contains { $0 != 0 } ? letter : nil
        case .ledger(let line): disk.ledger.append(line)
        case .trimLedger(let position): disk.ledger.removeAll { $0.first < position }
        case .lookUp(let uid, let first, let count, let ids, let topic, let includesWaiting):
            commit.known.append((ticket, known(uid, first, count, ids, on: topic, includesWaiting)))
        case .trimIDs(let time): disk.receipts.removeAll { $0.time < time }
        }
    }

    private mutating func setAside(scheduled number: UInt64, _ commit: inout StoreCommit) {
        guard let event = disk.scheduled.removeValue(forKey: number) else { return }
        disk.setAside[number] = event
        commit.setAside.append(
            SetAsideScheduled(
                number: number, topic: event.topic, uid: event.uid, length: UInt64(event.bytes.count)))
    }

    private mutating func schedule(_ event: StoredScheduled, _ ticket: UInt64, _ commit: inout StoreCommit) {
        guard bytesUsed + UInt64(event.bytes.count) <= bytesMax else {
            return commit.refused.append((ticket, .storeFull, "the store is full"))
        }
        disk.scheduled[event.number] = event
    }

    /// - Returns: whether there was room.
    private mutating func append(_ batch: StoredBatch, _ ticket: UInt64, _ commit: inout StoreCommit) -> Bool {
        guard disk.topics[batch.topic] != nil else {
            commit.refused.append((ticket, .storeUnavailable, "the topic isn't there"))
            topicRefused = batch.topic
            return false
        }
        guard bytesUsed + UInt64(batch.bytes.count) <= bytesMax else {
            commit.refused.append((ticket, .storeFull, "the store is full"))
            topicRefused = batch.topic
            return false
        }
        topicRefused = nil
        disk.batches.append(batch)
        disk.ends[batch.topic] = (batch.firstSequence + UInt64(batch.eventCount) - 1, batch.time)
        disk.nextPosition = batch.position + UInt64(batch.eventCount)
        return true
    }

    private func isNeeded(_ batch: StoredBatch) -> Bool {
        disk.retained[batch.topic] == batch.position
            || disk.deadLetters.values.contains { $0.position == batch.position }
    }

    private func ids(of batch: StoredBatch) -> [BusUUID] {
        guard batch.ids.isEmpty else { return batch.ids }
        return (0..<batch.eventCount).compactMap { batch.firstID.advanced(by: UInt64($0)) }
    }

    private func known(
        _ uid: UInt32, _ first: BusUUID, _ count: UInt32, _ explicit: [BusUUID], on topic: UInt64,
        _ includesWaiting: Bool
    ) -> [KnownIDs] {
        let sought = explicit.isEmpty ? (0..<count).compactMap { first.advanced(by: UInt64($0)) } : explicit
        return sought.compactMap { id in
            let waiting = disk.scheduled.values.first { $0.id == id && $0.uid == uid && $0.topic == topic }
            if includesWaiting, let waiting {
                return KnownIDs(first: id, count: 1, topic: topic, firstSequence: 0, accepted: waiting.taken)
            }
            // The newest answers, where one was used again after its time.
            for batch in (disk.receipts + disk.batches).reversed() where batch.uid == uid && batch.topic == topic {
                guard let place = ids(of: batch).firstIndex(of: id) else { continue }
                return KnownIDs(
                    first: id, count: 1, topic: topic, firstSequence: batch.firstSequence + UInt64(place),
                    accepted: batch.time)
            }
            return nil
        }
    }

    // MARK: Reading

    /// Answers a read, a batch at a time so that pages end in the middle.
    public func page(_ read: StoreRead) -> StoredPage {
        var found: [StoredBatch] = []
        var (length, events) = (0, 0)
        for batch in disk.batches {
            let end = batch.position + UInt64(batch.eventCount)
            guard end > read.from, batch.position < read.before, read.topics?.contains(batch.topic) != false else {
                continue
            }
            guard found.isEmpty || (length < read.lengthMax && events < read.eventCountMax) else {
                return page(read, found, reached: batch.position, isLast: false)
            }
            found.append(batch)
            length += batch.bytes.count
            events += Int(batch.eventCount)
        }
        return page(read, found, reached: read.before, isLast: true)
    }

    private func page(_ read: StoreRead, _ batches: [StoredBatch], reached: UInt64, isLast: Bool) -> StoredPage {
        StoredPage(
            number: read.number, batches: batches,
            seals: disk.seals.filter { seal in batches.contains { $0.seal == seal.key } },
            reached: reached, isLast: isLast)
    }

    /// Answers what is due.
    public func due(_ order: DueOrder) -> DuePage {
        let place = order.after ?? DuePlace(due: .min, number: 0)
        let all = disk.scheduled.values.filter { ($0.due, $0.number) > (place.due, place.number) }
            .sorted { ($0.due, $0.number) < ($1.due, $1.number) }
        var events: [StoredScheduled] = []
        var length = 0
        for event in all {
            guard event.due <= order.time, events.count < order.eventCountMax, length < order.lengthMax else { break }
            events.append(event)
            length += event.bytes.count
        }
        let seals = disk.seals.filter { seal in events.contains { $0.seal == seal.key } }
        return DuePage(
            events: events, seals: seals, end: events.last.map { DuePlace(due: $0.due, number: $0.number) },
            next: all.dropFirst(events.count).first?.due)
    }

    /// What waits, in numbers.
    private var scheduled: ScheduledSummary {
        let counts = Dictionary(grouping: disk.scheduled.values) { [$0.topic, UInt64($0.uid)] }
        return ScheduledSummary(
            counts: counts.map { key, events in
                (key[0], UInt32(key[1]), events.count, events.reduce(0) { $0 + UInt64($1.bytes.count) })
            },
            next: disk.scheduled.values.map(\.due).min(), lastNumber: disk.scheduled.keys.max() ?? 0)
    }

    /// Answers where to begin.
    public func cursor(_ order: SeekOrder) -> StoredCursor {
        let batches = disk.batches.filter {
            order.topics?.contains($0.topic) != false && $0.position < order.committed
        }
        switch order.start {
        case .new: return StoredCursor(next: order.committed)
        case .all: return StoredCursor(next: 0)
        case .since(let time):
            return StoredCursor(next: batches.first { $0.time >= time }?.position ?? order.committed)
        case .sequence(let sequence):
            let batch = batches.first { $0.firstSequence + UInt64($0.eventCount) > sequence }
            let position = batch.map { $0.position + (sequence > $0.firstSequence ? sequence - $0.firstSequence : 0) }
            return StoredCursor(next: position ?? order.committed)
        case .last:
            let last = Dictionary(grouping: batches, by: \.topic).values.compactMap(\.last)
            let ranges = last.map {
                PendingRange(first: $0.position + UInt64($0.eventCount) - 1, count: 1, attempts: 0)
            }
            return StoredCursor(next: order.committed, pending: ranges.sorted { $0.first < $1.first })
        }
    }

    /// Answers up to where a topic keeps nothing any more, and how old the first of the rest is.
    public func kept(_ order: RetentionOrder) -> (before: UInt64, firstTime: Int64) {
        guard let topic = stored(order.topic) else { return (0, .max) }
        let own = disk.batches.filter { $0.topic == order.topic }
        let aged = own.first { $0.time >= order.olderThan }?.position ?? order.before
        let over = topic.eventsOver(order)
        let first = topic.firstSequence + over
        let counted = over == 0 ? 0 : own.first { $0.firstSequence >= first }?.position ?? order.before
        let most = min(order.before, max(aged, counted))
        // A batch that reaches over the bound stays whole: an event in it may still be pending.
        let before = own.first { $0.position + UInt64($0.eventCount) > most }.map { min(most, $0.position) } ?? most
        return (before, own.first { $0.position >= before }?.time ?? .max)
    }

    // MARK: Beginning

    private func stored(_ number: UInt64) -> StoredTopic? {
        guard let name = disk.topics[number] else { return nil }
        let own = disk.batches.filter { $0.topic == number }
        let end = disk.ends[number] ?? (0, 0)
        let retained = disk.retained[number].flatMap { position in own.first { $0.position == position } }
        return StoredTopic(
            number: number, name: name, lastSequence: end.sequence, lastTime: end.time,
            firstSequence: own.first?.firstSequence ?? end.sequence + 1, firstPosition: disk.floors[number] ?? 0,
            firstTime: own.first?.time ?? .max, eventCount: own.reduce(0) { $0 + UInt64($1.eventCount) },
            byteCount: own.reduce(0) { $0 + UInt64($1.bytes.count) },
            retained: retained.flatMap { batch in disk.seals[batch.seal].map { (batch, $0) } })
    }

    /// What a daemon that begins now finds.
    public var state: StoredState {
        var state = StoredState(incarnation: incarnation, nextPosition: disk.nextPosition)
        state.topics = disk.topics.keys.sorted().compactMap(stored)
        state.declarations = disk.declarations
        state.subscriptions = disk.subscriptions.values.sorted { $0.number < $1.number }
        state.lastDeadLetter = disk.lastDeadLetter
        (state.lastTopic, state.lastSubscription) = (disk.lastTopic, disk.lastSubscription)
        for letter in disk.deadLetters.values {
            state.deadCounts[letter.subscription, default: 0] += UInt64(
                letter.selection.reduce(0) { $0 + $1.nonzeroBitCount })
        }
        state.scheduled = scheduled
        state.lost = disk.lost
        state.usage = held.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        state.bytesUsed = bytesUsed
        state.bytesMax = bytesMax
        return state
    }
}
