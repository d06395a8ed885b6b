// What a user of the bus may expect, kept as plainly as it can be said: every accepted batch is appended to the list
// `owed` of every subscription that matches it, and what the broker then does must be explained by these lists. There
// is no queue, trie, cache, charge or round in here, and nothing is fast.
//
// The model learns from the broker only how far each session's publishes are (`progress`), and says itself what must
// have become of them.

import BusBroker
import BusWire

/// A batch the broker accepted.
final class OwedBatch {
    /// Its place in the order of acceptance over all topics.
    let index: Int
    let seal: ModelSeal
    let bytes: SharedBytes
    let firstSequence: UInt64
    let eventCount: UInt64
    let time: Int64

    init(index: Int, seal: ModelSeal, bytes: SharedBytes, firstSequence: UInt64, eventCount: UInt64, time: Int64) {
        self.index = index
        self.seal = seal
        self.bytes = bytes
        self.firstSequence = firstSequence
        self.eventCount = eventCount
        self.time = time
    }

    var lastSequence: UInt64 { firstSequence + eventCount - 1 }
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

    init(number: UInt64, topic: Topic, salt: [UInt8], uid: UInt32) {
        self.number = number
        self.topic = topic
        self.salt = salt
        self.uid = uid
    }
}

/// A publish that was sent and neither accepted nor refused yet.
struct ModelPublish {
    let number: UInt64
    let wantsReceipt: Bool
    let isPatient: Bool
    let batch: SampleBatch
    let bytes: SharedBytes
    /// The seal as it was when it was sent; nil for a number that was none of the session's.
    let seal: ModelSeal?
}

/// One subscription's expectations.
final class ModelSubscription {
    let number: UInt32
    let filter: TopicFilter
    let isStalling: Bool
    let stallTime: UInt64
    let queueEventCount: UInt64
    let queueLength: UInt64
    var creditEvents: UInt64
    var creditBytes: UInt64
    var sentEvents: UInt64 = 0
    var sentBytes: UInt64 = 0
    var missedCount: UInt64 = 0
    var lastDelivery: UInt64 = 0
    /// Accepted for it, neither delivered nor told as missed, in the order of acceptance.
    var owed: [OwedBatch] = []
    /// Told as missed since the last delivery.
    var told: [OwedBatch] = []
    /// Since when its queue is full, for one that stalls, until it has emptied by half.
    var fullSince: UInt64?
    /// When something was last accepted for it.
    var lastAccepted: UInt64 = 0
    /// Whether its queue was looked at after its stall timed out, when what was dropped may have relaxed it unseen.
    var mayHaveRelaxed = false

    init(_ request: Subscribe, filter: TopicFilter) {
        number = request.subscription
        self.filter = filter
        isStalling = request.overflow == OverflowPolicy.stall.rawValue
        stallTime = UInt64(request.stallMilliseconds) * 1_000_000
        queueEventCount = UInt64(request.queueEventCount)
        queueLength = request.queueLength
        creditEvents = request.creditEvents
        creditBytes = request.creditBytes
    }

    var hasCredit: Bool { sentEvents < creditEvents && sentBytes < creditBytes }
    var owedEvents: UInt64 { owed.reduce(0) { $0 + $1.eventCount } }
    var owedLength: UInt64 { owed.reduce(0) { $0 + UInt64($1.bytes.count) } }

    /// Whether it has to hold back its publishers.
    func stalls(at now: UInt64) -> Bool { fullSince.map { now < $0 + stallTime } ?? false }
    /// Whether it may: what was dropped and not told yet may have let a stall end and the next begin.
    func mayStall(at now: UInt64) -> Bool { stalls(at: now) || mayHaveRelaxed && now < lastAccepted + stallTime }
    /// The broker looks at its queue.
    func look(at now: UInt64) { if fullSince != nil, !stalls(at: now) { mayHaveRelaxed = true } }
}

