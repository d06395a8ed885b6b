// What is published when sessions come and go: their last wills, and the daemon's own word on `$bus.session.…`. Both at
// the end of the round, so that nothing is fanned out in the middle of taking a session apart, and many that go at once
// share a batch.

import BusWire

/// A session that is gone.
struct Departure {
    let advisory: Advisory?
    let will: KeptWill?
}

/// A last will, sealed by its session and checked; it waits for its end.
struct KeptWill {
    let batch: SealedBatch
    let seal: Seal
    let retains: Bool
    let isTombstone: Bool
    /// What is charged for it.
    let length: Int
}

extension Broker {
    // MARK: Last wills

    func setWill(_ will: Will, _ session: Session) {
        do {
            let kept = will.batch.isEmpty ? nil : try check(will, session)
            dropWill(session)
            session.will = kept
            if let kept {
                session.account.retainedLength += kept.length
                // Its topic isn't forgotten while somebody may still be heard on it.
                kept.seal.topic.sealCount += 1
            }
            answer(session, .done(inReplyTo: FrameType.will.rawValue, request: will.request))
        } catch let refusal as PublishRefusal {
            refuse(session, .will, request: will.request, refusal.reason, refusal.message)
        } catch let error as WireError {
            refuse(session, .will, request: will.request, error.reason, error.description)
        } catch {
            preconditionFailure("everything above throws one of these two: \(error)")
        }
    }

    private func check(_ will: Will, _ session: Session) throws -> KeptWill {
        let batch = try SealedBatch(will.batch)
        guard let seal = seal(batch.header.seal, of: session) else {
            throw PublishRefusal(.unknownSeal, "seal \(batch.header.seal) isn't open on this connection")
        }
        try checkNext(batch, seal)
        guard !seal.topic.name.isReply else {
            throw PublishRefusal(.noReplyRight, "a will is no answer: who asked hears that its responder is gone")
        }
        guard will.batch.count <= Limits.willLengthMax else {
            throw PublishRefusal(
                .willTooLarge, "a will of \(will.batch.count) bytes, at most \(Limits.willLengthMax) are allowed")
        }
        guard batch.header.eventCount == 1 else { throw PublishRefusal(.malformedBatch, "a will is one event") }
        try check(batch, retains: false)
        let used = session.account.retainedLength - (session.will?.length ?? 0)
        guard used + will.batch.count <= configuration.quotas.retainedLength else {
            throw PublishRefusal(
                QuotaFault(
                    quota: "retained_bytes", used: session.account.retainedLength,
                    limit: configuration.quotas.retainedLength, uid: session.peer.uid))
        }
        return KeptWill(
            batch: try SealedBatch(will.batch.compacted()), seal: seal, retains: will.retains,
            isTombstone: will.isTombstone, length: will.batch.count)
    }

    func dropWill(_ session: Session) {
        guard let will = session.will else { return }
        session.will = nil
        release(will)
    }

    private func release(_ will: KeptWill) {
        let (topic, account) = (will.seal.topic, will.seal.account)
        account.retainedLength -= will.length
        topic.sealCount -= 1
        noteIdle(topic)
        forget(account)
    }

    // MARK: Going

    /// Notes what is to be said of a session that was open and is gone. A daemon that goes down itself outlives
    /// nobody: it publishes no wills.
    func depart(_ session: Session, _ reason: Reason) {
        if reason == .goodbye || reason == .shuttingDown { dropWill(session) }
        // It stays charged until it is published.
        let will = session.will
        session.will = nil
        let advisory: Advisory? =
            configuration.announcesSessions && draining?.isClosing != true
            ? .sessionClosed(session.id, session.peer, name: session.name, reason) : nil
        guard will != nil || advisory != nil else { return }
        departures.append(Departure(advisory: advisory, will: will))
    }

    func publishDepartures() {
        let gone = departures
        departures = []
        for departure in gone { if let will = departure.will { publish(will) } }
        say(arrivals, on: .sessionOpened)
        arrivals = []
        say(gone.compactMap(\.advisory), on: .sessionClosed)
    }

    private func publish(_ will: KeptWill) {
        totals.willsPublished += 1
        let topic = will.seal.topic
        will.seal.account.retainedLength -= will.length
        let retains = will.retains || topic.retainsAll
        let refusal = Result { try checkRetention(will.batch, isTombstone: will.isTombstone, topic, will.seal.account) }
        if topic.isDurable {
            var isKept = false
            if retains, case .success = refusal { isKept = true }
            append(will.batch, will.seal, retains: isKept, isTombstone: will.isTombstone)
            will.seal.account.retainedLength += will.length
            return release(will)
        }
        let batch = accepted(will.batch, will.seal)
        if retains, case .success = refusal { retain(batch, isTombstone: will.isTombstone, will.seal.account) }
        will.seal.account.retainedLength += will.length
        fanOut(Portion(batch), to: topic.route(through: filters).subscriptions)
        release(will)
    }
}
