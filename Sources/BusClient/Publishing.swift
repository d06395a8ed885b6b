// Publishing, from the application's call to the receipt.
//
// The batching rule: at the end of a round all open batches are sealed and leave in one `sendmsg` if fewer than four
// are under way, or the daemon acknowledged anything in this round; otherwise they gather events until it does, or
// until they are full. A quiet bus adds no delay, a busy one batches by itself; there is no timer.
//
// Order: batches leave in the order in which they were closed, and what has no receipt when a connection is lost is
// sent again before anything else, sealed anew with the same ids.

import BusCrypto
import BusWire
import DequeModule

/// The publishing side of a connection. Confined to its reactor.
final class Publishing {
    private unowned let core: ClientCore
    private var topics: [Topic: TopicPublisher] = [:]
    /// Topics with an open batch, in the order in which these began.
    private var gathering: [TopicPublisher] = []
    /// Closed batches that wait for their seal or for the window.
    private var outgoing: Deque<OutgoingBatch> = []
    /// Sent, without receipt: publish numbers up to `lastNumber`.
    private var inFlight: Deque<OutgoingBatch> = []
    private var lastNumber: UInt64 = 0
    private var inFlightLength = 0
    /// Refusals that came before the progress that covers them.
    private var refusals: [UInt64: (Reason, String)] = [:]
    private var sealRequests: [UInt32: TopicPublisher] = [:]
    private var nextSealRequest: UInt32 = 1
    private var ids = EventIDSource()
    private var scratch: [UInt8] = []
    private var spareBodies: [[UInt8]] = []
    /// Whether the daemon acknowledged something since the last round's end.
    private var hasProgress = false
    /// Batches that were full and closed since the last round's end.
    private(set) var closedInRound = 0
    /// Plaintext bytes held: gathered, closed and in flight.
    private(set) var heldLength = 0
    private let roomWaiters: Waiters
    private let drainWaiters: Waiters
    private var nextWaiter: UInt64 = 1
    /// The last publish sent whose progress the daemon was asked to tell at once.
    private var lastAsked: UInt64 = 0

    /// So many batches leave at once although the daemon hasn't acknowledged the ones before; the last of them asks it
    /// to. Telling progress wakes the publisher: on a quiet bus one time in four is enough.
    static let eagerCount = 4
    /// Up to this length a batch counts as one of a quiet bus. Not tuned.
    private static let eagerLengthMax = 16 << 10
    /// A seal is mended by a new one so often, then its batch is given up.
    private static let resealsMax = 3
    /// Plaintext buffers kept for the next batch. Not tuned.
    private static let spareBodiesMax = 8

    init(_ core: ClientCore) {
        self.core = core
        roomWaiters = Waiters(on: core.reactor)
        drainWaiters = Waiters(on: core.reactor)
    }

    var isIdle: Bool { gathering.isEmpty && outgoing.isEmpty && inFlight.isEmpty }
    var hasRoom: Bool { heldLength < core.options.bufferLengthMax }

    // MARK: Gathering

    /// Adds an event to its topic's batch and returns its id and the batch it is in.
    func gather(
        _ payload: UnsafeRawBufferPointer, on topic: TopicPublisher, headers: [EventHeader] = [], id: BusUUID? = nil,
        correlation: BusUUID? = nil, causation: BusUUID? = nil, wantsReceipt: Bool = true,
        for publisher: WindowedPublisher.Link? = nil
    ) -> OutgoingBatch {
        let time = core.wallClock
        let headerLength = headers.reduce(0) { $0 + 3 + $1.name.utf8.count + $1.value.utf8.count }
        let length = EventRecord.lengthMin + headerLength + payload.count
        let isPlain = id == nil && correlation == nil && causation == nil
        if let open = topic.open {
            let fits = open.hasRoom(for: length, isPlain: isPlain)
            if open.wantsReceipt != wantsReceipt || !fits { close(topic) }
        }
        let batch = topic.open ?? begin(topic, wantsReceipt: wantsReceipt, time: time)
        batch.append(
            payload: payload, headers: headers, id: id, correlation: correlation, causation: causation, time: time)
        if let publisher { batch.note(publisher) }
        heldLength += length
        if batch.eventCount >= topic.batchEventCountMax { close(topic) }
        core.requestFlush()
        return batch
    }

