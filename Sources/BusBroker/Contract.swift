// What goes into a broker and what comes out: inputs, effects, time, identities.

public import BusWire

/// A connection's number, never used twice by one runner.
public struct SessionID: Hashable, Sendable, CustomStringConvertible {
    /// The number.
    public let rawValue: UInt64
    /// A session of this number.
    public init(_ rawValue: UInt64) { self.rawValue = rawValue }
    /// The number, in decimal.
    public var description: String { "\(rawValue)" }
}

/// A moment on both clocks, read once a round by whoever drives the broker.
public struct Moment: Sendable, Equatable {
    /// A point or span on the monotonic clock.
    public typealias Nanoseconds = UInt64
    /// For waiting.
    public var monotonic: Nanoseconds
    /// For showing: microseconds since 1970.
    public var wall: Int64

    /// A moment of these parts.
    public init(monotonic: Nanoseconds, wall: Int64) {
        self.monotonic = monotonic
        self.wall = wall
    }
}

/// Who a peer is, from the kernel at accept.
public struct PeerIdentity: Sendable, Equatable {
    /// Its user.
    public var uid: UInt32
    /// Its group.
    public var gid: UInt32
    /// Its process as it was when it connected, to be shown; 0 when it isn't known. Numbers are given anew: no right is
    /// ever derived from it.
    public var pid: Int32

    /// An identity of these parts.
    public init(uid: UInt32, gid: UInt32, pid: Int32 = 0) {
        self.uid = uid
        self.gid = gid
        self.pid = pid
    }
}

/// Something that happened.
public enum Input: Sendable {
    /// A peer connected; its hello is awaited.
    case connected(SessionID, PeerIdentity)
    /// Its hello was good and the welcome is on its way.
    case authenticated(SessionID, name: String)
    /// It sent a frame.
    case received(SessionID, Frame)
    /// It sent something that is no frame.
    case malformed(SessionID, WireError)
    /// All that was handed to its connection has been taken by the kernel.
    case drained(SessionID)
    /// The kernel takes no more for it now; `drained` follows.
    case blocked(SessionID)
    /// It is gone.
    case disconnected(SessionID)
    /// Answers `Effect.openSeal`: the seal's key was derived and sent.
    case sealDerived(seal: UInt64, session: SessionID, keyCheck: [UInt8])
    /// Answers `Effect.openSeal`: no key could be derived, and the publisher was told.
    case sealFailed(seal: UInt64, session: SessionID)
    /// Answers `Effect.openOwnSeal`: the daemon can publish on a topic of its own.
    case ownSealOpened(seal: UInt64, salt: [UInt8], keyCheck: [UInt8])
    /// Answers `Effect.openOwnSeal`: it can't; what was to be said waits for the next occasion.
    case ownSealFailed(seal: UInt64)
    /// Answers `Effect.advise`: the advisories, sealed as one batch under the seal's next counter.
    case advised(seal: UInt64, batch: SharedBytes)
    /// Something is on disk, or was refused.
    case stored(StoreCommit)
    /// Answers `Effect.read`.
    case storeRead(StoredPage)
    /// Answers `Effect.readDue`.
    case storeReadDue(DuePage)
    /// Answers `Effect.seek`: where to begin.
    case storeFound(number: UInt64, StoredCursor)
    /// Answers `Effect.retain`: what lies before this position is kept no longer, and when the first of the rest was
    /// accepted.
    case retained(topic: UInt64, before: UInt64, firstTime: Int64)
    /// Answers `Effect.administer`.
    case administered(SessionID, request: UInt32, AdministrationOutcome)
    /// Answers `StoreCare.deadLetters`: these are kept no longer.
    case deadTrimmed([FoundDeadLetter])
    /// Answers `Effect.inspect`.
    case inspected(SessionID, request: UInt32, [[InspectedValue]], after: UInt64)
    /// The daemon is to go down.
    case shutdown
}

/// Something to carry out, in the order given.
public enum Effect: Sendable {
    /// Write a frame to a session.
    case send(SessionID, Frame)
    /// Derive a seal's key, tell the broker its key check, and send `sealOpened`.
    case openSeal(SealOrder)
    /// Send a topic's secret to a session, under its connection key.
    case grant(SessionID, topic: Topic, epoch: UInt32)
    /// Write what was handed over before, then close.
    case close(SessionID, Reason, message: String)
    /// Derive a seal of the daemon's own and keep its key.
    case openOwnSeal(seal: UInt64, topic: Topic, epoch: UInt32)
    /// Forget the key of a seal of the daemon's own.
    case closeOwnSeal(UInt64)
    /// Seal these as the events of one batch and give it to the broker.
    case advise(seal: UInt64, [Advisory])
    /// Change what is stored; when it is on disk, `Input.stored` says so by its ticket. In the order given.
    case store(ticket: UInt64, StoreWrite)
    /// Read what is stored.
    case read(StoreRead)
    /// Read what is due to be published.
    case readDue(DueOrder)
    /// Find where a subscription is to begin.
    case seek(SeekOrder)
    /// Find out what a topic keeps no longer.
    case retain(RetentionOrder)
    /// Do what the store or the system knows better how to do.
    case administer(SessionID, Administer)
    /// Answer a question from what is stored.
    case inspect(SessionID, Inspect)
    /// Look after what is stored.
    case tend(StoreCare)
    /// All sessions are closed after a shutdown.
    case stopped
}

/// A seal to be derived and granted to its publisher.
public struct SealOrder: Sendable {
    /// The publisher.
    public let session: SessionID
    /// Its request.
    public let request: UInt32
    /// The seal's number.
    public let seal: UInt64
    /// The topic it is for.
    public let topic: Topic
    /// The generation of keys.
    public let epoch: UInt32
    /// The publisher's salt, 32 bytes.
    public let salt: [UInt8]
    /// How long a batch of more than one event may be on this topic, as of now.
    public let batchLengthMax: UInt32
    /// How many events a batch may hold on this topic, as of now.
    public let batchEventCountMax: UInt32
    /// The longest payload of one event on this topic, as of now; 0 for the bus's.
    public let payloadLengthMax: UInt32
}

/// Something the daemon tells about the bus, as an event on a topic of its own.
public enum Advisory: Sendable, Equatable {
    /// A session was authenticated.
    case sessionOpened(SessionID, PeerIdentity, name: String)
    /// A session that was is gone.
    case sessionClosed(SessionID, PeerIdentity, name: String, Reason)
    /// Events of a batch became a dead letter of a durable subscription.
    case deadLetter(DeadLetterWord)
}
