// Where a grant stands on its connection: the order in which grants are sealed, and the only order in which they
// open.

/// A daemon's incarnation on a connection and the grant's counter within it. Ordered by incarnation first.
public struct GrantPosition: Hashable, Comparable, Sendable {
    /// 0 for the daemon that accepted the connection; each successor raises it.
    public var incarnation: UInt32
    /// Counts the grants of one incarnation and direction from 0.
    public var counter: UInt64

    /// A position by its two numbers.
    public init(incarnation: UInt32, counter: UInt64) {
        self.incarnation = incarnation
        self.counter = counter
    }

    /// Whether `one` comes earlier on the connection.
    public static func < (one: GrantPosition, other: GrantPosition) -> Bool {
        (one.incarnation, one.counter) < (other.incarnation, other.counter)
    }
}

/// A grant as it travels.
public struct SealedGrant: Equatable, Sendable {
    /// Its place on the connection; the nonce is made of it.
    public var position: GrantPosition
    /// Ciphertext ‖ tag (16 bytes).
    public var bytes: [UInt8]

    /// A grant as it was received.
    public init(position: GrantPosition, bytes: [UInt8]) {
        self.position = position
        self.bytes = bytes
    }
}