    private func begin(_ topic: TopicPublisher, wantsReceipt: Bool, time: Int64) -> OutgoingBatch {
        let first = ids.reserve(UInt64(Limits.batchEventCountMax), milliseconds: UInt64(max(0, time / 1000)))
        let batch = OutgoingBatch(
            topic: topic, wantsReceipt: wantsReceipt, reserved: first, body: spareBodies.popLast() ?? [])
        topic.open = batch
        gathering.append(topic)
        requestSeal(topic)
        return batch
    }

    /// Ends a topic's open batch: it leaves at the end of the round, if it may. Not at once: it could fail before its
    /// publisher has noted that it waits.
    func close(_ topic: TopicPublisher) {
        guard let batch = topic.open else { return }
        topic.open = nil
        gathering.removeAll { $0 === topic }
        outgoing.append(batch)
        closedInRound += 1
    }

    /// The state of a topic, asked for its seal at first use.
    func topic(_ name: Topic) -> TopicPublisher {
        if let known = topics[name] { return known }
        let topic = TopicPublisher(name)
        topics[name] = topic
        return topic
    }

    func makeWaiterNumber() -> UInt64 {
        defer { nextWaiter += 1 }
        return nextWaiter
    }

    /// Takes back a waiter; nil if it was answered already.
    func removeWaiter(_ number: UInt64) -> OutgoingBatch.Waiter? {
        for batch in [gathering.compactMap(\.open), Array(outgoing), Array(inFlight)].joined() {
            if let index = batch.waiters.firstIndex(where: { $0.number == number }) {
                return batch.waiters.remove(at: index)
            }
        }
        return nil
    }

    // MARK: Sending

    /// The round's end: open batches leave if the daemon is not busy with earlier ones.
    func roundWillEnd() {
        closedInRound = 0
        guard core.isOpen else { return }
        if hasProgress || inFlight.count < Publishing.eagerCount, !gathering.isEmpty {
            let topics = gathering
            gathering.removeAll(keepingCapacity: true)
            for topic in topics {
                guard let batch = topic.open else { continue }
                topic.open = nil
                outgoing.append(batch)
            }
        }
        hasProgress = false
        push()
    }

    /// Seals and sends closed batches, in order, as far as their seals and the window allow.
    private func push() {
        guard core.isOpen else { return }
        while let batch = outgoing.first {
            let length = batch.sealedLength + Publish.frameOverhead
            // One publish may always be under way alone, however long.
            guard inFlight.isEmpty || inFlightLength + length <= core.publishWindow else { return }
            switch send(batch) {
            case .sent: outgoing.removeFirst()
            case .waits: return
            case .failed(let error):
                outgoing.removeFirst()
                finish(batch, .failure(error))
            }
        }
    }

    private enum Sending {
        case sent
        case waits
        case failed(BusError)
    }

    private func send(_ batch: OutgoingBatch) -> Sending {
        let topic = batch.topic
        var state = TopicPublisher.SealState.none
        swap(&state, &topic.seal)
        switch consume state {
        case .open(let number, var sealer):
            if sealer.shouldBeRenewed {
                core.write(.closeSeal(seal: number))
                requestSeal(topic)
                return .waits
            }
            do throws(CryptoError) {
                let sealed = try batch.seal(&sealer, seal: number, scratch: &scratch)
                topic.seal = .open(number: number, sealer)
                lastNumber += 1
                let isPatient = isPatient(batch)
                if !isPatient { lastAsked = lastNumber }
                let publish = Publish(
                    number: lastNumber, wantsReceipt: batch.wantsReceipt, isPatient: isPatient, batch: sealed)
                inFlight.append(batch)
                inFlightLength += batch.sealedLength + Publish.frameOverhead
                core.write(.publish(publish))
                return .sent
            } catch {
                return .failed(error == .forked ? .forked : .internalFailure("can't seal: \(error)"))
            }
        case .refused(let reason, let message):
            // A later publish asks again: what was refused may be allowed then.
            return .failed(.refused(reason, message))
        case .opening(let salt):
            topic.seal = .opening(salt)
            return .waits
        case .none:
            requestSeal(topic)
            return .waits
        }
    }

    /// Whether nobody waits for this batch's progress: neither for its receipt, nor for room, nor events for the
    /// next batch.
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

    private func requestSeal(_ topic: TopicPublisher) {
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
        topic.batchLengthMax = min(Int(opened.batchLengthMax), Limits.batchLengthMax)
        topic.batchEventCountMax = min(Int(opened.batchEventCountMax), Limits.batchEventCountMax)
        topic.seal = .open(number: opened.seal, Sealer(grant))
        push()
    }

