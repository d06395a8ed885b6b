// What the store keeps, one plain value a kind. The broker decides what they say; here they are only written, read
// back and checked. Positions, sequences and seal numbers are plain numbers, as on the wire.

public import BusWire

/// A topic's number in the store: chosen by the caller, never given twice in the life of the store.
public struct TopicID: RawRepresentable, Hashable, Sendable, Comparable {
    /// The number; below 2^63, as SQLite's integers are signed.
    public let rawValue: UInt64

    /// The topic of this number.
    public init(rawValue: UInt64) {
        precondition(rawValue <= UInt64(Int64.max), "numbers in the store are below 2^63")
        self.rawValue = rawValue
    }

    /// In the order in which they were given.
    public static func < (a: TopicID, b: TopicID) -> Bool { a.rawValue < b.rawValue }
}

/// Who published: what duplicates are told by, together with the event's id.
public struct StoredPublisher: Hashable, Sendable {
    /// The user, from the kernel.
    public var uid: UInt32
    /// The systemd unit's name; empty where there is none.
    public var unit: [UInt8]

    /// A publisher of this user and unit.
    public init(uid: UInt32, unit: [UInt8] = []) {
        self.uid = uid
        self.unit = unit
    }
}

/// A sealed batch, exactly as received, with what the daemon gave it.
public struct StoredBatch: Sendable, Equatable {
    /// Position of its first event in the store; event k of it has `position + k`.
    public var position: UInt64
    /// Which topic it is on.
    public var topic: TopicID
    /// Sequence of its first event in its topic.
    public var firstSequence: UInt64
    /// How many events it has, at least one.
    public var count: UInt32
    /// When the daemon accepted it, microseconds since 1970, monotone within its topic.
    public var accepted: Int64
    /// When the last of its events expires, microseconds since 1970; nil: never.
    public var expiry: Int64?
    /// Whose key it is sealed with.
    public var seal: UInt64
    /// Who published it.
    public var publisher: StoredPublisher
    /// Id of its first event; the others count up from it, unless they have ids of their own.
    public var firstID: BusUUID
    /// Whatever else the caller wants back with it.
    public var flags: UInt32
    /// The batch, sealed.
    public var body: SharedBytes

    /// A batch of these parts.
    public init(
        position: UInt64, topic: TopicID, firstSequence: UInt64, count: UInt32, accepted: Int64, expiry: Int64? = nil,
        seal: UInt64, publisher: StoredPublisher, firstID: BusUUID, flags: UInt32 = 0, body: SharedBytes
    ) {
        self.position = position
        self.topic = topic
        self.firstSequence = firstSequence
        self.count = count
        self.accepted = accepted
        self.expiry = expiry
        self.seal = seal
        self.publisher = publisher
        self.firstID = firstID
        self.flags = flags
        self.body = body
    }

    /// The positions its events have.
    public var positions: Range<UInt64> { position..<position + UInt64(count) }
}

/// A topic and the counters that are kept with every commit.
public struct StoredTopic: Sendable, Equatable {
    /// Its number.
    public let id: TopicID
    /// Its name.
    public let name: [UInt8]
    /// Which life of the name this is.
    public let incarnation: UInt64
    /// Sequence of its last event, stored or removed; 0 before the first.
    public internal(set) var lastSequence: UInt64 = 0
    /// When its last event was accepted; 0 before the first.
    public internal(set) var lastTime: Int64 = 0
    /// Where its last batch begins; 0 before the first.
    public internal(set) var lastPosition: UInt64 = 0
    /// Batches before this position are removed, or about to be: none of them is ever read again.
    public internal(set) var floor: UInt64 = 0
    /// Sequence of the first event that is still there; one more than the last when there is none.
    public internal(set) var firstSequence: UInt64 = 1
    /// How many events are stored, those about to be removed included.
    public internal(set) var eventCount: UInt64 = 0
    /// How many batches, likewise.
    public internal(set) var batchCount: UInt64 = 0
    /// How many bytes their bodies have, likewise.
    public internal(set) var byteCount: UInt64 = 0
    /// Where the batch with the retained value begins, kept whatever is trimmed; nil: nothing is retained.
    public internal(set) var retained: UInt64?
    /// Whether batches before the floor are still being removed.
    public internal(set) var isRemoving = false
    /// Whether the topic is deleted and goes with its last batch.
    public internal(set) var isDeleted = false

    /// A topic with nothing in it.
    public init(id: TopicID, name: [UInt8], incarnation: UInt64) {
        self.id = id
        self.name = name
        self.incarnation = incarnation
    }
}

/// Whose seal a number is: what subscribers are told before its first batch.
public struct StoredSeal: Sendable, Equatable {
    /// The seal.
    public var number: UInt64
    /// The topic it is for.
    public var topic: TopicID
    /// Its generation of keys.
    public var epoch: UInt32
    /// The publisher's user, from the kernel.
    public var uid: UInt32
    /// The publisher's group, from the kernel.
    public var gid: UInt32
    /// The publisher's salt, 32 bytes.
    public var salt: [UInt8]
    /// Which key belongs to this salt, topic and epoch, 16 bytes.
    public var keyCheck: [UInt8]
    /// What the publisher calls itself.
    public var publisher: String
    /// The publisher's systemd unit; empty where there is none.
    public var unit: [UInt8]

    /// A seal of these parts.
    public init(
        number: UInt64, topic: TopicID, epoch: UInt32, uid: UInt32, gid: UInt32, salt: [UInt8], keyCheck: [UInt8],
        publisher: String, unit: [UInt8] = []
    ) {
        self.number = number
        self.topic = topic
        self.epoch = epoch
        self.uid = uid
        self.gid = gid
        self.salt = salt
        self.keyCheck = keyCheck
        self.publisher = publisher
        self.unit = unit
    }
}

/// Positions whose batches went with the end of a damaged log. Nobody knows how many of them were on which topic.
public struct LostPositions: Sendable, Equatable {
    /// Which.
    public var positions: Range<UInt64>
    /// The last topic there was then: later ones lost nothing.
    public var lastTopic: TopicID

    /// Positions lost while there were these topics.
    public init(positions: Range<UInt64>, lastTopic: TopicID) {
        self.positions = positions
        self.lastTopic = lastTopic
    }
}

/// What one user's batches hold in the store.
public struct StoredUsage: Sendable, Equatable {
    /// The user.
    public var uid: UInt32
    /// Bytes of its batches, as they were sealed.
    public var byteCount: UInt64
}

/// A topic declaration: a filter, and what the caller says about it in bytes of its own.
public struct StoredDeclaration: Sendable, Equatable {
    /// Which topics.
    public var filter: [UInt8]
    /// What is said of them.
    public var options: [UInt8]

    /// A declaration of these parts.
    public init(filter: [UInt8], options: [UInt8]) {
        self.filter = filter
        self.options = options
    }
}

/// A namespace's secret of one epoch, wrapped: the store never has it bare.
public struct StoredSecret: Sendable, Equatable {
    /// The namespace.
    public var namespace: [UInt8]
    /// Its generation of keys.
    public var epoch: UInt32
    /// The wrapped secret.
    public var wrapped: [UInt8]

    /// A secret of these parts.
    public init(namespace: [UInt8], epoch: UInt32, wrapped: [UInt8]) {
        self.namespace = namespace
        self.epoch = epoch
        self.wrapped = wrapped
    }
}
