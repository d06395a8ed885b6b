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

    /// An identity of these parts.
    public init(uid: UInt32, gid: UInt32) {
        self.uid = uid
        self.gid = gid
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
}
