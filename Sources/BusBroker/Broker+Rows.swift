// Rows of inspection. Names are part of the protocol (docs/PROTOCOL.md): they may be added to, never changed.

import BusWire

extension Broker {
    /// The daemon as a whole.
    var status: [InspectedValue] {
        [
            InspectedValue("incarnation", incarnation.description),
            InspectedValue("sessions", UInt64(sessions.values.count { $0.phase == .open })),
            InspectedValue("subscriptions", UInt64(clamping: accounts.values.reduce(0) { $0 + $1.subscriptionCount })),
            InspectedValue("groups", UInt64(groups.count)),
            InspectedValue("topics", UInt64(topics.count)),
            InspectedValue("last_values", UInt64(retaining.count)),
            InspectedValue("events_published", totals.eventsAccepted),
            InspectedValue("events_delivered", totals.eventsDelivered),
            InspectedValue("events_missed", totals.eventsMissed),
            InspectedValue("events_queued", totals.eventsQueued),
            InspectedValue("events_outstanding", accounts.values.reduce(0) { $0 + $1.outstandingEvents }),
            InspectedValue("bytes_published", totals.bytesAccepted),
            InspectedValue("bytes_delivered", totals.bytesDelivered),
            InspectedValue("bytes_queued", totals.bytesQueued),
            InspectedValue("bytes_parked", UInt64(clamping: accounts.values.reduce(0) { $0 + $1.parkedLength })),
            InspectedValue("bytes_retained", UInt64(clamping: accounts.values.reduce(0) { $0 + $1.retainedLength })),
            InspectedValue("batches_published", totals.batchesAccepted),
            InspectedValue("batches_delivered", totals.batchesDelivered),
            InspectedValue("publishes_stalled", totals.publishesStalled),
            InspectedValue("stalling_subscriptions", UInt64(stalling.count)),
            InspectedValue("requests_open", UInt64(clamping: accounts.values.reduce(0) { $0 + $1.requestCount })),
            InspectedValue("requests_made", totals.requestsMade),
            InspectedValue("requests_cancelled", totals.requestsCancelled),
            InspectedValue("answers_given", totals.answersGiven),
            InspectedValue("circuits_open", UInt64(sessions.values.reduce(0) { $0 + $1.openCircuits.count })),
            InspectedValue("circuits_opened", totals.circuitsOpened),
            InspectedValue("wills_published", totals.willsPublished),
            InspectedValue("requests_refused", totals.requestsRefused),
            InspectedValue("sessions_opened", totals.sessionsOpened),
            InspectedValue("topics_forgotten", totals.topicsForgotten),
        ] + storedStatus
    }

    /// - Parameter isWhole: with what takes more than a number.
    func row(of session: Session, isWhole: Bool = false) -> [InspectedValue] {
        let queues = session.consumers.values.compactMap(\.subscription.queue)
        var row = [
            InspectedValue("session", session.id.rawValue),
            InspectedValue("uid", UInt64(session.peer.uid)),
            InspectedValue("gid", UInt64(session.peer.gid)),
            InspectedValue("pid", UInt64(clamping: session.peer.pid)),
            InspectedValue("name", session.name),
            InspectedValue("subscriptions", UInt64(session.consumers.count)),
            InspectedValue("seals", UInt64(session.seals.count)),
            InspectedValue("events_published", session.counters.eventsPublished),
            InspectedValue("bytes_published", session.counters.bytesPublished),
            InspectedValue("events_delivered", session.counters.eventsDelivered),
            InspectedValue("bytes_delivered", session.counters.bytesDelivered),
            InspectedValue("publish_rate", session.counters.publishRate.rate(at: now.monotonic)),
            InspectedValue("deliver_rate", session.counters.deliverRate.rate(at: now.monotonic)),
            InspectedValue("events_queued", queues.reduce(0) { $0 + $1.eventCount }),
            InspectedValue("bytes_queued", queues.reduce(0) { $0 + $1.length }),
            InspectedValue("events_missed", session.counters.eventsMissed),
            InspectedValue("outstanding", session.consumers.values.reduce(0) { $0 + $1.outstanding }),
            InspectedValue("connected_at", UInt64(clamping: session.connectedAt)),
            InspectedValue("blocked", session.isBlocked ? 1 : 0),
            InspectedValue("has_will", session.will == nil ? 0 : 1),
            InspectedValue("requests_open", UInt64(session.requests.count)),
            InspectedValue("answers_owed", UInt64(session.rights.count)),
        ]
        guard isWhole else { return row }
        let circuits = session.openCircuits.map(\.description).sorted()
        row.append(InspectedValue("circuits_open", circuits.joined(separator: ", ")))
        row.append(InspectedValue("will_topic", session.will?.seal.topic.name.description ?? ""))
        row.append(InspectedValue("bytes_parked", UInt64(session.parkedLength)))
        return row
    }

