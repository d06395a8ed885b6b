// One name for each refusal, close, drop and gap: the same in the frame, the log, the metric and the tool.

/// Why something was refused, closed, dropped or missed. Numbers are the protocol's; unknown ones stay readable.
public struct Reason: RawRepresentable, Hashable, Sendable {
    /// The number on the wire.
    public let rawValue: UInt16

    /// A reason by its number, known or not.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    // The connection. All of these close it.
    /// Bytes that are no frame.
    public static let malformedFrame = Reason(rawValue: 1)
    /// A frame over the limit.
    public static let frameTooLong = Reason(rawValue: 2)
    /// No protocol version in common.
    public static let unsupportedVersion = Reason(rawValue: 3)
    /// Nothing said within the time for a hello.
    public static let helloTimeout = Reason(rawValue: 4)
    /// A frame that this role may not send, or not now.
    public static let unexpectedFrame = Reason(rawValue: 5)
    /// A peer that may not use this bus.
    public static let denied = Reason(rawValue: 6)
    /// A required field the receiver doesn't know.
    public static let unknownRequiredField = Reason(rawValue: 7)
    /// A public key that gives away the shared secret.
    public static let weakKey = Reason(rawValue: 8)
    /// More unreceipted bytes than the publish window.
    public static let windowExceeded = Reason(rawValue: 9)
    /// A peer that doesn't read its answers.
    public static let notReading = Reason(rawValue: 10)
    /// The daemon is going down.
    public static let shuttingDown = Reason(rawValue: 11)
    /// The daemon has no descriptor left for a connection.
    public static let descriptorsExhausted = Reason(rawValue: 12)
    /// The peer closed the connection or is gone.
    public static let peerClosed = Reason(rawValue: 13)

    /// The client said goodbye; in logs and advisories, never sent.
    public static let goodbye = Reason(rawValue: 14)

    // A request. The connection stays.
    /// A topic against the rules.
    public static let badTopic = Reason(rawValue: 20)
    /// A filter against the rules.
    public static let badFilter = Reason(rawValue: 21)
    /// A payload over the limit.
    public static let payloadTooLarge = Reason(rawValue: 22)
    /// A batch whose header, columns and length don't agree.
    public static let malformedBatch = Reason(rawValue: 23)
    /// A seal this connection didn't open.
    public static let unknownSeal = Reason(rawValue: 24)
    /// A seal of an epoch that is over.
    public static let staleEpoch = Reason(rawValue: 25)
    /// A batch that isn't the next one of its seal.
    public static let counterOutOfOrder = Reason(rawValue: 26)
    /// A salt already used in this epoch.
    public static let saltReused = Reason(rawValue: 27)
    /// A quota of the uid is used up.
    public static let quotaExceeded = Reason(rawValue: 28)
    /// A subscription number this connection didn't open.
    public static let unknownSubscription = Reason(rawValue: 29)
    /// A subscription number in use.
    public static let subscriptionExists = Reason(rawValue: 30)
    /// Credit that goes backwards or over its bound.
    public static let invalidCredit = Reason(rawValue: 31)
    /// An acknowledgement of something never sent.
    public static let acknowledgedUnsent = Reason(rawValue: 32)
    /// Something a later version may offer.
    public static let notSupported = Reason(rawValue: 33)
    /// The client asked for it.
    public static let unsubscribed = Reason(rawValue: 34)

    /// A group's name against the rules.
    public static let badGroup = Reason(rawValue: 35)
    /// A group whose members agreed on something else.
    public static let groupConflict = Reason(rawValue: 36)
    /// Nobody is there who would answer.
    public static let noResponders = Reason(rawValue: 37)
    /// An answer that wasn't asked for, or a second one where one was.
    public static let noReplyRight = Reason(rawValue: 38)
    /// A last will over its limit.
    public static let willTooLarge = Reason(rawValue: 39)
    /// Who had the request is gone without an answer.
    public static let responderGone = Reason(rawValue: 40)
    /// Who made the request wants no answer any more.
    public static let requestCancelled = Reason(rawValue: 41)
    /// Nothing is known under this name.
    public static let unknownName = Reason(rawValue: 42)

    // A gap.
    /// The subscription's queue was full and its oldest events were dropped.
    public static let queueFull = Reason(rawValue: 50)
    /// A stalled publisher had waited long enough.
    public static let stallTimedOut = Reason(rawValue: 51)
    /// The daemon was started anew in between; how much was missed can't be known.
    public static let busRestarted = Reason(rawValue: 52)
    /// The connection was lost in between.
    public static let reconnected = Reason(rawValue: 53)
    /// A batch that its subscriber couldn't open.
    public static let unopenable = Reason(rawValue: 54)

