// What durable topics promise, kept as plainly as it can be said: a list of the batches that are on disk, and for each
// durable subscription what has become of each event it is for. Cursors, pages, windows and tickets are the broker's way
// to keep these promises; here they are only looked at to see that they lose nothing.
//
// Its files: what is stored, what is delivered, what happens when the daemon dies.

import BusBroker
import BusWire

/// What is promised of what is stored, given what happened so far.
final class DurableModel {
    var now = Moment(monotonic: 1_000_000_000, wall: 1_700_000_000_000_000)
    /// Everything that ever was on disk, by position.
    var batches: [DiskBatch] = []
    /// The broker was told of everything before.
    var heard: UInt64 = 1
    /// Names of topics in the store.
    var topicNames: [UInt64: Topic] = [:]
    /// Topics that were deleted, by number.
    var removedTopics: Set<UInt64> = []
    /// Before which position everything of a topic is removed.
    var floors: [UInt64: UInt64] = [:]
    /// Before which position nothing of a topic is on disk any more.
    var gone: [UInt64: UInt64] = [:]
    /// Where an id was stored, by publisher and topic.
    var known: [KnownID: DiskBatch] = [:]
    /// Durable subscriptions, by number.
    var records: [UInt64: DurableRecord] = [:]
    /// Where those that are made now are to begin, by name.
    var starts: [String: Start] = [:]
    /// Who takes part in them from their beginning, by name.
    var joining: [String: DurableConsumer] = [:]
    /// Names of those that somebody wanted to end.
    var ending: Set<String> = []
    /// Whether what happens now is somebody's wish to remove events.
    var isRemoving = false
    /// Whether anybody ever wanted events to be removed.
    var hasRemoved = false
    /// Whether retention removes what somebody still has to get.
    let isHard: Bool
    var readers: [DurableReader] = []
    /// Places that are looked for.
    var seeks: [UInt64: Sought] = [:]
    /// Positions of the delivery that is being looked at.
    var current: Set<UInt64> = []
    /// Dead letters that are kept.
    var letters: [UInt64: StoredDeadLetter] = [:]
    /// What is left to be published later.
    var waitings = Waitings()
    var tally = SimulationTally()
    /// What became of which events, for a failure's description; only while somebody wants to see it.
    var notes: [String]?

    init(isHard: Bool) { self.isHard = isHard }

    /// An event's id, as it is known by.
    struct KnownID: Hashable {
        let uid: UInt32
        let topic: UInt64
        let id: BusUUID
    }

    /// Who looks for a place, and which.
    struct Sought {
        let order: SeekOrder
        let owner: Owner
        enum Owner {
            case record(UInt64)
            case reader(SessionID, UInt32)
        }
    }

    /// In the order of their numbers, so that chance picks alike in every run.
    var recordsInOrder: [DurableRecord] { records.values.sorted { $0.number < $1.number } }

    func record(named name: String) -> DurableRecord? { records.values.first { $0.name == name } }

    func consumer(_ session: SessionID, _ number: UInt32) -> (DurableRecord, DurableConsumer)? {
        for record in records.values {
            if let consumer = record.consumers.first(where: { $0.session == session && $0.number == number }) {
                return (record, consumer)
            }
        }
        return nil
    }

    /// The batch that has the event at a position.
    func batch(at position: UInt64) -> DiskBatch? { batches.last { $0.positions.contains(position) } }

    /// Whether a batch isn't on disk any more.
    func isGone(_ batch: DiskBatch) -> Bool { batch.stored.position < gone[batch.stored.topic] ?? 0 }

    /// Whether a batch is kept no longer; a batch goes as a whole.
    func isRemoved(_ batch: DiskBatch) -> Bool {
        removedTopics.contains(batch.stored.topic) || batch.stored.position < floors[batch.stored.topic] ?? 0
    }

    // MARK: On disk

    /// A batch is on disk: it has a place of its own, and it wasn't there before.
    func onDisk(_ stored: StoredBatch) throws(Violation) {
        guard let name = topicNames[stored.topic] else { throw Violation("a batch of topic \(stored.topic), unknown") }
        let last = batches.last { $0.stored.topic == stored.topic }
        let end = last.map { $0.sequence(at: Int($0.stored.eventCount)) } ?? 1
        try expect(stored.firstSequence >= end, "\(name) \(stored.firstSequence) is given again, \(end) is next")
        try expect(
            stored.position >= batches.last?.positions.upperBound ?? 1, "position \(stored.position) is given again")
        let columns = OrderingKeyColumn.keys(of: stored)
        let batch = DiskBatch(stored, topic: name, keys: columns)
        for place in 0..<Int(stored.eventCount) {
            let id = KnownID(uid: stored.uid, topic: stored.topic, id: batch.id(at: place))
            // Well within its window: how old things are goes by a clock of the broker's own.
            let isRecent = known[id].map { now.wall - $0.stored.time < 300_000_000 } ?? false
            try expect(!isRecent, "\(id.id) is stored twice on \(name)")
            known[id] = batch
        }
        batches.append(batch)
        tally[.committed] += 1
    }

