// What must become of publishes: in which order they are accepted, and who is owed what then.

import BusBroker
import BusWire

/// Something the broker has accepted or refused with the effects under way; when exactly, only they can tell.
enum Acceptance {
    case publish(ModelSession)
    case will(ModelWill)
}

extension Model {
    /// Checks the effects of one input. What the broker has worked off meanwhile (`progressOf`) is worked off here
    /// between them, each publish as late as the effects allow: just before the first that presumes it.
    func absorb(_ effects: [Effect], isRound: Bool, progressOf: (SessionID) -> UInt64?) throws(Violation) {
        self.effects = effects
        if isRound { forgetIdleTopics() }
        // In the order in which they began to wait: that is the order in which they go on.
        var open = parked.flatMap { session in
            let count = (progressOf(session.id) ?? session.progress) - session.progress
            return repeatElement(Acceptance.publish(session), count: Int(count))
        }
        noteWillsOfClosed(in: effects)
        if isRound {
            open = wills.map { .will($0) } + open
            wills = []
        }
        // A stall that ends with these effects is over when they show it, and was not when others went on.
        let held = Set(parked.filter(isHeld).map(\.id))
        let told = toldSequences(in: effects)
        for effect in effects {
            while !open.isEmpty, presumesMore(effect, open) {
                try settle(open.remove(at: nextIndex(open, held: held, told: told, shownBy: effect)))
            }
            unsettledCount = open.count
            try check(effect)
        }
        unsettledCount = 0
        while !open.isEmpty { try settle(open.remove(at: nextIndex(open, held: held, told: told, shownBy: nil))) }
        applyPolicies()
        for stream in streams { passOverWithdrawn(stream) }
        noteIdleTopics()
        tally[.parked] += parked.count { !$0.pending.isEmpty }
        parked.removeAll { $0.pending.isEmpty }
    }

    /// First sequences of publishes that waited, by session and number, as receipts and deliveries among these effects
    /// tell them.
    private func toldSequences(in effects: [Effect]) -> [SessionID: [UInt64: UInt64]] {
        var told: [SessionID: [UInt64: UInt64]] = [:]
        for case .send(let id, let frame) in effects where !parked.isEmpty {
            switch frame {
            case .receipts(let receipts):
                for receipt in receipts.receipts where !receipt.isDuplicate {
                    told[id, default: [:]][receipt.number] = receipt.firstSequence
                }
            case .deliver(let deliver):
                for session in parked {
                    for publish in session.pending where publish.publish.batch == deliver.batch {
                        told[session.id, default: [:]][publish.number] = deliver.firstSequence
                    }
                }
            default: break
            }
        }
        return told
    }

    /// Which is accepted next: in their order, but whoever is held back may be passed over by who shows to be accepted,
    /// and nobody goes before its sequence is told to come.
    private func nextIndex(
        _ open: [Acceptance], held: Set<SessionID>, told: [SessionID: [UInt64: UInt64]], shownBy effect: Effect?
    ) -> Int {
        guard case .publish = open[0] else { return 0 }
        let due = open.indices.filter { index in
            guard case .publish(let session) = open[index], let pending = session.pending.first else { return true }
            guard let topic = topic(of: pending, session) else { return true }
            // Without one it was refused, or it is the only one that waits: it may stand anywhere.
            guard let sequence = told[session.id]?[pending.number] else { return true }
            return sequence == (topics[topic]?.lastSequence ?? 0) + 1
        }
        guard let next = due.first, case .publish(let first) = open[next] else { return due.first ?? 0 }
        guard held.contains(first.id) || isHeld(first) else { return next }
        let shown = due.first { index in
            if case .publish(let session) = open[index], let effect { isShown(session, by: effect) } else { false }
        }
        return shown ?? next
    }

    private func isShown(_ session: ModelSession, by effect: Effect) -> Bool {
        switch effect {
        case .send(_, .deliver(let deliver)): session.pending.first?.publish.batch == deliver.batch
        case .send(_, .announce(let announcement)): session.pending.first?.batch.seal == announcement.seal
        default: false
        }
    }

    private func topic(of pending: ModelPublish, _ session: ModelSession) -> Topic? {
        (pending.seal ?? session.seals[pending.batch.seal])?.topic
    }

    private func isHeld(_ session: ModelSession) -> Bool {
        guard let pending = session.pending.first else { return false }
        guard let topic = topic(of: pending, session) else { return false }
        return matches(topic).contains { $0.stalls(at: now.monotonic) }
    }

    private func settle(_ acceptance: Acceptance) throws(Violation) {
        applyPolicies()
        switch acceptance {
        case .will(let will): try execute(will)
        case .publish(let session):
            guard session.phase != .closed else { return }
            guard !session.pending.isEmpty else {
                throw Violation("session \(session.id): progress, and nothing was sent to make it")
            }
            let publish = session.pending.removeFirst()
            session.progress += 1
            try settle(publish, session)
        }
    }

