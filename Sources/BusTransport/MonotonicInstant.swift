// Instants of the monotonic clock.
//
// Guarantees order and nanoseconds; keeps nothing. Wall-clock time is somebody else's: it jumps.

import CLinux

/// An instant of CLOCK_MONOTONIC, which never goes back and does not count suspended time.
public struct MonotonicInstant: Comparable, Hashable, Sendable {
    /// Nanoseconds since the clock's own beginning, usually the boot.
    public let nanoseconds: Int64

    /// The instant so many nanoseconds after the clock's beginning.
    public init(nanoseconds: Int64) { self.nanoseconds = nanoseconds }

    /// Reads the clock: about 20 ns. `Reactor.now` is free and exact enough for most.
    public static func now() -> MonotonicInstant { MonotonicInstant(nanoseconds: linux_monotonic_now()) }

    /// Whether `a` is before `b`.
    public static func < (a: MonotonicInstant, b: MonotonicInstant) -> Bool { a.nanoseconds < b.nanoseconds }

    /// The instant later by `duration`; what lies beyond 292 years is the end of time.
    public static func + (instant: MonotonicInstant, duration: Duration) -> MonotonicInstant {
        let (seconds, attoseconds) = duration.components
        let (whole, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflow2) = whole.addingReportingOverflow(attoseconds / 1_000_000_000)
        let (end, overflow3) = sum.addingReportingOverflow(instant.nanoseconds)
        let beyond = overflow || overflow2 || overflow3
        return MonotonicInstant(nanoseconds: beyond ? (seconds < 0 ? .min : .max) : end)
    }

    /// How long it is from `b` to `a`; negative when `a` comes first.
    public static func - (a: MonotonicInstant, b: MonotonicInstant) -> Duration {
        .nanoseconds(a.nanoseconds - b.nanoseconds)
    }
}
