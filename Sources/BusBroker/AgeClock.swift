// What things grow old by. A clock that is set wrong for a moment, or was never set, must not make anything old early: what
// is deleted for its age doesn't come back.

/// Time for what grows old: it goes on as the monotonic clock does, and follows a step of the other clock back at once,
/// ahead only when that has stood for a while. So a clock that is set wrong for a moment, or was never set, makes nothing
/// old early, and neither does one that was ahead when the daemon began and is set right then.
struct AgeClock {
    /// Microseconds since 1970.
    private(set) var now: Int64
    private var monotonic: Moment.Nanoseconds
    /// How far the wall clock was ahead, and since when.
    private var ahead: (by: Int64, since: Moment.Nanoseconds)?
    /// How long a step must have stood. Not tuned.
    static let patience: Moment.Nanoseconds = 3_600_000_000_000
    /// What counts as a step, in microseconds.
    static let tolerance: Int64 = 10_000_000

    init(at moment: Moment) { (now, monotonic) = (moment.wall, moment.monotonic) }

    mutating func advance(to moment: Moment) {
        now += Int64((moment.monotonic - monotonic) / 1000)
        monotonic = moment.monotonic
        let lead = moment.wall - now
        guard lead >= -AgeClock.tolerance else { return (now, ahead) = (moment.wall, nil) }
        guard lead > AgeClock.tolerance else { return ahead = nil }
        guard let ahead, abs(lead - ahead.by) <= AgeClock.tolerance else {
            return ahead = (lead, moment.monotonic)
        }
        guard moment.monotonic - ahead.since >= AgeClock.patience else { return }
        now = moment.wall
        self.ahead = nil
    }
}
