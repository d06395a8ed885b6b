// What a broker tells about itself.

import BusWire

/// Running totals since the daemon started, and what is held now.
struct Totals {
    var sessionsOpened: UInt64 = 0
    var requestsRefused: UInt64 = 0
    var batchesAccepted: UInt64 = 0
    var eventsAccepted: UInt64 = 0
    var bytesAccepted: UInt64 = 0
    var batchesDelivered: UInt64 = 0
    var eventsDelivered: UInt64 = 0
    var bytesDelivered: UInt64 = 0
    var eventsMissed: UInt64 = 0
    var publishesStalled: UInt64 = 0
    /// Held now.
    var eventsQueued: UInt64 = 0
    var bytesQueued: UInt64 = 0
}

extension Broker {
    func inspect(_ question: Inspect, _ session: Session) {
        guard question.kind == .status else {
            let message = "nothing is known about questions of kind \(question.kind.rawValue)"
            return refuse(session, .inspect, request: UInt64(question.request), .notSupported, message)
        }
        answer(session, .inspected(Inspected(request: question.request, rows: [status])))
    }

    /// The daemon as a whole. Names are part of the protocol: they may be added to, never changed.
    private var status: [InspectedValue] {
        [
            InspectedValue("incarnation", incarnation.description),
            InspectedValue("sessions", UInt64(sessions.values.count { $0.phase == .open })),
            InspectedValue("subscriptions", UInt64(filters.count)),
            InspectedValue("topics", UInt64(topics.count)),
            InspectedValue("events_published", totals.eventsAccepted),
            InspectedValue("events_delivered", totals.eventsDelivered),
            InspectedValue("events_missed", totals.eventsMissed),
            InspectedValue("events_queued", totals.eventsQueued),
            InspectedValue("bytes_published", totals.bytesAccepted),
            InspectedValue("bytes_delivered", totals.bytesDelivered),
            InspectedValue("bytes_queued", totals.bytesQueued),
            InspectedValue("bytes_parked", UInt64(accounts.values.reduce(0) { $0 + $1.parkedLength })),
            InspectedValue("batches_published", totals.batchesAccepted),
            InspectedValue("batches_delivered", totals.batchesDelivered),
            InspectedValue("publishes_stalled", totals.publishesStalled),
            InspectedValue("requests_refused", totals.requestsRefused),
            InspectedValue("sessions_opened", totals.sessionsOpened),
            InspectedValue("stalling_subscriptions", UInt64(stalling.count)),
        ]
    }
}
