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
        var resealed: [OutgoingBatch] = []
        while number <= receipts.progress, let batch = inFlight.popFirst() {
            inFlightLength -= batch.sealedLength + Publish.frameOverhead
            while let candidate = receipt, candidate.number < number { receipt = next.next() }
            if let refusal = refusals.removeValue(forKey: number) {
                if refused(batch, refusal.0, refusal.1) { resealed.append(batch) }
            } else if let found = receipt, found.number == number, Int(found.eventCount) == batch.eventCount {
                finish(batch, .success(found))
            } else if batch.traits.contains(.wantsReceipt) {
                finish(batch, .failure(.protocolViolation("publish \(number) was passed over without its receipt")))
            } else {
                finish(batch, .success(nil))
            }
            number += 1
        }
        outgoing.prepend(contentsOf: resealed)
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

    /// A batch was refused: true where sealing it anew can help, else its publishers hear of it.
    private func refused(_ batch: OutgoingBatch, _ reason: Reason, _ message: String) -> Bool {
        guard Publishing.isMendable(reason), batch.resealCount < Publishing.resealsMax else {
            finish(batch, .failure(.refused(reason, message)))
            return false
        }
        batch.resealCount += 1
        dropSeal(of: batch.topic)
        return true
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
        if case .failure(let error) = result { tellFailure(batch, error) }
        for share in batch.shares { share.publisher.finished(share.count, result) }
        batch.shares = []
        for waiter in batch.waiters { waiter.continuation.resume(returning: answer(waiter, batch, result)) }
        batch.waiters = []
        let attempts = batch.attempts
        batch.attempts = []
        for attempt in attempts { attempt.published(result) }
        release(batch)
        noteReleased()
    }

    /// Less is held: those who wait for that go on.
    func noteReleased() {
        roomWaiters.resume { hasRoom }
        if isIdle { drainWaiters.resumeAll() }
    }

    /// Nothing is lost in silence: where nobody waits, the connection says so.
    private func tellFailure(_ batch: OutgoingBatch, _ error: BusError) {
        if batch.traits.contains(.isWill) { return core.willing.failed(error) }
        guard batch.waiters.isEmpty, batch.shares.isEmpty, !batch.traits.contains(.isRequest) else { return }
        // An answer that nobody waits for any more: who asked is gone, or has enough.
        if batch.topic.topic.isReply {
            switch error {
            case .refused(.noReplyRight, _), .disconnected, .closed: return
            default: break
            }
        }
        core.options.onNotice?(.refused(topic: batch.topic.topic, events: batch.eventCount, error))
    }

    private func answer(
        _ waiter: OutgoingBatch.Waiter, _ batch: OutgoingBatch, _ result: Result<Receipt?, BusError>
    ) -> Result<PublishReceipt, BusError> {
        switch result {
        case .failure(let error): return .failure(error)
        case .success(nil): return .failure(.protocolViolation("a publish was passed over without a receipt"))
        case .success(.some(let receipt)):
            let first = receipt.firstSequence + UInt64(waiter.firstIndex)
            return .success(
                PublishReceipt(
                    id: batch.id(at: waiter.firstIndex), firstSequence: first,
                    lastSequence: first + UInt64(waiter.count - 1), liveMatches: Int(receipt.liveMatches),
                    durableMatches: Int(receipt.durableMatches), isDurable: receipt.isDurable,
                    isDuplicate: receipt.isDuplicate))
        }
    }
}
