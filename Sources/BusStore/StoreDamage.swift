// Damage: found, reported, put aside, never deleted; the rest is served.

/// Something in the store that isn't as it was written.
public enum StoreDamage: Sendable, Equatable {
    /// The database is behind the head file: commits that were told are gone. Copies of the files, as they were found,
    /// are in `copies`. Positions go on behind those that were told.
    case behindHead(commit: UInt64, headCommit: UInt64, lostPositions: Range<UInt64>, copies: String)
    /// Neither slot of the head file can be read. Until the next commit a cut log would go unnoticed.
    case headUnreadable
    /// A batch isn't what was stored, and has been put aside; `count` is what the row says, nil where it can't say.
    case batch(position: UInt64, topic: TopicID?, count: UInt32?)
    /// A batch that its successor or its topic names isn't there.
    case batchMissing(position: UInt64, topic: TopicID)
    /// Part of the database can't be read: where it can't go on, and where it can again.
    case unreadable(positions: Range<UInt64>)
    /// A row of another table isn't what was stored, and has been put aside.
    case row(table: String, key: UInt64)
    /// What was removed from a topic, or has grown old (nil), meets a part of the database that can't be read: it stays on
    /// disk until the next start tries again.
    case unremovable(topic: TopicID?)
    /// A table has fewer or more rows than were written.
    case rowsMissing(table: String, found: UInt64, written: UInt64)
}
