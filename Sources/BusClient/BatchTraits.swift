// What a batch is as a whole: events that differ in this don't share one.

import BusCrypto
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
    /// Refused where the topic isn't durable.
    static let mustBeDurable = BatchTraits(rawValue: 32)
    /// The application gave the events ids of its own: they may have been published before, by whomever.
    static let isAgain = BatchTraits(rawValue: 64)
}

/// What events bring that stands in a column of their batch.
struct EventColumns: OptionSet, Sendable {
    let rawValue: UInt8

    static let id = EventColumns(rawValue: 1)
    static let correlation = EventColumns(rawValue: 2)
    static let causation = EventColumns(rawValue: 4)
    static let orderingKey = EventColumns(rawValue: 8)
    static let expiry = EventColumns(rawValue: 16)

    /// Bytes for each event, if it has a value of its own.
    var width: Int {
        let uuids = intersection([.id, .correlation, .causation]).rawValue.nonzeroBitCount
        return 16 * uuids + 8 * intersection([.orderingKey, .expiry]).rawValue.nonzeroBitCount
    }
}

/// What an event brings beside its payload and its headers.
struct EventMarks {
    var id: BusUUID?
    var correlation: BusUUID?
    var causation: BusUUID?
    /// Hash of the ordering key; 0 for none.
    var orderingKey: UInt64 = 0
    /// When it expires, microseconds since 1970; 0 for never.
    var expiry: Int64 = 0
    /// When it is to be published, microseconds since 1970; nil for now.
    var due: Int64?
    var traits: BatchTraits = .wantsReceipt

    /// The columns it needs.
    var columns: EventColumns {
        var columns: EventColumns = []
        if id != nil { columns.insert(.id) }
        if correlation != nil { columns.insert(.correlation) }
        if causation != nil { columns.insert(.causation) }
        if orderingKey != 0 { columns.insert(.orderingKey) }
        if expiry != 0 { columns.insert(.expiry) }
        return columns
    }
}

extension EventMarks {
    /// What the application said.
    ///
    /// - Parameter time: now, from which on it expires.
    init(_ event: OutgoingEvent, on topic: Topic, at time: Int64, wantsReceipt: Bool) {
        id = event.id
        correlation = event.correlation
        causation = event.causation
        due = event.dueAt
        traits = wantsReceipt ? .wantsReceipt : []
        if event.retains { traits.insert(.retains) }
        if event.mustBeDurable { traits.insert(.mustBeDurable) }
        if event.id != nil { traits.insert(.isAgain) }
        if let key = event.orderingKey {
            do throws(CryptoError) {
                orderingKey = try OrderingKey.hash(Array(key.utf8), topic: topic.bytes)
            } catch {
                preconditionFailure("a key's length is checked before it is gathered: \(error)")
            }
        }
        if let lifetime = event.expiresAfter { expiry = max(1, time.adding(lifetime)) }
    }
}

extension Int64 {
    /// Microseconds later by a duration, within what there is.
    fileprivate func adding(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (sum, overflow2) = product.addingReportingOverflow(attoseconds / 1_000_000_000_000)
        let (end, overflow3) = addingReportingOverflow(sum)
        return overflow || overflow2 || overflow3 ? (seconds < 0 ? 0 : .max) : end
    }
}
