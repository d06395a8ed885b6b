// How much one seal's key may encrypt, and the count towards it.

/// The limits of one seal. Both lie far below what AES-GCM bears with counted nonces: 2^34 blocks under a key
/// leave an attacker's advantage below 2^-60, and a new seal costs one round trip.
struct SealLimits: Sendable {
    var batchesMax: UInt64 = 1 << 30
    var blocksMax: UInt64 = 1 << 34
}

/// What a seal has encrypted so far.
struct SealUse: Sendable {
    private(set) var batches: UInt64 = 0
    private var blocks: UInt64 = 0
    private let limits: SealLimits

    init(limits: SealLimits) {
        self.limits = limits
    }

    /// At half of either limit, when there is still all the time to open the next seal.
    var isHalfSpent: Bool {
        batches >= limits.batchesMax / 2 || blocks >= limits.blocksMax / 2
    }

    /// Counts one batch and returns its counter, or throws `.sealExhausted` and counts nothing.
    mutating func spend(plaintextCount: Int, authenticatedCount: Int) throws(CryptoError) -> UInt64 {
        let cost = Self.blocks(plaintextCount) + Self.blocks(authenticatedCount) + 1
        guard batches < limits.batchesMax, blocks + cost <= limits.blocksMax else { throw .sealExhausted }
        defer {
            batches += 1
            blocks += cost
        }
        return batches
    }

    private static func blocks(_ count: Int) -> UInt64 {
        (UInt64(count) + 15) / 16
    }
}
