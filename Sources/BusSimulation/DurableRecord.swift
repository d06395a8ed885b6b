// What is known of durable subscriptions: which events each still has to get, and who holds them.

import BusBroker
import BusWire

/// A batch that is on disk.
final class DiskBatch {
    let stored: StoredBatch
    let topic: Topic
    /// Its events' ordering keys; 0 for none.
    let keys: [UInt64]

    init(_ stored: StoredBatch, topic: Topic, keys: [UInt64]) {
        self.stored = stored
        self.topic = topic
        self.keys = keys
    }

    var positions: Range<UInt64> { stored.position..<stored.position + UInt64(stored.eventCount) }
    func sequence(at place: Int) -> UInt64 { stored.firstSequence + UInt64(place) }
    func id(at place: Int) -> BusUUID { stored.firstID.advanced(by: UInt64(place)) ?? stored.firstID }
}

/// What one consumer was handed with one delivery and hasn't settled.
final class Hold {
    let consumer: DurableConsumer
    let delivery: UInt64
    /// Positions of the events, by place in the batch.
    var positions: [UInt64: Int]
    /// Until when it is its alone.
    var deadline: UInt64

    init(_ consumer: DurableConsumer, _ delivery: UInt64, _ positions: [UInt64: Int], deadline: UInt64) {
        self.consumer = consumer
        self.delivery = delivery
        self.positions = positions
        self.deadline = deadline
    }
}

/// What has become of one event for one subscription.
struct Standing {
    let batch: DiskBatch
    /// How often it was handed out, as far as the daemon must know.
    var attempts: UInt16 = 0
    /// Who has it.
    var hold: Hold?
    /// Acknowledged, or given up on: it never comes again, unless the daemon died before that was saved.
    var isSettled = false
    /// A subscriber said that it is never to come again.
    var isRejected = false
    /// It was removed from the store: it may come or be told as missed.
    var isRemoved = false
    /// Somebody still had to get it when it was removed.
    var isLost = false
    /// How often the subscription had been told of gaps by then.
    var lostAfter = 0
    /// It was handed out before the daemon died, how often wasn't saved; or it was taken back because one of its key comes
    /// before it.
    var isVague = false
    /// What comes before it of its key is late: it is taken back, too, some time soon.
    var isRecalled = false
    /// It comes again because somebody redrove it: in no order.
    var isRedriven = false

    init(_ batch: DiskBatch) { self.batch = batch }

    /// Whether somebody still has to get it.
    var isOwed: Bool { !isSettled && !isRemoved }
    func key(at position: UInt64) -> UInt64 { batch.keys[Int(position - batch.stored.position)] }
}

/// One session's part in a durable subscription.
final class DurableConsumer {
    let session: SessionID
    let number: UInt32
    var credit: UInt64
    var sent: UInt64 = 0
    var lastDelivery: UInt64 = 0
    var holds: [Hold] = []
    /// Whether it was told that it has got what was stored.
    var isCaughtUp = false

    init(session: SessionID, number: UInt32, credit: UInt64) {
        self.session = session
        self.number = number
        self.credit = credit
    }
}

/// A durable subscription.
final class DurableRecord {
    let number: UInt64
    let name: String
    let filter: TopicFilter
    let mode: SubscribeMode
    let wait: UInt64
    let attemptCountMax: UInt16
    /// Events it got or has to get, by position.
    var events: [UInt64: Standing] = [:]
    /// What was ever handed to anybody, whatever has happened since.
    var delivered: Set<UInt64> = []
    /// What was ever settled by anybody, whatever has happened since.
    var settled: Set<UInt64> = []
    /// Its consumers, oldest first.
    var consumers: [DurableConsumer] = []
    /// The last event of each topic and key that was handed out for the first time.
    var newest: [TopicKey: UInt64] = [:]
    /// Whether a place is looked for where it is to begin.
    var isMoving = false
    /// Whether it began somewhere, and that isn't on disk.
    var isUnsaved = false
    /// How often it began somewhere.
    var moveCount = 0
    /// Whether somebody was told that it is there.
    var isTold = false
    /// Whether it began among what was stored: what was being removed then may be missed.
    var wentBack = false
    /// How often it was told that something is missing.
    var gapCount = 0
    /// Topics of which something it had to get was gone when the daemon died, and it was not told.
    var gapsOwed: Set<UInt64> = []

    init(_ stored: StoredSubscription) {
        number = stored.number
        name = "\(stored.name)"
        filter = stored.filter
        mode = stored.mode
        func setting(_ key: SettingKey, else value: Int64) -> Int64 {
            stored.settings.first { $0.key == key }?.value ?? value
        }
        wait = UInt64(setting(.acknowledgeWait, else: 30_000_000)) * 1000
        attemptCountMax = UInt16(setting(.attemptCountMax, else: 10))
    }

    var isShared: Bool { mode.contains(.shared) }
    /// What was removed before it was settled, and nothing was told since.
    var untold: [UInt64] {
        events.filter { $0.value.isLost && !$0.value.isSettled && $0.value.lostAfter >= gapCount }.keys.sorted()
    }
    var owed: [UInt64] { events.filter { $0.value.isOwed }.keys.sorted() }
}

/// A topic, and a key on it; events without one have 0.
struct TopicKey: Hashable {
    let topic: UInt64
    let key: UInt64
}

/// A subscription that isn't durable and reads what is stored first.
final class DurableReader {
    let session: SessionID
    let number: UInt32
    let filter: TopicFilter
    var credit: UInt64
    var sent: UInt64 = 0
    /// What it has to get, in order; nil while its place is looked for.
    var expected: [UInt64]?
    /// Up to where it is told that events are stored ones.
    var committed: UInt64 = 0
    var isCaughtUp = false

    init(session: SessionID, number: UInt32, filter: TopicFilter, credit: UInt64) {
        self.session = session
        self.number = number
        self.filter = filter
        self.credit = credit
    }
}

extension StoredCursor {
    /// Whether it says that an event needn't come any more.
    func settles(_ position: UInt64) -> Bool {
        position < next && !pending.contains { position >= $0.first && position < $0.first + $0.count }
    }
}
