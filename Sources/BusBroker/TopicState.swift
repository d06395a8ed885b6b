// What the broker knows of one topic: its position, its time, its route, its last value.

import BusWire

final class TopicState {
    let name: Topic
    /// A small stand-in for the name in sets: never given twice, and the same whatever is declared of it.
    let number: UInt64
    /// Within which its sequences count.
    private(set) var incarnation: UInt64
    /// Who pays for its existence.
    let account: Account
    /// What was declared of it.
    var settings: TopicSettings
    /// Its number in the store; 0 while it is live.
    private(set) var storeNumber: UInt64 = 0
    /// What is stored of it.
    var stored: StoredCounts { counts ?? StoredCounts() }
    private var counts: StoredCounts?
    /// The position of the last event accepted.
    var lastSequence: UInt64 = 0
    /// The time of the last batch accepted: never goes back, whatever the clock does.
    var lastTime: Int64 = .min
    /// The generation of keys. One, until keys rotate.
    let epoch: UInt32 = 1
    /// The last value.
    var retained: RetainedValue?
    /// Seals open on it: as long as there are any, it isn't forgotten.
    var sealCount = 0
    /// Since when it has neither publisher nor last value.
    var idleSince: Moment.Nanoseconds = 0
    /// Whether it stands in the list of topics that may be forgotten.
    var isListedIdle = false
    var eventCount: UInt64 = 0
    var byteCount: UInt64 = 0
    var rate = RateMeter()
    /// What waits to be published here, by its publisher's user.
    var scheduled: [UInt32: Waiting] = [:]
    /// Of a reply topic: the seals open on it and whose they are, to be taken back when its requester is gone.
    var answering: [UInt64: SessionID] = [:]

    private(set) var route = Route()
    private var routeVersion: UInt64 = .max

    init(name: Topic, number: UInt64, account: Account, settings: TopicSettings) {
        self.name = name
        self.number = number
        incarnation = number
        self.account = account
        self.settings = settings
    }

    /// Whether its events are stored.
    var isDurable: Bool { storeNumber != 0 }

    /// Whether every event becomes the last value.
    var retainsAll: Bool { settings.retains }

    /// Its events are stored from now on. Its incarnation is then the same in every daemon on this store, and in no
    /// other store: the highest bit says so, and what the store's own id has in common with nobody's.
    ///
    /// - Parameter position: what lies before isn't of this topic, though it may be of one of its name.
    func beginStoring(as storeNumber: UInt64, of store: BusUUID, from position: UInt64 = 0) {
        self.storeNumber = storeNumber
        counts = StoredCounts()
        counts?.firstPosition = position
        incarnation = 1 << 63 | (store.low >> 1 & 0x7fff_ffff) << 32 | storeNumber & 0xffff_ffff
        routeVersion = .max
    }

    /// Its events are stored no more.
    func endStoring() {
        storeNumber = 0
        counts = nil
        incarnation = number
        routeVersion = .max
    }

    /// Everyone who gets this topic, in the order in which they subscribed; matched anew only after a filter came
    /// or went anywhere.
    func route(through filters: FilterTrie) -> Route {
        if routeVersion != filters.version {
            let matching = filters.matches(name)
            // Durable subscriptions are of what is stored.
            route = Route(
                isDurable ? matching : matching.filter { !$0.isDurable }, retains: retainsAll,
                payloadLengthMax: settings.payloadLengthMax)
            routeVersion = filters.version
        }
        return route
    }

    /// Gives the next `count` positions and a time.
    func advance(by count: UInt32, wall: Int64) -> (first: UInt64, time: Int64) {
        let first = lastSequence + 1
        lastSequence += UInt64(count)
        lastTime = max(lastTime, wall)
        return (first, lastTime)
    }

    /// Whether nobody publishes here and nothing is kept.
    var isIdle: Bool { sealCount == 0 && retained == nil && !isDurable }
}

/// Who gets a topic, and what that asks of its publishers.
struct Route {
    private(set) var subscriptions: [Subscription] = []
    /// How many of them answer requests, groups as one.
    private(set) var responderCount = 0
    /// How batches are bounded: short where a group is to share them or where they are kept whole.
    private(set) var limits = BatchLimits.normal

    init() {}

    init(_ subscriptions: [Subscription], retains: Bool, payloadLengthMax: Int = 0) {
        self.subscriptions = subscriptions
        responderCount = subscriptions.count { $0.responds }
        if subscriptions.contains(where: { $0.isShared && !$0.isExclusive }) { limits = limits.bounded(by: .shared) }
        if retains { limits = limits.bounded(by: .retained) }
        limits.payloadLength = payloadLengthMax
    }
}

/// How long batches of a topic may be.
struct BatchLimits: Equatable {
    let length: Int
    let eventCount: Int
    /// The longest payload of one event; 0 for the bus's.
    var payloadLength = 0

    static let normal = BatchLimits(length: Limits.batchLengthMax, eventCount: Limits.batchEventCountMax)
    static let shared = BatchLimits(length: Limits.groupBatchLengthMax, eventCount: Limits.groupBatchEventCountMax)
    static let retained = BatchLimits(length: Limits.retainedBatchLengthMax, eventCount: Limits.batchEventCountMax)

    func bounded(by other: BatchLimits) -> BatchLimits {
        BatchLimits(length: min(length, other.length), eventCount: min(eventCount, other.eventCount))
    }
}

/// A topic's last value.
struct RetainedValue {
    let portion: Portion
    /// Its place in the order in which last values were accepted.
    let index: UInt64
    /// Who left it here and pays for it.
    let account: Account

    var length: Int { Int(portion.length) }
}
