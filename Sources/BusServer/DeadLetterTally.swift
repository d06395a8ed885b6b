// What dead letters take of the store. A batch stays as long as one letter names it, and there may be a letter for each of
// its events and subscriptions: so a batch counts once, whole, and is free when its last letter goes.

/// Batches that dead letters keep, as far as they were looked at. As large as what they may take allows: some tens of bytes
/// for each batch, while it is counted.
struct DeadLetterTally {
    private var batches: [UInt64: (length: Int64, letterCount: Int)] = [:]
    /// Bytes of all these batches.
    private(set) var length: Int64 = 0

    /// Whether a letter of the batch at a position was counted.
    func knows(_ position: UInt64) -> Bool { batches[position] != nil }

    /// Counts a letter of the batch at a position.
    ///
    /// - Parameter length: the batch's; of one that is known already it isn't looked at.
    mutating func add(_ position: UInt64, length: Int64) {
        if batches[position] == nil { self.length += length }
        batches[position, default: (length, 0)].letterCount += 1
    }

    /// A letter goes. One that came since the count changes nothing: the next count knows it.
    mutating func remove(_ position: UInt64) {
        guard let batch = batches[position] else { return }
        guard batch.letterCount == 1 else {
            batches[position]?.letterCount -= 1
            return
        }
        batches[position] = nil
        length -= batch.length
    }
}
