// Publishing, second part: batches sealed and sent, in order, as far as their seals and the window allow.

import BusCrypto
import BusWire
import DequeModule

extension Publishing {
    /// The round's end: open batches leave if the daemon is not busy with earlier ones.
    func roundWillEnd() {
        closedLength = 0
        guard core.isOpen else { return }
        if hasProgress || inFlight.count < Publishing.eagerCount, !gathering.isEmpty {
            let topics = gathering
            gathering.removeAll(keepingCapacity: true)
            for topic in topics {
                guard let batch = topic.open else { continue }
                topic.open = nil
                giveBackIDs(of: batch)
                outgoing.append(batch)
            }
        }
        hasProgress = false
        push()
    }

    /// Seals and sends closed batches.
    private func push() {
        guard core.isOpen else { return }
        while let batch = outgoing.first {
            let length = batch.sealedLength + Publish.frameOverhead
            // One publish may always be under way alone, however long.
            guard inFlight.isEmpty || inFlightLength + length <= core.publishWindow else { return }
            switch send(batch) {
            case .sent:
                outgoing.removeFirst()
                // A will has no receipt that would tell who waits.
                if batch.traits.contains(.isWill) { noteReleased() }
            case .waits: return
            case .splits:
                outgoing.removeFirst()
                let parts = batch.traits.contains(.isRequest) ? batch.split(for: nil) : SplitBatch(batch).parts()
                outgoing.prepend(contentsOf: parts)
            case .failed(let error):
                outgoing.removeFirst()
                finish(batch, .failure(error))
            }
        }
    }

    private enum Sending {
        case sent
        case waits
        /// Some of its events are longer than the topic allows: each goes alone.
        case splits
        case failed(BusError)
    }

    private func send(_ batch: OutgoingBatch) -> Sending {
        // Requests that nobody waits for any more aren't made.
        if batch.traits.contains(.isRequest), batch.attempts.allSatisfy(\.isOver) { return .failed(.cancelled) }
        let topic = batch.topic
        var state = TopicPublisher.SealState.none
        swap(&state, &topic.seal)
        switch consume state {
        case .open(let number, var sealer):
            if sealer.shouldBeRenewed {
                forgetSeal(of: topic)
                core.write(.closeSeal(seal: number))
                requestSeal(topic)
                return .waits
            }
            if let fault = fault(in: batch) {
                topic.seal = .open(number: number, sealer)
                return batch.mayBeSplit ? .splits : .failed(fault)
            }
            do throws(CryptoError) {
                let replyTo = batch.traits.contains(.isRequest) ? core.requesting.replyTopic : []
                let sealed = try batch.seal(&sealer, seal: number, replyTo: replyTo, scratch: &scratch)
                topic.seal = .open(number: number, sealer)
                write(batch, sealed)
                return .sent
            } catch {
                return .failed(error == .forked ? .forked : .internalFailure("can't seal: \(error)"))
            }
        case .opening(let salt):
            topic.seal = .opening(salt)
            return .waits
        case .none:
            requestSeal(topic)
            return .waits
        }
    }

    /// A payload longer than its topic allows. What was sent before may be known to the daemon: it decides.
    private func fault(in batch: OutgoingBatch) -> BusError? {
        guard !batch.wasSent else { return nil }
        do throws(BusError) { try batch.topic.check(payloadLength: batch.payloadLengthLongest) } catch { return error }
        return nil
    }

    private func write(_ batch: OutgoingBatch, _ sealed: SharedBytes) {
        if batch.traits.contains(.isWill) {
            core.willing.send(sealed, retains: batch.traits.contains(.retains), isTombstone: batch.isTombstone)
            return release(batch)
        }
        lastNumber += 1
        let isPatient = isPatient(batch)
        if !isPatient { lastAsked = lastNumber }
        let publish = Publish(
            number: lastNumber, wantsReceipt: batch.traits.contains(.wantsReceipt), isPatient: isPatient,
            retains: batch.traits.contains(.retains), isTombstone: batch.isTombstone,
            isRequest: batch.traits.contains(.isRequest), hasMore: batch.traits.contains(.hasMore),
            mustBeDurable: batch.traits.contains(.mustBeDurable),
            isAgain: batch.wasSent || batch.traits.contains(.isAgain), due: batch.due, batch: sealed)
        inFlight.append(batch)
        inFlightLength += batch.sealedLength + Publish.frameOverhead
        core.write(.publish(publish))
        // Who gave up while others of the batch didn't says so at once behind it.
        for attempt in batch.attempts { attempt.sent() }
    }

    /// Whether nobody waits for this batch's progress: neither for its receipt, nor for room, nor events for the
    /// next batch. A request waits for its answer, which brings the receipt along.
    private func isPatient(_ batch: OutgoingBatch) -> Bool {
        inFlight.count + 1 < Publishing.eagerCount && batch.waiters.isEmpty && drainWaiters.isEmpty
            && roomWaiters.isEmpty && outgoing.count == 1 && gathering.isEmpty
            && batch.sealedLength <= Publishing.eagerLengthMax
            && batch.shares.allSatisfy { $0.publisher.isPatient && $0.publisher.waiters.isEmpty }
    }

    /// Somebody begins to wait: the daemon tells what it hasn't told yet.
    func askForProgress() {
        guard lastAsked < lastNumber else { return }
        lastAsked = lastNumber
        core.write(.sync)
    }

    // MARK: Seals

    func requestSeal(_ topic: TopicPublisher) {
        guard core.isOpen, topic.seal.isNone else { return }
        let salt = SealSalt.random()
        let request = nextSealRequest
        nextSealRequest &+= 1
        sealRequests[request] = topic
        topic.seal = .opening(salt)
        core.write(.openSeal(OpenSeal(request: request, salt: salt.bytes, topic: topic.topic.bytes)))
    }

    func sealOpened(_ opened: SealOpened, _ grant: consuming SealGrant) {
        guard let topic = sealRequests.removeValue(forKey: opened.request) else { return }
        topic.seal = .open(number: opened.seal, Sealer(grant))
        topic.sealNumber = opened.seal
        openSeals[opened.seal] = topic
        bound(topic, length: opened.batchLengthMax, eventCount: opened.batchEventCountMax, opened.payloadLengthMax)
        push()
    }

    /// The topic a seal was asked for.
    func topic(ofRequest request: UInt32) -> Topic? { sealRequests[request]?.topic }

    /// The bounds of an open seal's batches changed.
    func take(_ limits: SealLimitsChanged) {
        // Of one that was closed meanwhile: nothing to bound.
        guard let topic = openSeals[limits.seal] else { return }
        bound(topic, length: limits.batchLengthMax, eventCount: limits.batchEventCountMax, limits.payloadLengthMax)
    }

    /// What gathers and is over its new bounds gathers no more.
    private func bound(_ topic: TopicPublisher, length: UInt32, eventCount: UInt32, _ payloadLength: UInt32) {
        topic.payloadLengthMax = payloadLength == 0 ? .max : Int(payloadLength)
        topic.batchLengthMax = min(Int(length), Limits.batchLengthMax)
        topic.batchEventCountMax = min(max(1, Int(eventCount)), Limits.batchEventCountMax)
        if let open = topic.open, !open.isWithinBounds { close(topic) }
    }

    func forgetSeal(of topic: TopicPublisher) {
        if let number = topic.sealNumber { openSeals[number] = nil }
        topic.sealNumber = nil
    }
}
