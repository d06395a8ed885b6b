// How often what happened: a simulation that never fills a queue proves nothing about full queues.

/// Something worth counting.
public enum Occurrence: String, Sendable, CaseIterable {
    /// Of publishes.
    case accepted, refused, parked, duplicate, partlyKnown
    /// Of deliveries.
    case delivered, shared, redelivered, keyed, keptBack, stored, caughtUp
    /// Of losses, by reason.
    case queueFull, superseded, stallTimedOut, quotaExceeded, overflowed
    /// Of requests.
    case asked, askedNobody, answered, answeredInPart, answeredWithoutRight, unanswered, cancelled
    /// Of last values and wills.
    case retained, cleared, willSet, willPublished
    /// Of sessions.
    case closed, vanished, forgotten, advised
    /// Of quotas, pages and topics.
    case quotaRefused, paged, topicForgotten
    /// Of durable topics.
    case committed, receipted, known, storeFull, settled, retried, rejected, dead, redriven, trimmed, gapTold
    /// Of places to begin, and of ends of the daemon.
    case sought, crashed, stopped
    /// Of what is published later.
    case left, cameDue, tookBack, keptWaiting
}

/// How often what happened in a run, or in many.
public struct SimulationTally: Sendable, Equatable, CustomStringConvertible {
    private var counts: [Occurrence: Int] = [:]

    /// Nothing yet.
    public init() {}

    /// How often it happened.
    public subscript(_ occurrence: Occurrence) -> Int {
        get { counts[occurrence, default: 0] }
        set { counts[occurrence] = newValue }
    }

    /// What never happened.
    public var missing: [Occurrence] { Occurrence.allCases.filter { self[$0] == 0 } }

    /// Adds another run's.
    public static func += (a: inout SimulationTally, b: SimulationTally) {
        a.counts.merge(b.counts, uniquingKeysWith: +)
    }

    /// Everything counted, in the order of the cases.
    public var description: String { Occurrence.allCases.map { "\($0) \(self[$0])" }.joined(separator: ", ") }
}
