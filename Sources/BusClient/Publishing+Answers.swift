// Publishing, third part: what the daemon says became of it.

import BusWire
import DequeModule

extension Publishing {
    func take(_ receipts: Receipts) throws(BusError) {
        let first = lastNumber - UInt64(inFlight.count) + 1
        guard receipts.progress <= lastNumber else {
            throw .protocolViolation("progress \(receipts.progress) beyond the last publish \(lastNumber)")
        }
        hasProgress = true
        var next = receipts.receipts.makeIterator()
        var receipt = next.next()
        var number = first
        var again: [OutgoingBatch] = []
        while number <= receipts.progress, let batch = inFlight.popFirst() {
            inFlightLength -= batch.sealedLength + Publish.frameOverhead
            while let candidate = receipt, candidate.number < number { receipt = next.next() }
            if let refusal = refusals.removeValue(forKey: number) {
                again += refused(batch, refusal.0, refusal.1)
            } else if let found = receipt, found.number == number,
                // A duplicate may have come with others the first time.
                found.isDuplicate || Int(found.eventCount) == batch.eventCount
            {
                finish(batch, .success(found))
            } else if batch.traits.contains(.wantsReceipt) {
                finish(batch, .failure(.protocolViolation("publish \(number) was passed over without its receipt")))
            } else {
                finish(batch, .success(nil))
            }
            number += 1
        }
        outgoing.prepend(contentsOf: again)
        core.requestFlush()
    }

    func take(_ error: ErrorFrame) throws(BusError) {
        if error.inReplyTo == FrameType.publish.rawValue {
            // Also what bounds the refusals kept: one for each publish under way.
            let first = lastNumber - UInt64(inFlight.count) + 1
            guard error.request >= first, error.request <= lastNumber else {
                throw .protocolViolation("publish \(error.request) was refused, which isn't under way")
            }
            refusals[error.request] = (error.reason, error.message)
            if error.reason == .noResponders { tellAtOnce(error, inFlight[Int(error.request - first)]) }
        } else if error.inReplyTo == FrameType.openSeal.rawValue,
            let topic = sealRequests.removeValue(forKey: UInt32(truncatingIfNeeded: error.request))
        {
            refuseAll(of: topic, .refused(error.reason, error.message))
        }
    }

    /// What waits for a seal that was refused is refused with it. Whoever publishes later asks again: what was refused
    /// may be allowed then, and a right to answer come in the next moment.
    private func refuseAll(of topic: TopicPublisher, _ error: BusError) {
        topic.seal = .none
        close(topic)
        let refused = outgoing.filter { $0.topic === topic }
        outgoing.removeAll { $0.topic === topic }
        for batch in refused { finish(batch, .failure(error)) }
        core.requestFlush()
    }

    /// Those who ask needn't wait for the progress that covers the refusal.
    private func tellAtOnce(_ error: ErrorFrame, _ batch: OutgoingBatch) {
        let attempts = batch.attempts
        batch.attempts = []
        for attempt in attempts { attempt.published(.failure(.refused(error.reason, error.message))) }
    }

    /// A batch was refused. Returns what to send instead, where that can help; else its publishers hear of it.
    private func refused(_ batch: OutgoingBatch, _ reason: Reason, _ message: String) -> [OutgoingBatch] {
        if reason == .partlyKnown, batch.eventCount > 1 { return SplitBatch(batch).parts() }
        guard Publishing.isMendable(reason), batch.resealCount < Publishing.resealsMax else {
            finish(batch, .failure(.refused(reason, message)))
            return []
        }
        batch.resealCount += 1
        dropSeal(of: batch.topic)
        return [batch]
    }

    /// Whether what was refused for this is accepted under a new seal.
    static func isMendable(_ reason: Reason) -> Bool {
        reason == .staleEpoch || reason == .unknownSeal || reason == .counterOutOfOrder
    }

    /// A topic's seal is no good any more: what comes next asks for another.
    func dropSeal(of topic: TopicPublisher) {
        guard topic.seal.isOpen else { return }
        forgetSeal(of: topic)
        topic.seal = .none
    }

