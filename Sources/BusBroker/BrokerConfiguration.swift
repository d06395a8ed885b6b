// What a broker is told once: limits, and who is admitted.

public import BusWire

/// A broker's limits. Defaults are the design's; what an administrator may change comes from busd.yaml.
public struct BrokerConfiguration: Sendable {
    /// Users that may use this bus. Until policies exist: its own uid and root, nobody else.
    public var admittedUIDs: Set<UInt32> = []
    /// Who the daemon itself is, as publisher of what it tells about the bus.
    public var ownIdentity = PeerIdentity(uid: 0, gid: 0)
    /// What one user may hold.
    public var quotas = Quotas()
    /// What the administrator says of topics; no two tie.
    public var topics: [TopicDeclaration] = []
    /// Settings of topics where their declaration says nothing.
    public var topicDefaults: [Setting] = []
    /// Settings of durable subscriptions where nothing else is said.
    public var subscriptionDefaults: [Setting] = []
    /// How long where subscriptions stand may go unsaved, in nanoseconds: what was acknowledged in that time comes again
    /// after a crash. Not tuned.
    public var savePause: UInt64 = 100_000_000
    /// After how long without a consumer a durable subscription is reported, in microseconds: 30 days.
    public var unattendedTime: Int64 = 30 * 86_400_000_000
    /// Declarations of topics by command: each topic that comes is compared with all of them. Not tuned.
    public var declarationCountMax = 4096
    /// Whether sessions that come and go are told on `$bus.session.…`.
    public var announcesSessions = true
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
    /// How long a topic without publisher and last value is remembered, in nanoseconds: longer than a service takes
    /// to come back, so that sequences go on. Not tuned.
    public var topicIdleTime: UInt64 = 600_000_000_000
    /// Subscriptions one session may have. Not tuned.
    public var subscriptionCountMax = 16_000
    /// Members one group may have: a round's handing out costs as much as there are. Not tuned.
    public var memberCountMax = 1024
    /// Seals one session may have open, which bounds the topics it publishes on. Not tuned.
    public var sealCountMax = 131_072
    /// How often an event of a group is handed to one after the other who then is gone, before it is given up on: what
    /// ends whoever takes it up must not end them all.
    public var attemptCountMax: UInt16 = 10
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
    /// What the kernel may hold for a new connection, in bytes.
    public var kernelLengthAtStart = 0
    /// Rows of one page of an inspection.
    public var pageRowCountMax = 512

    /// The design's defaults.
    public init() {}

    /// The longest frame an authenticated peer may send.
    public var frameLengthMax: Int { Limits.frameLengthMax(payloadLengthMax: payloadLengthMax) }
}
