// Publishing: seals are opened, batches checked, given their positions and receipted.

import BusWire
import DequeModule

extension Broker {
    func openSeal(_ request: OpenSeal, _ session: Session) {
        func refuse(_ reason: Reason, _ message: String) {
            self.refuse(session, .openSeal, request: UInt64(request.request), reason, message)
        }
        let name: Topic
        do throws(NameFault) {
            name = try Topic(bytes: request.topic)
            guard !name.isReserved else { throw .reserved }
        } catch {
            return refuse(.badTopic, "topic \(error)")
        }
        guard session.seals.count < configuration.sealCountMax else {
            let fault = QuotaFault(
                quota: "seals per session", used: session.seals.count, limit: configuration.sealCountMax,
                uid: session.peer.uid)
            return refuse(.quotaExceeded, fault.message)
        }
        guard salts.insert(request.salt) else {
            return refuse(.saltReused, "this salt was used before; a seal needs 32 fresh random bytes")
        }
        guard let topic = topic(name, for: session) else {
            let fault = QuotaFault(
                quota: "topics", used: session.account.topicCount, limit: configuration.topicCountMax,
                uid: session.peer.uid)
            return refuse(.quotaExceeded, fault.message)
        }
        let seal = Seal(number: nextSeal, topic: topic, salt: request.salt, session: session)
        nextSeal += 1
        session.seals[seal.number] = seal
        emit(
            .openSeal(
                SealOrder(
                    session: session.id, request: request.request, seal: seal.number, topic: name, epoch: seal.epoch,
                    salt: request.salt)))
    }

    /// The topic's state, made if there is none; nil when the session's user may make no more.
    private func topic(_ name: Topic, for session: Session) -> TopicState? {
        if let known = topics[name] { return known }
        guard session.account.topicCount < configuration.topicCountMax else { return nil }
        let topic = TopicState(name: name, number: nextTopicNumber, account: session.account)
        nextTopicNumber += 1
        session.account.topicCount += 1
        topics[name] = topic
        return topic
    }

    func sealDerived(_ number: UInt64, _ id: SessionID, _ keyCheck: [UInt8]) {
        sessions[id]?.seals[number]?.keyCheck = keyCheck
    }

    func closeSeal(_ number: UInt64, _ session: Session) {
        guard session.seals.removeValue(forKey: number) != nil else {
            return refuse(session, .closeSeal, request: number, .unknownSeal, "seal \(number) isn't open here")
        }
        if session.recentSeal?.number == number { session.recentSeal = nil }
    }

    func receive(_ publish: Publish, from session: Session, at now: Moment) {
        // Going down: without a receipt the publisher knows that it has to send it again.
        guard draining == nil else { return }
        let expected = session.progress + UInt64(session.parked.count) + 1
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
        if session.parked.isEmpty, accept(publish, from: session, at: now) { return }
        let parkedLength = session.account.parkedLength + publish.frameLength
        guard parkedLength <= configuration.parkedLengthMax else {
            let fault = QuotaFault(
                quota: "bytes of publishes that wait", used: session.account.parkedLength,
                limit: configuration.parkedLengthMax, uid: session.peer.uid)
            return close(session, .quotaExceeded, fault.message, inReplyTo: .publish)
        }
        park(publish, session)
    }

    /// Accepts or refuses a publish; false if it has to wait for a stalled subscription.
    ///
    /// - Parameter kept: its seal, for a publish that has waited.
    func accept(_ publish: Publish, sealedBy kept: Seal? = nil, from session: Session, at now: Moment) -> Bool {
        do throws(WireError) {
            let batch = try SealedBatch(publish.batch)
            guard let seal = kept ?? seal(batch.header.seal, of: session) else {
                let message = "seal \(batch.header.seal) isn't open on this connection"
                refusePublish(publish, session, .unknownSeal, message)
                return true
            }
            if isStalled(seal.topic) { return false }
            guard batch.header.counter == seal.nextCounter else {
                let message = "batch \(batch.header.counter) of seal \(seal.number) where \(seal.nextCounter) is next"
                refusePublish(publish, session, .counterOutOfOrder, message)
                return true
            }
            seal.nextCounter += 1
            try check(batch)
            take(batch, publish, seal, session, at: now)
        } catch {
            refusePublish(publish, session, error.reason, error.description)
        }
        return true
    }

    /// What can be known of a batch without its key.
    private func check(_ batch: SealedBatch) throws(WireError) {
        let length = batch.bytes.count
        let limit =
            batch.header.eventCount == 1
            ? configuration.payloadLengthMax + Limits.batchOverheadMax : Limits.batchLengthMax
        guard length <= limit else { throw .malformedBatch("has \(length) bytes, at most \(limit) are allowed") }
        try batch.checkColumns()
    }

