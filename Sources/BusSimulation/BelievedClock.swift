// Which clock is believed when something is due, as docs/PROTOCOL.md says it.

/// How far ahead of the true time the clock on the wall is believed at most: back at once, ahead by ten seconds at once, and
/// by more when it has stood there for five minutes.
struct BelievedClock {
    private var believed: Int64 = 0
    private var ahead: (first: Int64, last: Int64, since: UInt64)?

    mutating func set(_ offset: Int64, at now: UInt64) {
        settle(at: now)
        guard offset > believed + 10_000_000 else { return (believed, ahead) = (offset, nil) }
        let stands = ahead.map { abs($0.first - offset) <= 10_000_000 } ?? false
        ahead = (stands ? ahead?.first ?? offset : offset, offset, stands ? ahead?.since ?? now : now)
    }

    /// A daemon that starts has seen no other time.
    mutating func begin(_ offset: Int64) { (believed, ahead) = (offset, nil) }

    mutating func offset(at now: UInt64) -> Int64 {
        settle(at: now)
        return believed
    }

    private mutating func settle(at now: UInt64) {
        guard let ahead, now - ahead.since >= 300_000_000_000 else { return }
        (believed, self.ahead) = (ahead.last, nil)
    }
}
