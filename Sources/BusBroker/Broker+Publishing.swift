// Publishing: batches are checked, given their positions, and handed to whom they are for.

import BusWire
import DequeModule

/// What a publish is about to become, once all of it is known to be possible.
struct Acceptance {
    var selection = Selection.all
    var requests: RequestBatch?
}

/// Why a publish is refused; the session goes on.
struct PublishRefusal: Error {
    let reason: Reason
    let message: String

    init(_ reason: Reason, _ message: String) {
        self.reason = reason
        self.message = message
    }

    init(_ fault: QuotaFault) { self.init(.quotaExceeded, fault.message) }
}

extension Broker {
    func receive(_ publish: Publish, from session: Session) {
        // Going down: without a receipt the publisher knows that it has to send it again.
        guard draining == nil else { return }
        let expected = session.progress + UInt64(session.uncommittedCount + session.parked.count) + 1
        guard publish.number == expected else {
            let message = "publish \(publish.number) where \(expected) is next"
            return close(session, .unexpectedFrame, message, inReplyTo: .publish)
        }
        let alone = session.untoldLength == 0
        session.untoldLength += publish.frameLength
        guard alone || session.untoldLength <= configuration.publishWindow else {
            let message =
                "\(session.untoldLength) bytes of publishes without receipt, the window is \(configuration.publishWindow)"
            return close(session, .windowExceeded, message, inReplyTo: .publish)
        }
        // Behind a publish that waits, all wait: a publisher's events keep their order.
        if session.parked.isEmpty, accept(publish, from: session) { return }
        let parkedLength = session.account.parkedLength + publish.frameLength
        guard parkedLength <= configuration.quotas.parkedLength else {
            let fault = QuotaFault(
                quota: "parked_bytes", used: session.account.parkedLength, limit: configuration.quotas.parkedLength,
                uid: session.peer.uid)
            return close(session, .quotaExceeded, fault.message, inReplyTo: .publish)
        }
        park(publish, session)
    }

    /// Accepts or refuses a publish; false if it has to wait for a stalled subscription.
    ///
    /// - Parameter waited: what was found out about it before it had to wait, where it had to.
    func accept(_ publish: Publish, from session: Session, asParked waited: ParkedPublish? = nil) -> Bool {
        do {
            let batch = try SealedBatch(publish.batch)
            guard let seal = waited?.seal ?? seal(batch.header.seal, of: session) else {
                throw PublishRefusal(.unknownSeal, "seal \(batch.header.seal) isn't open on this connection")
            }
            if isStalled(seal.topic) || waitsForStore(publish, seal.topic, session) { return false }
            if let refusal = waited?.refusal { throw refusal }
            if waited?.seal == nil { try checkNext(batch, seal) }
            try check(batch, retains: publish.retains)
            try take(batch, publish, seal, session)
        } catch let refusal as PublishRefusal {
            refuseInOrder(publish, session, refusal.reason, refusal.message)
        } catch let error as WireError {
            refuseInOrder(publish, session, error.reason, error.description)
        } catch {
            preconditionFailure("everything above throws one of these two: \(error)")
        }
        return true
    }

    /// The counter is used up whatever else is wrong with the batch.
    func checkNext(_ batch: SealedBatch, _ seal: Seal) throws(PublishRefusal) {
        guard batch.header.counter == seal.nextCounter else {
            throw PublishRefusal(
                .counterOutOfOrder,
                "batch \(batch.header.counter) of seal \(seal.number) where \(seal.nextCounter) is next")
        }
        seal.nextCounter += 1
    }

    /// What can be known of a batch without its key. Batches as long as a topic allowed a moment ago are still taken;
    /// only what is kept whole is held to its bound where its publisher asks for that itself.
    func check(_ batch: SealedBatch, retains: Bool) throws(WireError) {
        let length = batch.bytes.count
        let limit =
            batch.header.eventCount == 1
            ? configuration.payloadLengthMax + Limits.batchOverheadMax
            : retains ? Limits.retainedBatchLengthMax : Limits.batchLengthMax
        guard length <= limit else { throw .malformedBatch("has \(length) bytes, at most \(limit) are allowed") }
        try batch.checkColumns()
    }