    private func settle(_ pending: ModelPublish, _ session: ModelSession) throws(Violation) {
        let (publish, sample) = (pending.publish, pending.batch)
        let known = sample.hasBadHeader ? nil : session.seals[sample.seal]
        let late = known.flatMap { $0.keyCheck == nil ? nil : $0 }
        let isNext = pending.isNext ?? late.map { takesCounter(sample, of: $0) }
        guard let seal = pending.seal ?? late, isNext == true else {
            let reason: Reason =
                sample.hasBadHeader ? .malformedBatch : isNext == nil ? .unknownSeal : .counterOutOfOrder
            return refuse(pending, session, [reason])
        }
        let route = matches(seal.topic)
        var faults = self.faults(of: publish, sample, seal, session)
        if !faults.contains(.malformedBatch), settleKnown(pending, seal, session) { return }
        let responders = publish.isRequest ? route.filter(\.responds) : []
        if publish.isRequest, responders.isEmpty { faults.insert(.noResponders) }
        if mayExceed(publish, sample, seal), isRefused(pending, session, .quotaExceeded) {
            faults.insert(.quotaExceeded)
        }
        guard faults.isEmpty else { return refuse(pending, session, faults) }
        var places = Array(0..<Int(sample.eventCount))
        if seal.topic.isReply {
            places = places.filter { useRight($0, of: sample, seal.topic, session, publish.hasMore) }
            guard !places.isEmpty else { return refuse(pending, session, [.noReplyRight]) }
            tally[places.count < Int(sample.eventCount) ? .answeredInPart : .answered] += 1
        }
        let batch = accept(publish.batch, count: Int(sample.eventCount), seal)
        batch.hasMore = publish.hasMore && seal.topic.isReply
        let hasKeys = (0..<Int(sample.eventCount)).contains { sample.columns.orderingKey[$0] ?? 0 != 0 }
        if hasKeys { batch.keys = batch.places.map { sample.columns.orderingKey[$0] ?? 0 } }
        if !publish.isRequest, !seal.topic.isReply { notePublished(sample, batch) }
        try noteRate(Int(sample.eventCount), session.uid)
        notePatience(publish, session)
        if publish.isRequest { ask(sample, batch, session, responders) }
        if keepsLast(publish, seal.topic) { retain(batch, isTombstone: publish.isTombstone) }
        try owe(batch, places, to: route)
        oweBounds(seal, session)
        guard publish.wantsReceipt else { return }
        session.owedReceipts.append(
            Receipt(
                number: publish.number, firstSequence: batch.firstSequence, eventCount: sample.eventCount,
                liveMatches: UInt32(route.count), responders: UInt16(responders.count)))
    }

    private func notePublished(_ sample: SampleBatch, _ batch: ModelBatch) {
        for place in batch.places {
            batch.life.published[PublishedID(uid: batch.seal.uid, id: sample.id(at: place))] = batch.sequence(at: place)
        }
    }

    /// What was published before has its first receipt again, or is refused where only some of it was; false where none was.
    private func settleKnown(_ pending: ModelPublish, _ seal: ModelSeal, _ session: ModelSession) -> Bool {
        let (publish, sample) = (pending.publish, pending.batch)
        guard publish.isAgain, !publish.isRequest, !seal.topic.isReply else { return false }
        let published = topics[seal.topic]?.published ?? [:]
        let known = (0..<Int(sample.eventCount)).compactMap {
            published[PublishedID(uid: seal.uid, id: sample.id(at: $0))]
        }
        guard let first = known.first else { return false }
        guard known.count == Int(sample.eventCount) else {
            tally[.partlyKnown] += 1
            refuse(pending, session, [.partlyKnown])
            return true
        }
        tally[.duplicate] += 1
        session.mustBeTold = true
        guard publish.wantsReceipt else { return true }
        session.owedReceipts.append(
            Receipt(
                number: publish.number, firstSequence: first, eventCount: sample.eventCount, liveMatches: 0,
                isDuplicate: true))
        return true
    }

    /// Whether a batch is the next of its seal, whose counter it then uses up, whatever becomes of it.
    func takesCounter(_ sample: SampleBatch, of seal: ModelSeal) -> Bool {
        guard sample.counter == seal.nextCounter else { return false }
        seal.nextCounter += 1
        return true
    }

    /// What is wrong with a publish that is the next of its seal.
    private func faults(
        of publish: Publish, _ sample: SampleBatch, _ seal: ModelSeal, _ session: ModelSession
    ) -> Set<Reason> {
        var faults: Set<Reason> = []
        let isLong = sample.eventCount > 1 && publish.batch.count > Limits.retainedBatchLengthMax
        let isAnswer = seal.topic.isReply
        let contradicts =
            publish.isRequest && (publish.retains || publish.hasMore)
            || isAnswer && (publish.retains || publish.isRequest)
        if sample.hasBadColumns || contradicts || publish.retains && isLong { faults.insert(.malformedBatch) }
        if publish.isRequest, !sample.hasBadColumns, requestFault(sample, session) { faults.insert(.malformedBatch) }
        if publish.isRequest, requestCount(of: seal.uid) + Int(sample.eventCount) > configuration.quotas.requests {
            faults.insert(.quotaExceeded)
        }
        if keepsLast(publish, seal.topic), !publish.isTombstone,
            exceedsRetention(publish.batch.count, seal.uid, replacing: ownLength(seal)).surely
        {
            faults.insert(.quotaExceeded)
        }
        return faults
    }