/// One session's expectations.
final class ModelSession {
    enum Phase { case greeting, open, leaving, closed }

    let id: SessionID
    let uid: UInt32
    let helloDeadline: UInt64
    var phase = Phase.greeting
    /// Reasons for which the broker may close it.
    var closeReasons: Set<Reason> = []
    /// Whether it has to be closed with the input under way.
    var mustClose = false

    var seals: [UInt64: ModelSeal] = [:]
    var nextPublish: UInt64 = 1
    var pending: [ModelPublish] = []
    var progress: UInt64 = 0
    var toldProgress: UInt64 = 0
    /// Number and length of publishes whose progress wasn't told.
    var untold: [(number: UInt64, length: Int)] = []
    var owedReceipts: [Receipt] = []
    /// Until when it may be left untold, if all it published since it was told was patient.
    var patientUntil: UInt64?
    /// Whether the end of the round has to tell it.
    var mustBeTold = false
    var owedRefusals: [(number: UInt64, reason: Reason)] = []
    /// Answers to its requests, each by a short name.
    var owedAnswers: [Answer] = []

    var subscriptions: [UInt32: ModelSubscription] = [:]
    var announced: Set<UInt64> = []
    var granted: Set<Topic> = []

    var isBlocked = false
    /// Something was handed over that the runner hasn't written yet.
    var isDirty = false
    var roundLength = 0
    var roundCount = 0
    /// It was told receipts although it is blocked, which only the end of a session allows.
    var wasToldWhileBlocked = false

    init(id: SessionID, uid: UInt32, helloDeadline: UInt64) {
        self.id = id
        self.uid = uid
        self.helloDeadline = helloDeadline
    }
}

/// What must come back for a request.
enum Answer: Equatable {
    case subscribed(UInt32)
    case unsubscribed(UInt32)
    case inspected(UInt32)
    case seal(UInt32)
    case refused(FrameType, UInt64, Reason)
}

/// What is promised, given what happened so far.
final class Model {
    let configuration: BrokerConfiguration
    /// Whether a user's bytes may run out, which may drop anything anywhere: then only counts, order and gaps hold.
    let isTight: Bool
    var sessions: [SessionID: ModelSession] = [:]
    /// The last sequence of each topic.
    var positions: [Topic: UInt64] = [:]
    var topicTimes: [Topic: Int64] = [:]
    /// Sessions whose publishes wait, in the order in which they began to.
    var parked: [ModelSession] = []
    /// Subscriptions that may have become full with what was accepted last.
    var filling: [ModelSubscription] = []
    var isDraining = false
    var drainDeadline: UInt64?
    var stoppedCount = 0
    var now = Moment(monotonic: 0, wall: 0)
    var salts: Set<[UInt8]> = []
    var lastSeal: UInt64 = 0
    /// What happened, for those who ask whether a run was worth it.
    var tally = SimulationTally()

    init(configuration: BrokerConfiguration, isTight: Bool) {
        self.configuration = configuration
        self.isTight = isTight
    }

    /// In the order of their numbers, so that chance picks alike in every run.
    var sessionsInOrder: [ModelSession] { sessions.values.sorted { $0.id.rawValue < $1.id.rawValue } }

    func session(_ id: SessionID) throws(Violation) -> ModelSession {
        guard let session = sessions[id] else { throw Violation("session \(id) is spoken to, and is gone") }
        return session
    }

    /// Everyone a topic's events are for.
    func matches(_ topic: Topic) -> [(session: ModelSession, subscription: ModelSubscription)] {
        sessions.values.flatMap { session in
            session.subscriptions.values.filter { $0.filter.matches(topic) }.map { (session, $0) }
        }
    }

    /// A session holds nothing any more and is owed nothing but what follows its last publish.
    func forget(_ session: ModelSession) {
        session.subscriptions = [:]
        session.seals = [:]
        session.pending = []
        session.owedRefusals = []
        session.owedAnswers = []
        parked.removeAll { $0 === session }
    }
}
