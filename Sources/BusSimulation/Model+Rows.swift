// What each row of an inspection should say.

import BusBroker
import BusWire

extension Model {
    func expectedRows(_ kind: InspectionKind) -> [ExpectedRow]? {
        switch kind {
        case .status: [statusRow]
        case .sessions: sessionsInOrder.filter { $0.phase == .open }.map(row)
        case .topics: topics.values.filter { !$0.name.isReserved }.map(row)
        case .subscriptions: sessionsInOrder.flatMap(\.subscriptionsInOrder).map(row)
        case .users: Set(sessions.values.map(\.uid)).map(row)
        default: nil
        }
    }

    private var statusRow: ExpectedRow {
        var row: ExpectedRow = [
            "sessions": .number(UInt64(sessions.values.count { $0.phase == .open })),
            "subscriptions": .number(UInt64(sessions.values.reduce(0) { $0 + $1.subscriptions.count })),
            "events_published": .number(totals.eventsAccepted), "bytes_published": .number(totals.bytesAccepted),
            "batches_published": .number(UInt64(acceptedCount)),
            "events_delivered": .number(totals.eventsDelivered), "bytes_delivered": .number(totals.bytesDelivered),
            "batches_delivered": .number(totals.batchesDelivered),
        ]
        // Going down, it may have published wills that nobody saw.
        if isDraining { for name in ["events", "bytes", "batches"] { row["\(name)_published"] = nil } }
        guard streams.allSatisfy(isCounted) else { return row }
        let waiting = streams.flatMap(\.queued)
        row["events_queued"] = .number(waiting.reduce(0) { $0 + UInt64($1.places.count) })
        row["bytes_queued"] = .number(waiting.reduce(0) { $0 + $1.length })
        return row
    }

    /// Whether how much of it waits is known: what was dropped and not told yet isn't, where it can't be foreseen, nor
    /// what is cut from a batch whose rest still waits.
    private func isCounted(_ stream: ModelStream) -> Bool {
        stream.owed.isEmpty || isForeseen(stream) && stream.group == nil
    }

    private func row(_ session: ModelSession) -> ExpectedRow {
        var row: ExpectedRow = [
            "session": .number(session.id.rawValue), "uid": .number(UInt64(session.uid)),
            "gid": .number(UInt64(session.peer.gid)), "pid": .number(UInt64(session.peer.pid)),
            "name": .text(session.name), "subscriptions": .number(UInt64(session.subscriptions.count)),
            "seals": .number(UInt64(session.seals.count)),
            "outstanding": .number(UInt64(session.subscriptions.values.reduce(0) { $0 + $1.outstanding })),
            "blocked": .number(session.isBlocked ? 1 : 0),
            "has_will": .number(session.will == nil ? 0 : 1),
        ]
        if knowsRequests { row["requests_open"] = .number(UInt64(session.requests.count)) }
        return row
    }

    /// Whether it is known which requests are open: not where one may have lost its last responder unseen.
    private var knowsRequests: Bool { streams.allSatisfy { !$0.responds || isForeseen($0) } }

    private func row(_ topic: ModelTopic) -> ExpectedRow {
        let seals = sessions.values.flatMap(\.seals.values).filter { $0.topic == topic.name }
        let wills = sessions.values.compactMap(\.will).filter { $0.seal.topic == topic.name }
        var row: ExpectedRow = [
            "topic": .text("\(topic.name)"), "sequence": .number(topic.lastSequence),
            "subscriptions": .number(UInt64(matches(topic.name).count)),
            "retained": .number(topic.lastValue == nil ? 0 : 1),
            "retained_bytes": .number(UInt64(topic.lastValue?.batch.bytes.count ?? 0)),
        ]
        // Publishes that wait count as publishers, too.
        if parked.isEmpty, self.wills.isEmpty { row["publishers"] = .number(UInt64(seals.count + wills.count)) }
        return row
    }

    private func row(_ subscription: ModelSubscription) -> ExpectedRow {
        let stream = subscription.stream
        let mode = !stream.isExclusive ? "shared" : subscription.isOnDuty ? "exclusive" : "standby"
        return [
            "subscription": .text(subscription.name), "session": .number(subscription.session.id.rawValue),
            "filter": .text("\(stream.filter)"), "name": .text(subscription.session.name),
            "group": .text(stream.group.map { "\($0)" } ?? ""), "mode": .text(stream.group == nil ? "" : mode),
            "events_delivered": .number(subscription.sentEvents), "responds": .number(stream.responds ? 1 : 0),
            "outstanding": .number(UInt64(subscription.outstanding)),
        ]
    }

    private func row(_ uid: UInt32) -> ExpectedRow {
        var row: ExpectedRow = [
            "uid": .number(UInt64(uid)),
            "connections_used": .number(UInt64(sessions.values.count { $0.uid == uid })),
            "subscriptions_used": .number(UInt64(subscriptionCount(of: uid))),
            "scheduled_used": .number(0), "scheduled_limit": .number(UInt64(configuration.quotas.scheduled)),
            "retained_bytes_used": .number(UInt64(retainedLength(of: uid))),
            "outstanding_events_used": .number(UInt64(outstanding(of: uid))),
            "requests_limit": .number(UInt64(configuration.quotas.requests)),
        ]
        if knowsRequests { row["requests_used"] = .number(UInt64(requestCount(of: uid))) }
        return row
    }
}

/// Running totals.
struct ModelTotals {
    var eventsAccepted: UInt64 = 0
    var bytesAccepted: UInt64 = 0
    var eventsDelivered: UInt64 = 0
    var bytesDelivered: UInt64 = 0
    var batchesDelivered: UInt64 = 0
}
