// Every bound of the protocol, in one place, each with its origin. What a daemon lets its administrator change
// is announced in `welcome`; the numbers here are then the defaults or the hard ceilings.

/// The protocol's bounds. Lengths are in bytes unless the name says otherwise.
public enum Limits {
    /// Protocol versions this build speaks. A daemon serves this version and the one before; 1 is the first.
    public static let versions: ClosedRange<UInt16> = 1...1

    /// A frame's header: length, type, flags, fixed length.
    public static let frameHeaderLength = 8
    /// A frame before the peer is authenticated: a hello is below 400 bytes, so 1 KiB is generous.
    public static let helloLengthMax = 1024
    /// Seconds a peer may stay silent before its hello.
    public static let helloSeconds: Int64 = 5
    /// Fields of one frame: none of version 1 has more than 7 kinds, and a setting is a field of its own; the bound
    /// keeps decoding linear and short.
    public static let fieldCountMax = 64
    /// Fields of an inspection answer: rows of named values.
    public static let inspectedFieldCountMax = 65_536

    /// A topic name: fits a one-byte length.
    public static let topicLengthMax = 255
    /// Tokens of a topic or filter: bounds every walk of the trie.
    public static let tokenCountMax = 16
    /// A group's name: one token, which also fits into a topic beside others.
    public static let groupLengthMax = 64
    /// A durable subscription's name: one token, as a group's.
    public static let durableNameLengthMax = 64
    /// What an administrator's request is about: a filter, a name, an id, a path.
    public static let keyLengthMax = 960
    /// A session's name, a bus's name, an implementation string: enough for a unit name.
    public static let nameLengthMax = 255
    /// A message for people in an error frame, which must fit before the welcome with its 30 bytes around it.
    public static let messageLengthMax = 960

    /// An event's payload unless the administrator says otherwise.
    public static let payloadLengthMax = 1 << 20
    /// The ceiling for what the administrator may say.
    public static let payloadLengthCeiling = 64 << 20
    /// Headers of one event.
    public static let headerCountMax = 64
    /// Name and value of one header together.
    public static let headerLengthMax = 4096

    /// Events of one batch.
    public static let batchEventCountMax = 4096
    /// A batch of more than one event closes at this length.
    public static let batchLengthMax = 256 << 10
    /// A batch on a topic that a group shares: short ones can be spread over its members. Not tuned.
    public static let groupBatchLengthMax = 16 << 10
    /// Events of a batch on a topic that a group shares. Not tuned.
    public static let groupBatchEventCountMax = 64
    /// A batch on a topic whose last value is kept, since it is kept whole.
    public static let retainedBatchLengthMax = 4 << 10
    /// The batch of a last will, which lies in the daemon as long as its session lives. Not tuned.
    public static let willLengthMax = 64 << 10
    /// Open circuits a session may tell of. Not tuned.
    public static let circuitCountMax = 1024
    /// Columns of one batch.
    public static let columnsLengthMax = 16 << 10
    /// What a single event's batch may add to its payload: header, columns, tag, event record and all its headers.
    public static let batchOverheadMax = 512 << 10

    /// Bytes of unreceipted publishes one connection may have under way: sixteen full batches. It bounds what a
    /// stalled publisher can park in the daemon. Not tuned.
    public static let publishWindow = 4 << 20

    /// Events an ephemeral subscription may queue beyond its credit.
    public static let queueEventCountDefault: UInt32 = 1024
    /// Bytes an ephemeral subscription may queue beyond its credit.
    public static let queueLengthDefault: UInt64 = 4 << 20
    /// The longest time a subscription may stall its publishers. Not tuned.
    public static let stallMillisecondsMax: UInt32 = 3_600_000
    /// The last position a topic may reach: half of what the number holds, so that adding a batch never overflows.
    public static let sequenceMax: UInt64 = 1 << 63
    /// Absolute credit is a running total; at a billion events a second this one is reached after 146 years.
    public static let creditMax: UInt64 = 1 << 62

    /// The longest frame of an authenticated peer, for a daemon with this payload limit.
    public static func frameLengthMax(payloadLengthMax: Int) -> Int {
        max(payloadLengthMax + batchOverheadMax, 2 * batchLengthMax)
    }
}
