// What a batch is as a whole: events that differ in this don't share one.

import BusWire

/// What holds for all events of an outgoing batch.
struct BatchTraits: OptionSet, Sendable {
    let rawValue: UInt8

    /// The daemon answers with a receipt.
    static let wantsReceipt = BatchTraits(rawValue: 1)
    /// The last event becomes its topic's last value.
    static let retains = BatchTraits(rawValue: 2)
    /// Requests: with the topic that answers go to.
    static let isRequest = BatchTraits(rawValue: 4)
    /// Of answers: more follow.
    static let hasMore = BatchTraits(rawValue: 8)
    /// The one event of a last will: left with the daemon, not published.
    static let isWill = BatchTraits(rawValue: 16)
}

/// What an event brings beside its payload and its headers.
struct EventMarks {
    var id: BusUUID?
    var correlation: BusUUID?
    var causation: BusUUID?
    var traits: BatchTraits = .wantsReceipt

    /// Whether it needs no column.
    var isPlain: Bool { id == nil && correlation == nil && causation == nil }
}

extension EventMarks {
    /// What the application said.
    init(_ event: OutgoingEvent, wantsReceipt: Bool) {
        id = event.id
        correlation = event.correlation
        causation = event.causation
        traits = wantsReceipt ? .wantsReceipt : []
        if event.retains { traits.insert(.retains) }
    }
}
