// What reads give.

/// Some of the batches in a range of positions.
public struct BatchPage: Sendable {
    /// The batches, ascending. The first may begin before the range, if it reaches into it.
    public var batches: [StoredBatch] = []
    /// Their seals, by number; without one that is missing or damaged.
    public var seals: [UInt64: StoredSeal] = [:]
    /// Where to go on.
    public var next: UInt64
    /// Whether the range has no more.
    public var isComplete = false
    /// What was found damaged on the way, each reported to `onDamage` too when it is seen first.
    public var damage: [StoreDamage] = []
}

/// Where an event lies.
public struct EventPlace: Sendable, Equatable {
    /// Its position; the batch's, when the batch was removed already.
    public var position: UInt64
    /// Its topic.
    public var topic: TopicID
    /// Its sequence.
    public var sequence: UInt64
    /// When it was accepted, microseconds since 1970.
    public var accepted: Int64
    /// Who published it.
    public var publisher: StoredPublisher
    /// Whether its batch can still be read.
    public var isStored: Bool

    /// A place of these parts.
    public init(
        position: UInt64, topic: TopicID, sequence: UInt64, accepted: Int64, publisher: StoredPublisher, isStored: Bool
    ) {
        self.position = position
        self.topic = topic
        self.sequence = sequence
        self.accepted = accepted
        self.publisher = publisher
        self.isStored = isStored
    }
}

/// What was checked by a scrub, so far or in all.
public struct ScrubReport: Sendable, Equatable {
    /// Batches read and compared.
    public var batches: UInt64 = 0
    /// Records of other tables.
    public var records: UInt64 = 0
    /// What was found.
    public var damage: [StoreDamage] = []
    /// Where it goes on; nil at the end.
    public var next: UInt64?
}

/// What the store found when it was opened.
public struct OpeningReport: Sendable {
    /// Whether the store was made.
    public var isNew: Bool
    /// One past the highest position that was ever given.
    public var nextPosition: UInt64
    /// Number of the last commit.
    public var commit: UInt64
    /// Bytes of the database in use.
    public var bytesUsed: UInt64
    /// Rows in the tail since the last checkpoint that were compared.
    public var tailChecked: UInt64
    /// What was found.
    public var damage: [StoreDamage]
}