    func finish(_ batch: OutgoingBatch, _ result: Result<Receipt?, BusError>) {
        if let part = batch.part {
            if part.whole.finished(part.index, result) { tell(part.whole) }
        } else {
            tell(batch, result)
        }
        release(batch)
        noteReleased()
    }

    private func tell(_ batch: OutgoingBatch, _ result: Result<Receipt?, BusError>) {
        if case .failure(let error) = result { tellFailure(batch, error, batch.eventCount) }
        for share in batch.shares { share.publisher.finished(share.events.count, result) }
        batch.shares = []
        for waiter in batch.waiters { waiter.continuation.resume(returning: answer(waiter, batch, result)) }
        batch.waiters = []
        let attempts = batch.attempts
        batch.attempts = []
        for attempt in attempts { attempt.published(result) }
    }

    /// All parts have their answers.
    private func tell(_ whole: SplitBatch) {
        let batch = whole.batch
        let result = whole.outcome(0..<batch.eventCount)
        if case .failure(let error) = result { tellFailure(batch, error, whole.refusedCount) }
        // Each event has its own answer: what was refused of one publisher is no fault of another's.
        for share in batch.shares {
            for index in share.events { share.publisher.finished(1, whole.outcome(index..<index + 1)) }
        }
        batch.shares = []
        for waiter in batch.waiters {
            let run = waiter.firstIndex..<waiter.firstIndex + waiter.count
            waiter.continuation.resume(
                returning: whole.outcome(run).flatMap { receipt in
                    receipt.map { .success(PublishReceipt(batch.id(at: run.lowerBound), $0)) } ?? Publishing.passedOver
                })
        }
        batch.waiters = []
    }

    private static let passedOver = Result<PublishReceipt, BusError>.failure(
        .protocolViolation("a publish was passed over without a receipt"))

    /// Less is held: those who wait for that go on.
    func noteReleased() {
        roomWaiters.resume { hasRoom }
        if isIdle { drainWaiters.resumeAll() }
    }

    /// Nothing is lost in silence: where nobody waits, the connection says so.
    private func tellFailure(_ batch: OutgoingBatch, _ error: BusError, _ eventCount: Int) {
        if batch.traits.contains(.isWill) { return core.willing.failed(error) }
        guard batch.waiters.isEmpty, batch.shares.isEmpty, !batch.traits.contains(.isRequest) else { return }
        // An answer that nobody waits for any more: who asked is gone, or has enough.
        if batch.topic.topic.isReply {
            switch error {
            case .refused(.noReplyRight, _), .disconnected, .closed: return
            default: break
            }
        }
        core.options.onNotice?(.refused(topic: batch.topic.topic, events: eventCount, error))
    }

    private func answer(
        _ waiter: OutgoingBatch.Waiter, _ batch: OutgoingBatch, _ result: Result<Receipt?, BusError>
    ) -> Result<PublishReceipt, BusError> {
        switch result {
        case .failure(let error): return .failure(error)
        case .success(nil): return Publishing.passedOver
        case .success(.some(var receipt)):
            if Int(receipt.eventCount) == batch.eventCount, !receipt.isScheduled {
                receipt.firstSequence += UInt64(waiter.firstIndex)
                receipt.eventCount = UInt32(waiter.count)
            }
            return .success(PublishReceipt(batch.id(at: waiter.firstIndex), receipt))
        }
    }
}

extension PublishReceipt {
    /// - Parameter id: the first event's.
    fileprivate init(_ id: BusUUID, _ receipt: Receipt) {
        self.init(
            id: id, firstSequence: receipt.firstSequence,
            lastSequence: receipt.isScheduled
                ? 0 : receipt.firstSequence + UInt64(max(1, receipt.eventCount)) - 1,
            liveMatches: Int(receipt.liveMatches), durableMatches: Int(receipt.durableMatches),
            isDurable: receipt.isDurable, isDuplicate: receipt.isDuplicate, isScheduled: receipt.isScheduled)
    }
}