    /// A session's seal, once its key is derived: a number that was guessed before it was told is unknown, or its
    /// batches would be announced without a key check.
    func seal(_ number: UInt64, of session: Session) -> Seal? {
        if let recent = session.recentSeal, recent.number == number { return recent }
        guard let seal = session.seals[number], !seal.keyCheck.isEmpty else { return nil }
        session.recentSeal = seal
        return seal
    }

    private func take(_ batch: SealedBatch, _ publish: Publish, _ seal: Seal, _ session: Session, at now: Moment) {
        let count = batch.header.eventCount
        let (first, time) = seal.topic.advance(by: count, wall: now.wall)
        totals.batchesAccepted += 1
        totals.eventsAccepted += UInt64(count)
        totals.bytesAccepted += UInt64(batch.bytes.count)
        let route = seal.topic.route(through: filters)
        if publish.wantsReceipt {
            session.receipts.append(
                Receipt(
                    number: publish.number, firstSequence: first, eventCount: count, liveMatches: UInt32(route.count)))
        }
        progress(session, isPatient: publish.isPatient, at: now)
        let accepted = AcceptedBatch(
            seal: seal, bytes: batch.bytes, firstSequence: first, eventCount: count, time: time)
        fanOut(accepted, to: route, at: now)
    }

    private func refusePublish(_ publish: Publish, _ session: Session, _ reason: Reason, _ message: String) {
        refuse(session, .publish, request: publish.number, reason, message)
        session.progress += 1
        tellAtRoundEnd(session)
    }

    /// Notes that a publish is handled. Telling it costs a wake-up of the publisher, so that a patient one is told
    /// with the next frame to it, after a few publishes, or after a few milliseconds.
    private func progress(_ session: Session, isPatient: Bool, at now: Moment) {
        session.progress += 1
        session.untoldCount += 1
        let isFew =
            session.untoldCount < configuration.patientCountMax
            && session.untoldLength < configuration.publishWindow / 4
        guard isPatient, isFew, !session.isUnreceipted else { return tellAtRoundEnd(session) }
        guard !session.isPatient else { return }
        session.isPatient = true
        patient.append((now.monotonic + configuration.patience, session.id))
    }

    /// Sessions whose patience is over are told at this round's end. Who was told meanwhile, or is gone, leaves no
    /// deadline in front of the others.
    func expirePatience(at now: Moment) {
        while let first = patient.first {
            let waits = sessions[first.session].flatMap { $0.isPatient ? $0 : nil }
            guard first.deadline <= now.monotonic || waits == nil else { break }
            patient.removeFirst()
            if let waits { tellAtRoundEnd(waits) }
        }
    }

    /// Has a session told at the end of this round.
    func tellAtRoundEnd(_ session: Session) {
        guard !session.isUnreceipted else { return }
        session.isPatient = false
        session.isUnreceipted = true
        unreceipted.append(session)
    }

    func sync(_ session: Session) {
        if session.isPatient { tellAtRoundEnd(session) }
    }

    /// One frame a session and round, whatever it published in it. A session that doesn't read is told later, and
    /// until then what it published counts against its window.
    func tellReceipts() {
        mayTell = false
        var later: [Session] = []
        for session in unreceipted where session.isUnreceipted {
            if session.isBlocked { later.append(session) } else { tellReceipts(to: session) }
        }
        unreceipted = later
    }

    /// Tells a session now how far its publishes are, whether it reads or not: nothing may be said behind an end.
    func tellReceipts(to session: Session) {
        guard session.isUnreceipted || session.isPatient else { return }
        session.isUnreceipted = false
        session.isPatient = false
        session.untoldCount = 0
        session.untoldLength = session.parkedLength
        var rest = session.receipts[...]
        session.receipts = []
        guard session.phase == .open || session.phase == .leaving else { return }
        // A window of the smallest batches has more receipts than a frame may hold.
        while rest.count > Broker.receiptCountMax {
            let part = rest.prefix(Broker.receiptCountMax)
            rest = rest.dropFirst(Broker.receiptCountMax)
            let progress = part.last?.number ?? 0
            emit(.send(session.id, .receipts(Receipts(progress: progress, receipts: Array(part)))))
        }
        emit(.send(session.id, .receipts(Receipts(progress: session.progress, receipts: Array(rest)))))
    }

    /// Receipts of one frame: 128 KiB, below every daemon's frame limit. Not tuned.
    static let receiptCountMax = 4096
}
