// By which clock something is due. Who publishes for tomorrow at eight means the clock on the wall; but that clock may be
// set wrong for a moment, or not yet at all, and what was published early can't be taken back.

import BusWire

/// The wall clock, as far as it can be believed: what is due by it goes by this.
///
/// It follows the wall clock in its course and whenever that is set back. A step ahead it follows only when that has stood
/// for some minutes: a mistyped date, or a time server's slip, is put right by then, and an event that waits for the
/// right time isn't late by more than that. Things that are deleted for their age wait an hour (`AgeClock`): for those
/// late does no harm. A clock that was never set, below 2020, is no clock: a step away from there is believed at once.
struct DueClock {
    /// Microseconds since 1970.
    private(set) var now: Int64
    private var monotonic: Moment.Nanoseconds
    /// How far the wall clock was ahead, and since when.
    private var ahead: (by: Int64, since: Moment.Nanoseconds)?
    /// How long a step must have stood. Not tuned.
    static let patience: Moment.Nanoseconds = 300_000_000_000
    /// What counts as a step, in microseconds. Not tuned.
    static let tolerance: Int64 = 10_000_000
    /// The beginning of 2020: a clock that says less was never set.
    static let yearOfMaking: Int64 = 1_577_836_800_000_000

    init(at moment: Moment) { (now, monotonic) = (moment.wall, moment.monotonic) }

    mutating func advance(to moment: Moment) {
        let isSet = now >= DueClock.yearOfMaking
        let elapsed = Int64(clamping: (moment.monotonic - min(monotonic, moment.monotonic)) / 1000)
        now = now.addingReportingOverflow(elapsed).partialValue
        monotonic = moment.monotonic
        let (lead, isOver) = moment.wall.subtractingReportingOverflow(now)
        guard isSet, !isOver, lead > DueClock.tolerance else { return (now, ahead) = (moment.wall, nil) }
        guard let ahead, abs(lead - ahead.by) <= DueClock.tolerance else {
            return ahead = (lead, moment.monotonic)
        }
        guard moment.monotonic - ahead.since >= DueClock.patience else { return }
        (now, self.ahead) = (moment.wall, nil)
    }
}