    /// A newer event of the topic took its place: the policy `latest`.
    public static let superseded = Reason(rawValue: 55)

    /// It was handed to one member of a group after the other, each of which was gone before it had handled it.
    public static let attemptsExhausted = Reason(rawValue: 56)

    // What is stored.
    /// A topic that isn't durable, where that was asked for.
    public static let notDurable = Reason(rawValue: 60)
    /// The store is as long as it may be.
    public static let storeFull = Reason(rawValue: 61)
    /// Retention removed it before it was acknowledged.
    public static let retention = Reason(rawValue: 62)
    /// Its time was over before it was handled.
    public static let expired = Reason(rawValue: 63)
    /// Its subscriber said that it can't be handled at all.
    public static let rejected = Reason(rawValue: 64)
    /// It was found damaged in the store.
    public static let damaged = Reason(rawValue: 65)
    /// Some events of a batch are known already and others aren't.
    public static let partlyKnown = Reason(rawValue: 66)
    /// A durable subscription that isn't shared has a consumer already.
    public static let consumerExists = Reason(rawValue: 67)
    /// A setting out of its range, or of something else.
    public static let invalidSetting = Reason(rawValue: 68)
    /// Something of this name exists and is another.
    public static let nameTaken = Reason(rawValue: 69)
    /// It wasn't acknowledged in time.
    public static let acknowledgementTimedOut = Reason(rawValue: 70)
    /// Its subscriber asked for it again.
    public static let retried = Reason(rawValue: 71)
    /// An administrator deleted it.
    public static let purged = Reason(rawValue: 72)
    /// There is no store, or it can't be used.
    public static let storeUnavailable = Reason(rawValue: 73)
    /// The store isn't the one a position was of.
    public static let otherStore = Reason(rawValue: 74)
    /// Its publisher's session, or its consumer's, was gone.
    public static let sessionGone = Reason(rawValue: 75)

    private static let names: [Reason: String] = [
        .malformedFrame: "malformed-frame", .frameTooLong: "frame-too-long",
        .unsupportedVersion: "unsupported-version", .helloTimeout: "hello-timeout",
        .unexpectedFrame: "unexpected-frame", .denied: "denied",
        .unknownRequiredField: "unknown-required-field", .weakKey: "weak-key",
        .windowExceeded: "window-exceeded", .notReading: "not-reading", .shuttingDown: "shutting-down",
        .descriptorsExhausted: "descriptors-exhausted", .peerClosed: "peer-closed",
        .badTopic: "bad-topic", .badFilter: "bad-filter", .payloadTooLarge: "payload-too-large",
        .malformedBatch: "malformed-batch", .unknownSeal: "unknown-seal", .staleEpoch: "stale-epoch",
        .counterOutOfOrder: "counter-out-of-order", .saltReused: "salt-reused",
        .quotaExceeded: "quota-exceeded", .unknownSubscription: "unknown-subscription",
        .subscriptionExists: "subscription-exists", .invalidCredit: "invalid-credit",
        .acknowledgedUnsent: "acknowledged-unsent", .notSupported: "not-supported",
        .unsubscribed: "unsubscribed", .goodbye: "goodbye", .badGroup: "bad-group",
        .groupConflict: "group-conflict", .noResponders: "no-responders", .noReplyRight: "no-reply-right",
        .willTooLarge: "will-too-large", .responderGone: "responder-gone",
        .requestCancelled: "request-cancelled", .unknownName: "unknown-name", .superseded: "superseded",
        .attemptsExhausted: "attempts-exhausted",
        .queueFull: "queue-full", .stallTimedOut: "stall-timed-out", .busRestarted: "bus-restarted",
        .reconnected: "reconnected", .unopenable: "unopenable",
        .notDurable: "not-durable", .storeFull: "store-full", .retention: "retention", .expired: "expired",
        .rejected: "rejected", .damaged: "damaged", .partlyKnown: "partly-known",
        .consumerExists: "consumer-exists", .invalidSetting: "invalid-setting", .nameTaken: "name-taken",
        .acknowledgementTimedOut: "acknowledgement-timed-out", .retried: "retried", .purged: "purged",
        .storeUnavailable: "store-unavailable", .otherStore: "other-store", .sessionGone: "session-gone",
    ]

    /// The name used everywhere people look: `queue-full`.
    public var name: String { Reason.names[self] ?? "reason-\(rawValue)" }

    /// All reasons this version knows, by number.
    public static var known: [Reason] { names.keys.sorted { $0.rawValue < $1.rawValue } }
}

extension Reason: CustomStringConvertible {
    /// The reason's name.
    public var description: String { name }
}