    private func take(_ batch: SealedBatch, _ publish: Publish, _ seal: Seal, _ session: Session) throws {
        let (topic, count) = (seal.topic, batch.header.eventCount)
        let route = topic.route(through: filters)
        var acceptance = Acceptance()
        try checkFlags(publish, topic.name)
        guard topic.isDurable || !publish.mustBeDurable else {
            throw PublishRefusal(
                .notDurable, "topic \(topic.name) is live: declare it durable (`bus topic create`), or publish without")
        }
        // What is known already needs no room and counts for no rate.
        if let receipt = try duplicate(of: batch, publish, topic, session) {
            return repeated(publish.wantsReceipt ? receipt : nil, session)
        }
        if topic.settings.isDurable || topic.isDurable { try checkDurable(batch, topic, session.account) }
        let waits = try mustWait(publish, batch, topic, session)
        // What can fail comes before what it would have to take back: answers use rights up, and come last.
        guard session.account.rates.publishing.take(count, at: now.monotonic) else {
            let limit = configuration.quotas.publishRate
            throw PublishRefusal(QuotaFault(quota: "publish_rate", used: limit, limit: limit, uid: session.peer.uid))
        }
        if publish.isRequest { acceptance.requests = try checkRequests(batch, route, session) }
        let retains = (publish.retains || topic.retainsAll) && !publish.isRequest
        if retains { try checkRetention(batch, isTombstone: publish.isTombstone, topic, session.account) }
        if topic.name.isReply { acceptance.selection = try checkAnswers(batch, publish, topic, session) }
        if let requests = acceptance.requests { open(requests, route, session) }
        note(batch, session)
        // Asked while its topic was durable, and of no meaning now that it isn't.
        if !session.lookUps.isEmpty { endLookUp(of: publish.number, session) }
        if waits { return schedule(batch, publish, seal, session) }
        if topic.isDurable {
            return append(batch, publish, seal, session, retains: retains, requests: acceptance.requests)
        }
        let accepted = accepted(batch, seal, hasMore: publish.hasMore, requests: acceptance.requests)
        remember(batch, publish, accepted)
        if retains { retain(accepted, isTombstone: publish.isTombstone, seal.account) }
        if publish.wantsReceipt {
            session.receipts.append(
                Receipt(
                    number: publish.number, firstSequence: accepted.firstSequence, eventCount: count,
                    liveMatches: UInt32(route.subscriptions.count),
                    responders: publish.isRequest ? UInt16(clamping: route.responderCount) : 0))
        }
        progress(session, isPatient: publish.isPatient)
        tellLimits(seal, route.limits, session)
        fanOut(Portion(accepted, acceptance.selection), to: route.subscriptions)
    }

    /// A request is over when it is answered, an answer when it is read: neither is a value to be kept.
    private func checkFlags(_ publish: Publish, _ topic: Topic) throws(PublishRefusal) {
        guard publish.isRequest || topic.isReply else { return }
        guard !publish.retains, !(publish.isRequest && (publish.hasMore || publish.due != nil || topic.isReply)) else {
            throw PublishRefusal(.malformedBatch, "a request or an answer with flags that contradict each other")
        }
    }

    private func note(_ batch: SealedBatch, _ session: Session) {
        let count = UInt64(batch.header.eventCount)
        session.counters.eventsPublished += count
        session.counters.bytesPublished += UInt64(batch.bytes.count)
        session.counters.publishRate.note(count, at: now.monotonic)
        session.account.publishRate.note(count, at: now.monotonic)
    }

    /// Gives a batch its positions and its time.
    func accepted(
        _ batch: SealedBatch, _ seal: Seal, hasMore: Bool = false, requests: RequestBatch? = nil
    ) -> AcceptedBatch {
        let count = batch.header.eventCount
        let (first, time) = seal.topic.advance(by: count, wall: now.wall)
        totals.batchesAccepted += 1
        totals.eventsAccepted += UInt64(count)
        totals.bytesAccepted += UInt64(batch.bytes.count)
        seal.topic.eventCount += UInt64(count)
        seal.topic.byteCount += UInt64(batch.bytes.count)
        seal.topic.rate.note(UInt64(count), at: now.monotonic)
        let accepted = AcceptedBatch(
            seal: seal, bytes: batch.bytes, firstSequence: first, eventCount: count, time: time, hasMore: hasMore,
            requests: requests)
        if batch.mayExpire { accepted.expires(by: now.wall, ageTime) }
        accepted.keys = OrderingKeyColumn(batch)
        return accepted
    }

    /// A publish that was known already gets its first receipt, in its place.
    private func repeated(_ receipt: Receipt?, _ session: Session) {
        session.uncommittedCount += 1
        inOrder(.duplicate(session, receipt), session)
    }

    /// A refusal stands behind what its session published before and isn't on disk yet.
    private func refuseInOrder(_ publish: Publish, _ session: Session, _ reason: Reason, _ message: String) {
        endLookUp(of: publish.number, session)
        session.uncommittedCount += 1
        inOrder(.refused(session, publish: publish.number, reason, message), session)
    }

    func refusePublish(_ number: UInt64, _ session: Session, _ reason: Reason, _ message: String) {
        guard session.phase != .closing else { return }
        refuse(session, .publish, request: number, reason, message)
        session.progress += 1
        tellAtRoundEnd(session)
    }
}