    func row(_ topic: TopicState) -> [InspectedValue] {
        let isIdle = topic.isIdle && now.monotonic > topic.idleSince
        return [
            InspectedValue("topic", topic.name.description),
            InspectedValue("sequence", topic.lastSequence),
            InspectedValue("events", topic.eventCount),
            InspectedValue("bytes", topic.byteCount),
            InspectedValue("publish_rate", topic.rate.rate(at: now.monotonic)),
            InspectedValue("subscriptions", UInt64(topic.route(through: filters).subscriptions.count)),
            InspectedValue("publishers", UInt64(clamping: topic.sealCount)),
            InspectedValue("retained", topic.retained == nil ? 0 : 1),
            InspectedValue("retained_bytes", UInt64(topic.retained?.length ?? 0)),
            InspectedValue("uid", UInt64(topic.account.uid)),
            InspectedValue("durable", topic.isDurable ? 1 : 0),
            InspectedValue("stored_events", topic.stored.eventCount),
            InspectedValue("stored_bytes", topic.stored.byteCount),
            InspectedValue("first_sequence", topic.isDurable ? topic.stored.firstSequence : 0),
            InspectedValue("idle_ms", isIdle ? (now.monotonic - topic.idleSince) / 1_000_000 : 0),
        ]
    }

    func row(_ consumer: Consumer) -> [InspectedValue] {
        let subscription = consumer.subscription
        return [
            InspectedValue("subscription", "\(consumer.session.id)/\(consumer.number)"),
            InspectedValue("filter", subscription.filter.description),
            InspectedValue("session", consumer.session.id.rawValue),
            InspectedValue("name", consumer.session.name),
            InspectedValue("group", subscription.group?.name.description ?? ""),
            InspectedValue("mode", mode(of: consumer)),
            InspectedValue("overflow", subscription.policy.name),
            InspectedValue("events_delivered", consumer.sentEvents),
            InspectedValue("events_missed", subscription.missedCount),
            InspectedValue("events_queued", subscription.queue?.eventCount ?? 0),
            InspectedValue("bytes_queued", subscription.queue?.length ?? 0),
            InspectedValue("outstanding", consumer.outstanding),
            InspectedValue("credit_events", consumer.creditEvents - min(consumer.sentEvents, consumer.creditEvents)),
            InspectedValue("responds", subscription.responds ? 1 : 0),
        ]
    }

    private func mode(of consumer: Consumer) -> String {
        let subscription = consumer.subscription
        guard subscription.isShared else { return "" }
        guard subscription.isExclusive else { return "shared" }
        return subscription.consumers.first === consumer ? "exclusive" : "standby"
    }

    func row(_ account: Account) -> [InspectedValue] {
        let quotas = configuration.quotas
        func pair(_ name: String, _ used: Int, _ limit: Int) -> [InspectedValue] {
            [
                InspectedValue("\(name)_used", UInt64(clamping: used)),
                InspectedValue("\(name)_limit", UInt64(clamping: limit)),
            ]
        }
        return [InspectedValue("uid", UInt64(account.uid))]
            + pair("connections", account.connectionCount, quotas.connections)
            + pair("subscriptions", account.subscriptionCount, quotas.subscriptions)
            + pair("topics", account.topicCount, quotas.topics)
            + pair("seals", account.sealCount, quotas.seals)
            + pair("queued_bytes", account.queued.used, quotas.queuedLength)
            + pair("kernel_bytes", account.kernelLength, quotas.kernelLength)
            + pair("retained_bytes", account.retainedLength, quotas.retainedLength)
            + pair("parked_bytes", account.parkedLength, quotas.parkedLength)
            + pair("stored_bytes", Int(clamping: account.keptLength), quotas.storedLength)
            + pair("outstanding_events", Int(account.outstandingEvents), quotas.outstandingEvents)
            + pair("outstanding_bytes", account.outstandingLength, quotas.outstandingLength)
            + pair("requests", account.requestCount, quotas.requests)
            + pair("scheduled", account.scheduled.count, quotas.scheduled)
            + pair("publish_rate", Int(account.publishRate.rate(at: now.monotonic)), quotas.publishRate)
    }
}

extension InspectionKind {
    /// Those with rows of their own.
    static let listed: Set<InspectionKind> = [.sessions, .topics, .subscriptions, .users]

    /// Those that the store answers.
    static let asked: Set<InspectionKind> = [.deadLetters, .trace, .scheduled]

    /// What one of them is called.
    var noun: String {
        switch self {
        case .sessions: "session"
        case .topics: "topic"
        case .subscriptions: "subscription"
        case .declarations: "declaration"
        case .durableSubscriptions: "durable subscription"
        default: "user with uid"
        }
    }
}
