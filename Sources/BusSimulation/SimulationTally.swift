// How often what happened: a simulation that never fills a queue proves nothing about full queues.

/// How often what happened in a run, or in many.
public struct SimulationTally: Sendable, Equatable {
    /// Batches accepted.
    public var accepted = 0
    /// Publishes refused.
    public var refused = 0
    /// Publishes that waited for a stalled subscription.
    public var parked = 0
    /// Batches delivered.
    public var delivered = 0
    /// Gaps told.
    public var gaps = 0
    /// Gaps told after a stall that took too long.
    public var stallGaps = 0
    /// Sessions that were closed by the broker.
    public var closed = 0
    /// Announcements that began anew.
    public var forgotten = 0

    /// Nothing yet.
    public init() {}

    /// Adds another run's.
    public static func += (a: inout SimulationTally, b: SimulationTally) {
        a.accepted += b.accepted
        a.refused += b.refused
        a.parked += b.parked
        a.delivered += b.delivered
        a.gaps += b.gaps
        a.stallGaps += b.stallGaps
        a.closed += b.closed
        a.forgotten += b.forgotten
    }
}
