// The one error type of this room: each refusal has one name, the same for every caller.

/// Why this room refused. Nothing in it tells a peer more than that name.
public enum CryptoError: Error, Equatable, Sendable {
    /// A key, salt, check, wrapped secret or output does not have the one length it may have.
    case wrongLength
    /// A name given to the key schedule is longer than a field can say (65,535 bytes).
    case fieldTooLong
    /// The process forked after its first secret was made: secrets and counters belong to the parent alone.
    case forked
    /// The seal reached its limit of batches or blocks. Open a new seal.
    case sealExhausted
    /// The topic secret, salt, topic, epoch or suite is not what the publisher sealed under.
    case keyCheckMismatch
    /// Ciphertext, tag, authenticated bytes, counter or key do not belong together.
    case unopenable
    /// The peer's X25519 key leads to the all-zero secret, which anybody knows.
    case weakKey
    /// The grant's position is not after the last one opened on this connection.
    case replayedGrant
    /// This side sealed as many grants as one incarnation of a connection may. Connect anew.
    case connectionExhausted
    /// The library failed where it has no reason to (it ran out of memory).
    case libraryFailure
}
