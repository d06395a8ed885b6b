// What must become of publishes, and who may hold them back.

import BusBroker
import BusWire

extension Model {
    /// Checks the effects of one input. What the broker has worked off meanwhile (`progressOf`) is worked off here
    /// between them, each publish as late as the effects allow: just before the first that presumes it.
    func absorb(_ effects: [Effect], progressOf: (SessionID) -> UInt64?) throws(Violation) {
        // In the order in which they began to wait: that is the order in which they go on.
        var open = parked.flatMap { session in
            let count = (progressOf(session.id) ?? session.progress) - session.progress
            return repeatElement(session, count: Int(count))
        }
        for effect in effects {
            while !open.isEmpty, presumesMore(effect, open) { try settleNext(open.removeFirst()) }
            try check(effect)
        }
        for session in open { try settleNext(session) }
        noteFull()
        tally.parked += parked.count { !$0.pending.isEmpty }
        parked.removeAll { $0.pending.isEmpty }
    }

    /// Whether an effect can't be explained by what was accepted so far.
    private func presumesMore(_ effect: Effect, _ open: [ModelSession]) -> Bool {
        switch effect {
        // A shutdown closes everybody, and nothing is accepted behind it.
        case .close(let id, let reason, _): return reason == .shuttingDown || open.contains { $0.id == id }
        case .send(let id, let frame):
            guard let session = sessions[id] else { return false }
            switch frame {
            case .closing: return true
            case .receipts(let receipts): return receipts.progress > session.progress
            case .error(let error): return error.inReplyTo == FrameType.publish.rawValue && session.owedRefusals.isEmpty
            case .announce(let announcement): return !isOwed(session) { $0.seal.number == announcement.seal }
            case .gap(let gap):
                return !isOwed(session) { $0.lastSequence == gap.lastSequence && $0.seal.topic.bytes == gap.topic }
            case .deliver(let deliver):
                let owed = session.subscriptions[deliver.subscription]?.owed ?? []
                return !owed.contains { $0.bytes == deliver.batch }
            default: return false
            }
        default: return false
        }
    }

    private func isOwed(_ session: ModelSession, _ isIt: (OwedBatch) -> Bool) -> Bool {
        session.subscriptions.values.contains { $0.owed.contains(where: isIt) }
    }

    private func settleNext(_ session: ModelSession) throws(Violation) {
        noteFull()
        guard session.phase != .closed else { return }
        guard !session.pending.isEmpty else {
            throw Violation("session \(session.id): progress, and nothing was sent to make it")
        }
        let publish = session.pending.removeFirst()
        session.progress += 1
        try settle(publish, session)
    }

    private func settle(_ publish: ModelPublish, _ session: ModelSession) throws(Violation) {
        func refuse(_ reason: Reason) {
            session.owedRefusals.append((publish.number, reason))
            session.mustBeTold = true
            tally.refused += 1
        }
        if publish.batch.hasBadHeader { return refuse(.malformedBatch) }
        let late = session.seals[publish.batch.seal].flatMap { $0.keyCheck == nil ? nil : $0 }
        guard let seal = publish.seal ?? late else { return refuse(.unknownSeal) }
        guard publish.batch.counter == seal.nextCounter else { return refuse(.counterOutOfOrder) }
        seal.nextCounter += 1
        if publish.batch.hasBadColumns { return refuse(.malformedBatch) }
        try accept(publish, seal, session)
    }

    private func accept(_ publish: ModelPublish, _ seal: ModelSeal, _ session: ModelSession) throws(Violation) {
        let count = UInt64(publish.batch.eventCount)
        let first = (positions[seal.topic] ?? 0) + 1
        positions[seal.topic] = first + count - 1
        let time = max(topicTimes[seal.topic] ?? .min, now.wall)
        topicTimes[seal.topic] = time
        let batch = OwedBatch(
            index: tally.accepted, seal: seal, bytes: publish.bytes, firstSequence: first, eventCount: count,
            time: time)
        let route = matches(seal.topic)
        tally.accepted += 1
        notePatience(publish, session)
        for (subscriber, subscription) in route {
            let isHeld = !isTight && subscription.stalls(at: now.monotonic)
            try expect(!isHeld, "\(seal.topic) was accepted while \(subscriber.id)/\(subscription.number) stalls it")
            subscription.owed.append(batch)
            subscription.lastAccepted = now.monotonic
            if subscription.isStalling, subscription.fullSince == nil { filling.append(subscription) }
        }
        guard publish.wantsReceipt else { return }
        session.owedReceipts.append(
            Receipt(
                number: publish.number, firstSequence: first, eventCount: publish.batch.eventCount,
                liveMatches: UInt32(route.count)))
    }

    /// Word of a patient publish may take a while, unless there is much of it.
    private func notePatience(_ publish: ModelPublish, _ session: ModelSession) {
        let isMuch =
            session.progress - session.toldProgress >= configuration.patientCountMax
            || session.untold.reduce(0) { $0 + $1.length } >= configuration.publishWindow / 4
        if !publish.isPatient || isMuch { session.mustBeTold = true }
        if session.patientUntil == nil { session.patientUntil = now.monotonic + configuration.patience }
    }

    /// Whose queue is at its bounds, now that the deliveries of what was accepted last are known.
    private func noteFull() {
        for subscription in filling where !subscription.owed.isEmpty {
            let isFull =
                subscription.owedEvents >= subscription.queueEventCount
                || subscription.owedLength >= subscription.queueLength
            if isFull { subscription.fullSince = now.monotonic }
        }
        filling = []
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
            guard let publish = session.pending.first, let seal = publish.seal else { continue }
            let isHeld = matches(seal.topic).contains { $0.subscription.mayStall(at: now.monotonic) }
            try expect(isHeld, "publish \(publish.number) of \(session.id) on \(seal.topic) waits for nobody")
        }
    }
}
