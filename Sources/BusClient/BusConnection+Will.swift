// Last wills: what is to be said of this session when it can't say it itself.

import BusWire

extension BusConnection {
    /// Leaves an event with the daemon, which publishes it when this session is gone in any way but `close`: the
    /// process died, or the connection broke. It replaces the one before, and is left again after a reconnect.
    ///
    /// A will is published by a daemon that sees the session end, so not when the daemon itself goes down.
    /// - Throws: `BusError.badName`, `.tooLarge` (64 KiB), `.refused`.
    public func setWill(_ event: OutgoingEvent, on topic: String) async throws(BusError) {
        guard event.dueAt == nil else { throw .invalid("a last will is published when its session is gone") }
        try await set(try checked(LastWill(event, on: topic)))
    }

    /// Takes the will back.
    public func clearWill() async throws(BusError) { try await set(nil) }

    func set(_ will: CheckedWill?) async throws(BusError) { try await core.willing.set(will) }

    func checked(_ will: LastWill) throws(BusError) -> CheckedWill {
        let topic = try checkedTopic(will.topic)
        try core.check(will.event)
        guard !will.event.mustBeDurable else {
            throw .invalid("a last will can't be refused when it is due: whether its topic is durable isn't asked then")
        }
        // An id of its own is the one column it has besides those it needs.
        let around = BatchHeader.length + 4 + will.event.columns.union(.id).width + BatchHeader.tagLength
        let length = around + EventRecord.length(ofPayload: will.event.payload.count, headers: will.event.headers)
        guard length <= Limits.willLengthMax else {
            throw .tooLarge("a last will of \(length) bytes, at most \(Limits.willLengthMax) are allowed")
        }
        return CheckedWill(topic: topic, event: will.event)
    }
}
