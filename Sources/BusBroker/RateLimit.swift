// How fast a user may do something: a bucket of some seconds' worth that fills steadily. Nothing is counted where no
// limit is set.

struct RateLimit {
    /// How many a second; 0 for no limit.
    let perSecond: Int
    private let capacity: UInt64
    /// What may be taken now, in billionths of one, so that whole nanoseconds fill it without rounding.
    private var available: UInt64
    private var filledAt: Moment.Nanoseconds = 0

    /// What the bucket may hold, so that its billionths stay within 64 bits.
    private static let countMax = 8_000_000_000

    /// - Parameters:
    ///   - perSecond: beyond eight billion it is as good as none, and counted as that.
    ///   - burstSeconds: how many seconds' worth may be taken at once after a quiet time.
    init(perSecond: Int, burstSeconds: Int = 1) {
        self.perSecond = min(perSecond, RateLimit.countMax)
        let (product, isTooMuch) = self.perSecond.multipliedReportingOverflow(by: burstSeconds)
        let burst = isTooMuch ? RateLimit.countMax : min(product, RateLimit.countMax)
        capacity = UInt64(clamping: burst) * 1_000_000_000
        available = capacity
    }

    /// What the bucket holds after a time.
    private func filled(at now: Moment.Nanoseconds) -> UInt64 {
        guard available < capacity, now > filledAt else { return available }
        // No longer than it takes to fill it, or the product would leave its bounds.
        let elapsed = min(now - filledAt, capacity / UInt64(perSecond) + 1)
        return min(capacity, available + elapsed * UInt64(perSecond))
    }

    /// Whether nothing is missing.
    func isFull(at now: Moment.Nanoseconds) -> Bool { filled(at: now) == capacity }

    /// Takes `count`; false, and nothing taken, where the bucket hasn't so many. A full bucket gives everything:
    /// a batch longer than a second's worth would else never pass.
    mutating func take(_ count: UInt32, at now: Moment.Nanoseconds) -> Bool {
        guard perSecond > 0 else { return true }
        available = filled(at: now)
        filledAt = max(filledAt, now)
        let wanted = UInt64(count) * 1_000_000_000
        guard available >= wanted || available == capacity else { return false }
        available -= min(wanted, available)
        return true
    }
}
