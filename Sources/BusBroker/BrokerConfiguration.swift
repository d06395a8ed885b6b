// What a broker is told once: limits, and who is admitted.

import BusWire

/// A broker's limits. Defaults are the design's; what an administrator may change comes from busd.yaml.
public struct BrokerConfiguration: Sendable {
    /// Users that may use this bus. Until policies exist: its own uid and root, nobody else.
    public var admittedUIDs: Set<UInt32> = []
    /// The longest payload of one event, in bytes.
    public var payloadLengthMax = Limits.payloadLengthMax
    /// How many bytes of publishes a connection may have without receipt.
    public var publishWindow = Limits.publishWindow
    /// How long a peer may stay silent before its hello, in nanoseconds.
    public var helloTimeout: UInt64 = UInt64(Limits.helloSeconds) * 1_000_000_000
    /// How long a patient publisher may wait for word of its progress, in nanoseconds: longer than a round trip of
    /// a busy bus, shorter than anybody notices. Not tuned.
    public var patience: UInt64 = 5_000_000
    /// How many of its publishes may be untold before it hears of them all the same. Not tuned.
    public var patientCountMax = 16
    /// How long a shutdown waits for queues to empty, in nanoseconds. Below systemd's 90 s by far. Not tuned.
    public var drainTimeout: UInt64 = 5_000_000_000
    /// Connections one user may have. The descriptor table is larger. Not tuned.
    public var connectionCountMax = 16_384
    /// Subscriptions one session may have. Not tuned.
    public var subscriptionCountMax = 16_000
    /// Seals one session may have open, which bounds the topics it publishes on. Not tuned.
    public var sealCountMax = 131_072
    /// Topics one user may have brought into being. Not tuned.
    public var topicCountMax = 262_144
    /// Bytes that may be queued for one user's subscriptions in all. Not tuned.
    public var queuedLengthMax = 256 << 20
    /// Bytes of publishes of one user that may wait for stalled subscriptions: sixty-four full windows. Not tuned.
    public var parkedLengthMax = 256 << 20
    /// Bytes one session is handed in a round; the rest waits in the broker, where it is counted and charged.
    /// One full batch more may follow, so this is about what one `sendmsg` takes.
    public var roundLengthMax = 256 << 10
    /// Deliveries one session is handed in a round: two iovecs each, of the kernel's 1,024.
    public var roundCountMax = 400
    /// Answers that may wait for a session that doesn't read.
    public var unreadCountMax = 1024
    /// Seals and grants remembered as told to a session; beyond, all are told anew.
    public var announcedCountMax = 4096
    /// Salts remembered to refuse their reuse. Uniqueness of keys never rests on it.
    public var saltHistoryCountMax = 65_536

    /// The design's defaults.
    public init() {}

    /// The longest frame an authenticated peer may send.
    public var frameLengthMax: Int { Limits.frameLengthMax(payloadLengthMax: payloadLengthMax) }
}