    /// The topic a seal was asked for.
    func topic(ofRequest request: UInt32) -> Topic? { sealRequests[request]?.topic }

    // MARK: Answers

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
            } else if batch.wantsReceipt {
                finish(batch, .failure(.protocolViolation("publish \(number) was passed over without its receipt")))
            } else {
                finish(batch, .success(nil))
            }
            number += 1
        }
        outgoing.prepend(contentsOf: resealed)
        core.requestFlush()
    }

    func take(_ error: ErrorFrame) {
        if error.inReplyTo == FrameType.publish.rawValue {
            refusals[error.request] = (error.reason, error.message)
        } else if error.inReplyTo == FrameType.openSeal.rawValue,
            let topic = sealRequests.removeValue(forKey: UInt32(truncatingIfNeeded: error.request))
        {
            topic.seal = .refused(error.reason, error.message)
            core.requestFlush()
        }
    }

    /// A batch was refused: true where sealing it anew can help, else its publishers hear of it.
    private func refused(_ batch: OutgoingBatch, _ reason: Reason, _ message: String) -> Bool {
        let isMendable = reason == .staleEpoch || reason == .unknownSeal || reason == .counterOutOfOrder
        guard isMendable, batch.resealCount < Publishing.resealsMax else {
            finish(batch, .failure(.refused(reason, message)))
            return false
        }
        batch.resealCount += 1
        if batch.topic.seal.isOpen { batch.topic.seal = .none }
        return true
    }

    private func finish(_ batch: OutgoingBatch, _ result: Result<Receipt?, BusError>) {
        heldLength -= batch.body.count
        // Nothing is lost in silence: where nobody waits, the connection says so.
        if case .failure(let error) = result, batch.waiters.isEmpty, batch.shares.isEmpty {
            core.options.onNotice?(.refused(topic: batch.topic.topic, events: batch.eventCount, error))
        }
        for share in batch.shares { share.publisher.finished(share.count, result) }
        batch.shares = []
        for waiter in batch.waiters { waiter.continuation.resume(returning: answer(waiter, batch, result)) }
        batch.waiters = []
        let body = batch.takeBody()
        if spareBodies.count < Publishing.spareBodiesMax, body.capacity <= 2 * Limits.batchLengthMax {
            spareBodies.append(body)
        }
        roomWaiters.resume { hasRoom }
        if isIdle { drainWaiters.resumeAll() }
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

    // MARK: Waiting

    func waitForRoom() async {
        guard !hasRoom else { return }
        await roomWaiters.wait { isOver(hasRoom) }
    }

    func waitUntilIdle() async {
        guard !isIdle else { return }
        await drainWaiters.wait { isOver(isIdle) }
    }

    /// Whether there is nothing to wait for; otherwise the daemon is asked how far it is.
    private func isOver(_ isDone: Bool) -> Bool {
        guard !isDone, core.failure == nil else { return true }
        askForProgress()
        return false
    }

    // MARK: Connections come and go

    /// The connection is gone: its seals are over, what has no receipt stands first in line again.
    func connectionLost() {
        for topic in topics.values { topic.seal = .none }
        sealRequests = [:]
        refusals = [:]
        while let batch = inFlight.popLast() { outgoing.prepend(batch) }
        inFlightLength = 0
        lastNumber = 0
        lastAsked = 0
    }

    /// The connection is back. Returns how many events are sent again.
    func connectionRestored() -> Int {
        let events = outgoing.reduce(0) { $0 + $1.eventCount }
        for batch in outgoing { requestSeal(batch.topic) }
        for topic in gathering { requestSeal(topic) }
        core.requestFlush()
        return events
    }

    /// Nothing will be sent any more.
    func fail(_ error: BusError) {
        for topic in gathering { if let batch = topic.open { outgoing.append(batch) } }
        for topic in gathering { topic.open = nil }
        gathering = []
        let all = Array(inFlight) + Array(outgoing)
        inFlight = []
        outgoing = []
        for batch in all { finish(batch, .failure(error)) }
        closedInRound = 0
        roomWaiters.resumeAll()
        drainWaiters.resumeAll()
    }
}

extension Publish {
    /// What a publish frame adds to its batch.
    static let frameOverhead = 16
}
