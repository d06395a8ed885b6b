// Frames of the connection itself: the two hellos, errors.

/// A client's first frame, and the only one before it is authenticated.
public struct Hello: Sendable, Equatable {
    /// The oldest version the client speaks.
    public var versionMin: UInt16
    /// The newest version the client speaks.
    public var versionMax: UInt16
    /// X25519, 32 bytes.
    public var publicKey: [UInt8]
    /// 32 random bytes, so that no two hellos are alike.
    public var nonce: [UInt8]
    /// What the client calls itself; at most 255 bytes. Shown, never trusted.
    public var name: String

    /// A hello of these parts; key and nonce have 32 bytes each.
    public init(versions: ClosedRange<UInt16> = Limits.versions, publicKey: [UInt8], nonce: [UInt8], name: String) {
        versionMin = versions.lowerBound
        versionMax = versions.upperBound
        self.publicKey = publicKey
        self.nonce = nonce
        self.name = name
    }

    /// The newest version that both sides speak, or nil.
    public func commonVersion(with served: ClosedRange<UInt16> = Limits.versions) -> UInt16? {
        let newest = min(versionMax, served.upperBound)
        return newest >= max(versionMin, served.lowerBound) ? newest : nil
    }
}

/// The daemon's answer to a hello. With it the connection is authenticated.
public struct Welcome: Sendable, Equatable {
    /// The version both speak from now on.
    public var version: UInt16
    /// X25519, 32 bytes.
    public var publicKey: [UInt8]
    /// 32 random bytes.
    public var nonce: [UInt8]
    /// Which life of the daemon this is: sequences of live topics count within it.
    public var incarnation: BusUUID
    /// This session's number, unique within the incarnation.
    public var session: UInt64
    /// The longest frame the daemon takes.
    public var frameLengthMax: UInt32
    /// The longest payload of one event.
    public var payloadLengthMax: UInt32
    /// How many bytes of publish frames may be without receipt.
    public var publishWindow: UInt32
    /// The daemon's name and version, for people.
    public var server: String

    /// A welcome of these parts; key and nonce have 32 bytes each.
    public init(
        version: UInt16, publicKey: [UInt8], nonce: [UInt8], incarnation: BusUUID, session: UInt64,
        frameLengthMax: UInt32, payloadLengthMax: UInt32, publishWindow: UInt32, server: String
    ) {
        self.version = version
        self.publicKey = publicKey
        self.nonce = nonce
        self.incarnation = incarnation
        self.session = session
        self.frameLengthMax = frameLengthMax
        self.payloadLengthMax = payloadLengthMax
        self.publishWindow = publishWindow
        self.server = server
    }
}

/// Something the client sent was refused.
public struct ErrorFrame: Sendable, Equatable {
    /// Why, by name.
    public var reason: Reason
    /// The type of the frame it answers, 0 for none.
    public var inReplyTo: UInt8
    /// Whether the daemon closes the connection after this frame.
    public var isFatal: Bool
    /// The refused frame's own number: request, publish number or subscription. 0 for none.
    public var request: UInt64
    /// What was wrong, where, and what to do; for people, at most 960 bytes.
    public var message: String

    /// An error of these parts.
    public init(reason: Reason, inReplyTo: FrameType?, isFatal: Bool = false, request: UInt64 = 0, message: String) {
        self.reason = reason
        self.inReplyTo = inReplyTo?.rawValue ?? 0
        self.isFatal = isFatal
        self.request = request
        self.message = message
    }
}