    /// Whether a publish may be refused for a quota, although it need not be.
    private func mayExceed(_ publish: Publish, _ sample: SampleBatch, _ seal: ModelSeal) -> Bool {
        let isKept = keepsLast(publish, seal.topic) && !publish.isTombstone
        return mayBeTooFast(Int(sample.eventCount), seal.uid)
            || isKept && exceedsRetention(publish.batch.count, seal.uid, replacing: 0).perhaps
    }

    /// What the same user has kept there already.
    private func ownLength(_ seal: ModelSeal) -> Int {
        guard let value = topics[seal.topic]?.lastValue, value.batch.seal.uid == seal.uid else { return 0 }
        return value.batch.bytes.count
    }

    private func keepsLast(_ publish: Publish, _ topic: Topic) -> Bool {
        publish.retains || !publish.isRequest && !topic.isReply && retainsAlways(topic)
    }

    private func refuse(_ pending: ModelPublish, _ session: ModelSession, _ reasons: Set<Reason>) {
        session.owedRefusals.append((pending.number, reasons))
        session.mustBeTold = true
        tally[.refused] += 1
        if reasons.contains(.noResponders) { tally[.askedNobody] += 1 }
        if reasons.contains(.noReplyRight) { tally[.answeredWithoutRight] += 1 }
    }

    /// A batch is accepted: it gets its position and its time.
    func accept(_ bytes: SharedBytes, count: Int, _ seal: ModelSeal) -> ModelBatch {
        let topic = topic(seal.topic, uid: seal.uid)
        let first = topic.lastSequence + 1
        topic.lastSequence += UInt64(count)
        topic.lastTime = max(topic.lastTime, now.wall)
        acceptedCount += 1
        note?("        accepted: \(seal.topic) \(first)-\(topic.lastSequence)")
        totals.eventsAccepted += UInt64(count)
        totals.bytesAccepted += UInt64(bytes.count)
        tally[.accepted] += 1
        return ModelBatch(
            index: acceptedCount, seal: seal, life: topic, bytes: bytes, firstSequence: first, eventCount: count,
            time: topic.lastTime)
    }

    /// Everyone it matches is owed the events at `places`.
    func owe(_ batch: ModelBatch, _ places: [Int], to route: [ModelStream], waits: Bool = true) throws(Violation) {
        for stream in route {
            let isHeld = waits && !isTight && stream.stalls(at: now.monotonic)
            try expect(!isHeld, "\(batch.topic) was accepted while \(stream.members[0].name) stalls it")
            let entry = OwedEntry(batch, places)
            entry.isAnswerable = stream.responds && !batch.requests.isEmpty
            stream.owed.append(entry)
            stream.lastAccepted = now.monotonic
            filling.append(stream)
            guard stream.group != nil, isForeseen(stream) else { continue }
            // All of a group's events wait until the round is over, and what a newer one replaces is known at once.
            stream.keepLatest()
            noteLosses(stream)
        }
    }

    /// Word of a patient publish may take a while, unless there is much of it.
    private func notePatience(_ publish: Publish, _ session: ModelSession) {
        let isMuch =
            session.progress - session.toldProgress >= configuration.patientCountMax
            || session.untold.reduce(0) { $0 + $1.length } >= configuration.publishWindow / 4
        if !publish.isPatient || isMuch { session.mustBeTold = true }
        if session.patientUntil == nil { session.patientUntil = now.monotonic + configuration.patience }
    }

    /// What became of the queues, now that the deliveries of what was accepted last are known.
    ///
    /// A group's are known when the round is over, since its events are shared out then.
    func applyPolicies(ofGroups: Bool = false) {
        for stream in filling where !stream.owed.isEmpty && (stream.group != nil) == ofGroups {
            stream.lastAccepted = now.monotonic
            if stream.policy == .stall, stream.fullSince == nil, stream.isFull { stream.fullSince = now.monotonic }
            guard isForeseen(stream) else { continue }
            stream.overflow()
            noteLosses(stream)
        }
        filling.removeAll { ($0.group != nil) == ofGroups }
    }

    /// Whether a session may be handed another delivery.
    func canWrite(_ session: ModelSession) -> Bool {
        session.phase == .open && !session.isBlocked && session.roundLength < configuration.roundLengthMax
            && session.roundCount < configuration.roundCountMax
    }

    /// No publish is held back without somebody who may, nor longer than that may take.
    func checkHeld() throws(Violation) {
        guard !isTight else { return }
        for session in parked {
            guard let pending = session.pending.first, let seal = pending.seal else { continue }
            let isHeld = matches(seal.topic).contains { $0.mayStall(at: now.monotonic) }
            try expect(isHeld, "publish \(pending.number) of \(session.id) on \(seal.topic) waits for nobody")
        }
    }
}
