// Events that are published later: left with the daemon, listed, taken back.

public import BusWire

extension BusConnection {
    /// Leaves an event with the daemon, to be published at a time: it waits on disk, whatever becomes of this process and of
    /// the daemon. What fell due while the daemon was down is published when it starts.
    ///
    /// - Parameter time: microseconds since 1970, by the host's clock; at most 366 days ahead. Of the past it is for now.
    /// - Returns: a receipt, `isScheduled`, without positions where it waits.
    /// - Throws: `BusError.refused` with `not-durable` where the topic is live.
    @discardableResult
    public func publish(
        _ event: OutgoingEvent, to topic: String, at time: Int64
    ) async throws(BusError) -> PublishReceipt {
        var event = event
        event.dueAt = time
        return try await publish([event], to: topic)
    }

    /// The same after a while, counted from now by the host's clock.
    @discardableResult
    public func publish(
        _ event: OutgoingEvent, to topic: String, after delay: Duration
    ) async throws(BusError) -> PublishReceipt {
        let (seconds, attoseconds) = delay.components
        let (whole, isOver) = seconds.multipliedReportingOverflow(by: 1_000_000)
        let (time, isOver2) = core.wallClock.addingReportingOverflow(whole)
        guard !isOver, !isOver2, time < .max - 1_000_000 else {
            throw .invalid("a delay that no clock reaches the end of")
        }
        return try await publish(event, to: topic, at: time + attoseconds / 1_000_000_000_000)
    }

    /// What waits to be published, of everybody, in the order in which it was taken.
    public func scheduled() async throws(BusError) -> [ScheduledEvent] {
        try await inspect(.scheduled).compactMap { ScheduledEvent($0) }
    }

    /// Takes an event back that waits to be published: its publisher's user may, root, and the bus's own.
    ///
    /// - Returns: how many were taken back: one, unless the id was given several times.
    /// - Throws: `BusError.refused` with `unknown-name` where none waits, so that whoever asks knows whether it was in time;
    ///   `denied` where it is another's.
    @discardableResult
    public func cancelScheduled(_ id: BusUUID) async throws(BusError) -> UInt64 {
        try await administer(.cancelScheduled, key: id.description)
    }
}

/// An event that waits to be published.
public struct ScheduledEvent: Sendable, Equatable {
    /// Its id.
    public var id: BusUUID
    /// Its topic.
    public var topic: String
    /// When it is to be published, microseconds since 1970.
    public var dueAt: Int64
    /// When the daemon took it.
    public var takenAt: Int64
    /// Its publisher's user.
    public var uid: UInt32
    /// How long its sealed batch is.
    public var length: UInt64

    init?(_ row: [InspectedValue]) {
        func number(_ name: String) -> UInt64 {
            if case .number(let number) = row.first(where: { $0.name == name })?.value { number } else { 0 }
        }
        func text(_ name: String) -> String {
            if case .text(let text) = row.first(where: { $0.name == name })?.value { text } else { "" }
        }
        guard let id = BusUUID(text("id")) else { return nil }
        self.id = id
        topic = text("topic")
        dueAt = Int64(clamping: number("due_at"))
        takenAt = Int64(clamping: number("taken_at"))
        uid = UInt32(clamping: number("uid"))
        length = number("bytes")
    }
}
