// What one user may hold in the daemon, and what is said when it is used up. Defaults are the design's; busd.yaml may
// say otherwise under `quotas:`.

/// Limits of one uid.
public struct Quotas: Sendable, Equatable {
    /// Connections. The descriptor table is larger. Not tuned.
    public var connections = 16_384
    /// Subscriptions, groups' members among them: at 400 bytes each some 100 MB. Not tuned.
    public var subscriptions = 262_144
    /// Topics it has brought into being and that aren't forgotten yet. Not tuned.
    public var topics = 262_144
    /// Seals its sessions have open: two sessions with all they may have. Not tuned.
    public var seals = 262_144
    /// Bytes that may be queued for its subscriptions in all.
    public var queuedLength = 256 << 20
    /// Bytes the kernel may hold for its connections, as send buffers: every connection at its start, and some 180
    /// fast readers, each counted double as the kernel does. Not tuned.
    public var kernelLength = 1088 << 20
    /// Bytes of last values and last wills it has left here. Not tuned.
    public var retainedLength = 64 << 20
    /// Bytes its batches may hold in the store, those that wait to be published included; 0 for no limit but the store's own. None by default: on most hosts, and on
    /// every user's bus, one user is all there is, and half a store would be a full one for no reason.
    public var storedLength = 0
    /// Events handed to its members of groups and not acknowledged. Not tuned.
    public var outstandingEvents = 1 << 20
    /// Bytes of the batches they are in: the daemon keeps them, to be handed to somebody else. Not tuned.
    public var outstandingLength = 256 << 20
    /// Requests that wait for an answer. Not tuned.
    public var requests = 65_536
    /// Bytes of its publishes that may wait for stalled subscriptions: sixty-four full windows. Not tuned.
    public var parkedLength = 256 << 20
    /// Events that may wait to be published later. What they are long counts as stored. Not tuned.
    public var scheduled = 65_536
    /// Events it may publish in a second, and as many at once after a quiet one; 0 for as many as it can.
    public var publishRate = 0

    /// Connections it may make in a second, and 32 times as many at once after a quiet time: all it may have; 0 for no
    /// limit. A handshake takes some 150 µs of the daemon, so this is a twelfth of a processor.
    public var connectRate = 512
    /// Seals it may open in a second, and 32 times as many at once: all a session may have; 0 for no limit. A seal takes
    /// some 25 µs of the daemon, so this is a tenth of a processor.
    public var sealRate = 4096

    /// The design's defaults.
    public init() {}
}

/// A quota that is used up, in words: which, how much of it, whose.
struct QuotaFault {
    let quota: String
    let used: Int
    let limit: Int
    let uid: UInt32

    var message: String { "quota \(quota) of uid \(uid) is used up: \(used) of \(limit)" }
}
