// How many events a second, over about the last one: two counts and a time for each session and topic, brought up to
// date by whoever counts, so that nothing has to tick.

struct RateMeter {
    private static let window: Moment.Nanoseconds = 1_000_000_000

    private var windowStart: Moment.Nanoseconds = 0
    private var count: UInt64 = 0
    private var lastRate: Double = 0

    /// Counts events.
    mutating func note(_ events: UInt64, at now: Moment.Nanoseconds) {
        if now >= windowStart + RateMeter.window { turn(at: now) }
        count += events
    }

    private mutating func turn(at now: Moment.Nanoseconds) {
        lastRate = windowStart == 0 ? 0 : Double(count) * 1e9 / Double(now - windowStart)
        windowStart = now
        count = 0
    }

    /// Events a second, as of now.
    func rate(at now: Moment.Nanoseconds) -> UInt64 {
        let elapsed = now > windowStart ? now - windowStart : 0
        // A window that is over, and nobody has counted since.
        if elapsed >= RateMeter.window { return UInt64(Double(count) * 1e9 / Double(elapsed)) }
        // Of the current one only a part is known: the rest is assumed to be as before.
        let part = Double(elapsed) / Double(RateMeter.window)
        return UInt64(Double(count) + lastRate * (1 - part))
    }
}