    /// The broker hears that everything before a position is on disk, and everybody it is for has to get it.
    func hear(before end: UInt64) {
        for batch in batches where batch.stored.position >= heard && batch.stored.position < end {
            guard !removedTopics.contains(batch.stored.topic) else { continue }
            for record in records.values where record.filter.matches(batch.topic) { owe(batch, to: record) }
            for reader in readers where reader.filter.matches(batch.topic) {
                reader.expected?.append(contentsOf: batch.positions)
            }
        }
        heard = max(heard, end)
    }

    private func owe(_ batch: DiskBatch, to record: DurableRecord) {
        for position in batch.positions where record.events[position] == nil {
            var standing = Standing(batch)
            standing.isRemoved = isRemoved(batch)
            record.events[position] = standing
        }
    }

    // MARK: Beginning

    /// What a subscription that begins there has to get of what is on disk.
    func positions(from start: Start, before committed: UInt64, _ filter: TopicFilter) -> [UInt64] {
        let all = batches.filter {
            $0.stored.position < heard && filter.matches($0.topic) && !isGone($0)
        }
        let (old, later) = (
            all.filter { $0.stored.position < committed }, all.filter { $0.stored.position >= committed }
        )
        let wanted: [UInt64]
        switch start {
        case .new: wanted = []
        case .all: wanted = old.flatMap(\.positions)
        case .since(let time):
            let first = old.first { $0.stored.time >= time }?.stored.position ?? .max
            wanted = old.flatMap(\.positions).filter { $0 >= first }
        case .sequence(let sequence):
            wanted = old.flatMap { batch in
                batch.positions.filter { batch.sequence(at: Int($0 - batch.stored.position)) >= sequence }
            }
        case .last:
            wanted = Dictionary(grouping: old, by: { $0.stored.topic }).values.compactMap { $0.last?.positions.last }
                .sorted()
        }
        return wanted + later.flatMap(\.positions)
    }

    /// A subscription begins somewhere; what its consumers held is theirs no more.
    func begin(_ record: DurableRecord, at start: Start, before committed: UInt64) {
        record.events = [:]
        // Where it was to begin before is found for nobody.
        seeks = seeks.filter { !$0.value.isOf(record.number) }
        (record.newest, record.delivered) = ([:], [])
        record.moveCount += 1
        record.wentBack = record.wentBack || start != .new
        record.isMoving = false
        record.gapsOwed = []
        record.isUnsaved = true
        for consumer in record.consumers { (consumer.holds, consumer.isCaughtUp) = ([], false) }
        for position in positions(from: start, before: committed, record.filter) {
            guard let batch = batch(at: position) else { continue }
            var standing = Standing(batch)
            standing.isRemoved = isRemoved(batch)
            record.events[position] = standing
        }
    }

    /// A place was found.
    func found(_ number: UInt64) {
        guard let sought = seeks.removeValue(forKey: number) else { return }
        switch sought.owner {
        case .record(let record):
            guard let record = records[record] else { return }
            // Another place is looked for meanwhile.
            guard !seeks.keys.contains(where: { $0 > number && seeks[$0]?.isOf(record.number) == true }) else { return }
            begin(record, at: sought.order.start, before: sought.order.committed)
        case .reader(let session, let number):
            guard let reader = readers.first(where: { $0.session == session && $0.number == number }) else { return }
            reader.expected = positions(from: sought.order.start, before: sought.order.committed, reader.filter)
        }
    }
}

extension DurableModel.Sought {
    func isOf(_ record: UInt64) -> Bool { if case .record(let number) = owner { number == record } else { false } }
}

extension OrderingKeyColumn {
    /// The keys of a stored batch's events.
    static func keys(of stored: StoredBatch) -> [UInt64] {
        let column = (try? SealedBatch(stored.bytes)).flatMap { OrderingKeyColumn($0) }
        return (0..<Int(stored.eventCount)).map { column?.key(at: $0, in: stored.bytes) ?? 0 }
    }
}
