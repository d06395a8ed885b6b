// What the broker knows of one connected peer.

import BusWire
import DequeModule

final class Session {
    /// Where a session stands.
    enum Phase {
        /// Connected; its hello must come before a deadline.
        case greeting
        /// Authenticated; everything is allowed.
        case open
        /// Said goodbye while publishes of it wait for a stalled subscription: they are still handled and told.
        case leaving
        /// Told to leave; nothing it sends counts any more, and nothing is held for it.
        case closing
    }

    let id: SessionID
    let peer: PeerIdentity
    let account: Account
    let connectedAt: Int64
    var name = ""
    var phase = Phase.greeting

    // Publishing.
    var seals: [UInt64: Seal] = [:]
    /// The seal last published with, which is mostly the next one, too.
    var recentSeal: Seal?
    /// The last publish number accepted or refused.
    var progress: UInt64 = 0
    /// Publishes that wait for a stalled subscription, numbers following `progress`.
    var parked: Deque<ParkedPublish> = []
    /// Publishes that aren't on disk yet, and refusals that stand behind them; numbers follow `progress`.
    var uncommittedCount = 0
    /// Parked publishes whose ids are being looked up, by number.
    var lookUps: [UInt64: LookUp] = [:]
    /// Bytes of `parked`.
    var parkedLength = 0
    /// Bytes of publishes whose progress hasn't been told yet: they count against the window.
    var untoldLength = 0
    /// How many of them were accepted.
    var untoldCount = 0
    /// Whether there is progress to tell, and nobody waits for it.
    var isPatient = false
    var receipts: [Receipt] = []
    /// Whether there is progress to tell at the end of the round; it stands in the broker's list then.
    var isUnreceipted = false

    /// What is to be published when it is gone without a goodbye.
    var will: KeptWill?

    // Asking and answering.
    /// Its requests that wait for an answer, by correlation.
    var requests: [BusUUID: OpenRequest] = [:]
    /// What it may answer.
    var rights = ReplyRights()
    /// Topics on which it asks nobody for a while, by its own word; only shown.
    var openCircuits: Set<Topic> = []

    // Subscribing.
    var consumers: [UInt32: Consumer] = [:]
    /// Consumers with something to be delivered and the credit for it, taken in turns as the connection drains.
    var waiting: Deque<Consumer> = []
    var announced: Set<UInt64> = []
    var granted: Set<GrantKey> = []

    // Writing.
    var isBlocked = false
    /// Batch bytes and deliveries handed over since the connection was last drained.
    var roundLength = 0
    var roundCount = 0
    /// Answers handed over while it was blocked.
    var unreadCount = 0

    /// What the kernel may hold for its connection, in bytes.
    var kernelLength = 0

    // Being looked at.
    /// A snapshot it is reading page by page.
    var snapshot: InspectionSnapshot?
    var counters = SessionCounters()

    init(id: SessionID, peer: PeerIdentity, account: Account, connectedAt: Int64) {
        self.connectedAt = connectedAt
        self.id = id
        self.peer = peer
        self.account = account
    }
}

/// A publish that waits.
struct ParkedPublish {
    let publish: Publish
    /// What it came under, which may have been closed since; nil for none of the session's.
    let seal: Seal?
    /// What was wrong with its counter when it came, if anything was.
    let refusal: PublishRefusal?
}

/// A topic and epoch whose secret a session was granted.
struct GrantKey: Hashable {
    let topic: UInt64
    let epoch: UInt32
}

/// What a session published and was delivered.
struct SessionCounters {
    var eventsPublished: UInt64 = 0
    var bytesPublished: UInt64 = 0
    var eventsDelivered: UInt64 = 0
    var bytesDelivered: UInt64 = 0
    var eventsMissed: UInt64 = 0
    var publishRate = RateMeter()
    var deliverRate = RateMeter()
}
