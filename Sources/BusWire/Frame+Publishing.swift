// Frames of publishing: seals, batches, receipts.

/// Asks for a seal: the right and the key to publish on one topic.
public struct OpenSeal: Sendable, Equatable {
    /// The client's number for this request, echoed in the answer.
    public var request: UInt32
    /// 32 random bytes of the publisher's own, never used before.
    public var salt: [UInt8]
    /// The topic's name, not yet checked.
    public var topic: [UInt8]

    /// A request of these parts; the salt has 32 bytes.
    public init(request: UInt32, salt: [UInt8], topic: [UInt8]) {
        self.request = request
        self.salt = salt
        self.topic = topic
    }
}

/// A seal, with its key under the connection's own.
public struct SealOpened: Sendable, Equatable {
    /// The request this answers.
    public var request: UInt32
    /// The generation of keys.
    public var epoch: UInt32
    /// The seal's number, unique for the life of the daemon's state.
    public var seal: UInt64
    /// How long a batch of more than one event may be on this topic.
    public var batchLengthMax: UInt32
    /// How many events a batch may hold on this topic.
    public var batchEventCountMax: UInt32
    /// The longest payload of one event on this topic; 0 for the bus's.
    public var payloadLengthMax: UInt32
    /// Incarnation of the grant's nonce.
    public var grantIncarnation: UInt32
    /// Counter of the grant's nonce.
    public var grantCounter: UInt64
    /// Seal key, nonce base and key check (60 bytes) and a tag, sealed under the connection key.
    public var grant: [UInt8]

    /// A seal of these parts.
    public init(
        request: UInt32, epoch: UInt32, seal: UInt64, batchLengthMax: UInt32, batchEventCountMax: UInt32,
        payloadLengthMax: UInt32 = 0, grantIncarnation: UInt32, grantCounter: UInt64, grant: [UInt8]
    ) {
        self.request = request
        self.epoch = epoch
        self.seal = seal
        self.batchLengthMax = batchLengthMax
        self.batchEventCountMax = batchEventCountMax
        self.payloadLengthMax = payloadLengthMax
        self.grantIncarnation = grantIncarnation
        self.grantCounter = grantCounter
        self.grant = grant
    }
}

/// New bounds for the batches of a seal, told when they change: a topic that a group shares, or whose last value is
/// kept, wants short ones; and what an administrator says of a topic's payloads holds at once. What is under way may
/// still be longer.
public struct SealLimitsChanged: Sendable, Equatable {
    /// The seal.
    public var seal: UInt64
    /// How long a batch of more than one event may be from now on.
    public var batchLengthMax: UInt32
    /// How many events a batch may hold from now on.
    public var batchEventCountMax: UInt32
    /// The longest payload of one event from now on; 0 for the bus's.
    public var payloadLengthMax: UInt32

    /// Bounds of these parts.
    public init(seal: UInt64, batchLengthMax: UInt32, batchEventCountMax: UInt32, payloadLengthMax: UInt32 = 0) {
        self.payloadLengthMax = payloadLengthMax
        self.seal = seal
        self.batchLengthMax = batchLengthMax
        self.batchEventCountMax = batchEventCountMax
    }
}

/// A batch on its way to the daemon.
public struct Publish: Sendable, Equatable {
    /// The connection's number for it: 1, 2, 3 …
    public var number: UInt64
    /// Whether the publisher wants a receipt; without, only progress and refusals are told.
    public var wantsReceipt: Bool
    /// Whether nobody waits for its progress: the daemon may tell it with something else, a few milliseconds later.
    public var isPatient: Bool
    /// Whether the last event becomes its topic's last value.
    public var retains: Bool
    /// Whether the last event is empty: where it would become the last value, it clears it instead.
    public var isTombstone: Bool
    /// Whether the events are requests: refused at once where nobody is there to answer.
    public var isRequest: Bool
    /// Of answers: whether more of them follow, so that the right to answer isn't used up.
    public var hasMore: Bool
    /// Whether it is refused where its topic isn't durable.
    public var mustBeDurable: Bool
    /// Whether it may have been published before: the daemon looks whether it knows its ids.
    public var isAgain: Bool
    /// When its one event is to be published, microseconds since 1970; nil for now.
    public var due: Int64?
    /// The sealed batch.
    public var batch: SharedBytes

    /// A publish of these parts.
    public init(
        number: UInt64, wantsReceipt: Bool, isPatient: Bool = false, retains: Bool = false, isTombstone: Bool = false,
        isRequest: Bool = false, hasMore: Bool = false, mustBeDurable: Bool = false, isAgain: Bool = false,
        due: Int64? = nil, batch: SharedBytes
    ) {
        self.number = number
        self.wantsReceipt = wantsReceipt
        self.isPatient = isPatient
        self.retains = retains
        self.isTombstone = isTombstone
        self.isRequest = isRequest
        self.hasMore = hasMore
        self.mustBeDurable = mustBeDurable
        self.isAgain = isAgain
        self.due = due
        self.batch = batch
    }

    /// Bytes of the whole frame, header included: what counts against the publish window.
    public var frameLength: Int {
        let type: FrameType = due == nil ? .publish : .publishLater
        return Limits.frameHeaderLength + type.fixedLength + batch.count
    }
}

/// How far the daemon is with a connection's publishes, and what became of them.
public struct Receipts: Sendable, Equatable {
    /// Every publish up to this number has been accepted or refused.
    public var progress: UInt64
    /// One for each accepted batch that wanted one, in order.
    public var receipts: [Receipt]

    /// Receipts of these parts.
    public init(progress: UInt64, receipts: [Receipt]) {
        self.progress = progress
        self.receipts = receipts
    }
}

/// The daemon's answer to one published batch; 32 bytes on the wire.
public struct Receipt: Sendable, Equatable {
    /// The publish it answers.
    public var number: UInt64
    /// Position of the batch's first event in its topic; the others follow it.
    public var firstSequence: UInt64
    /// How many events the batch has.
    public var eventCount: UInt32
    /// How many ephemeral subscriptions it was for.
    public var liveMatches: UInt32
    /// How many durable subscriptions it was for.
    public var durableMatches: UInt32
    /// Whether it was on disk when this was written.
    public var isDurable: Bool
    /// Whether it had been received before; positions are those of the first time.
    public var isDuplicate: Bool
    /// Whether it waits until it is due: it has no position yet.
    public var isScheduled: Bool
    /// Of requests: how many subscriptions that answer they were for, groups as one; at most 65,535 are told.
    public var responders: UInt16

    static let length = 32

    /// A receipt of these parts.
    public init(
        number: UInt64, firstSequence: UInt64, eventCount: UInt32, liveMatches: UInt32, durableMatches: UInt32 = 0,
        isDurable: Bool = false, isDuplicate: Bool = false, isScheduled: Bool = false, responders: UInt16 = 0
    ) {
        self.number = number
        self.firstSequence = firstSequence
        self.eventCount = eventCount
        self.liveMatches = liveMatches
        self.durableMatches = durableMatches
        self.isDurable = isDurable
        self.isDuplicate = isDuplicate
        self.isScheduled = isScheduled
        self.responders = responders
    }
}
