// How fast a user may publish: a bucket of one second's worth that fills steadily. Nothing is counted where no limit
// is set.

struct RateLimit {
    /// Events a second; 0 for no limit.
    let perSecond: Int
    /// What may be taken now, in billionths of an event, so that whole nanoseconds fill it without rounding.
    private var available: UInt64
    private var filledAt: Moment.Nanoseconds = 0

    /// - Parameter perSecond: beyond eight billion it is as good as none, and counted as that.
    init(perSecond: Int) {
        self.perSecond = min(perSecond, 8_000_000_000)
        available = RateLimit.capacity(self.perSecond)
    }

    private static func capacity(_ perSecond: Int) -> UInt64 { UInt64(clamping: perSecond) * 1_000_000_000 }

    /// Takes `count` events; false, and nothing taken, where the bucket hasn't so many. A full bucket gives everything:
    /// a batch longer than a second's worth would else never pass.
    mutating func take(_ count: UInt32, at now: Moment.Nanoseconds) -> Bool {
        guard perSecond > 0 else { return true }
        let capacity = RateLimit.capacity(perSecond)
        if available < capacity, now > filledAt {
            let elapsed = min(now - filledAt, 1_000_000_000)
            available = min(capacity, available + elapsed * UInt64(perSecond))
        }
        filledAt = max(filledAt, now)
        let wanted = UInt64(count) * 1_000_000_000
        guard available >= wanted || available == capacity else { return false }
        available -= min(wanted, available)
        return true
    }
}
