// What publishers do: open seals, send batches, leave wills.

import BusBroker
import BusWire

/// Ids that count up, published on a topic by a user.
struct SentIDs {
    let uid: UInt32
    let topic: Topic
    let first: BusUUID
    let count: UInt32
}

extension World {
    func pickSeal(_ session: ModelSession) -> ModelSeal? {
        let usable = session.seals.values.filter { $0.keyCheck != nil && !$0.topic.isReply }
        return chance.pickAny(usable.sorted { $0.number < $1.number })
    }

    func openSeal(_ action: Action, _ session: ModelSession, on name: String? = nil) throws(Violation) {
        nextRequest += 1
        var salt = [UInt8](repeating: 0, count: 32)
        withUnsafeBytes(of: UInt64(nextRequest).littleEndian) { salt.replaceSubrange(0..<8, with: $0) }
        if action == .saltAgain, let old = session.seals.values.min(by: { $0.number < $1.number }) { salt = old.salt }
        let bad = ["", "a..b", "$bus.x", "a.*", "a.", "$reply.\(session.id)", "$reply.1"]
        let topic = name ?? (action == .badTopic ? chance.pick(bad) : chance.pick(knobs.topics))
        // Whether it is the old life of the topic or a new one must be known.
        if let known = try? Topic(topic), model.isOverdue(known) { return }
        try receive(.openSeal(OpenSeal(request: nextRequest, salt: salt, topic: Array(topic.utf8))), session)
    }

    func publish(_ action: Action, _ session: ModelSession) throws(Violation) {
        guard let seal = pickSeal(session) else { return }
        let count = action == .publish ? chance.pick([1, 1, 3, 10]) : 1
        for _ in 0..<count where session.phase == .open {
            try publish(action, seal: seal, session)
        }
    }

    private func publish(_ action: Action, seal: ModelSeal, _ session: ModelSession) throws(Violation) {
        var batch = makeBatch(seal: seal.number, counter: seal.clientCounter)
        switch action {
        case .badSeal: batch.seal = UInt64(chance.below(500))
        case .badCounter: batch.counter += 1
        case .badColumns: batch.hasBadColumns = true
        case .badHeader: batch.hasBadHeader = true
        default: break
        }
        let isAgain = action == .publish && repeatIDs(&batch, on: seal, of: session)
        if knobs.keyPercent > 0, chance.chance(knobs.keyPercent) {
            let keys = (0..<Int(batch.eventCount)).map { _ in UInt64(chance.below(knobs.keyCount)) }
            batch.columns.orderingKey = .shortest(keys, absent: 0)
        }
        var publish = makePublish(batch, session, skipping: action == .badNumber ? 1 : 0)
        publish.isAgain = isAgain
        publish.retains = action == .retain
        publish.isTombstone = chance.chance(action == .retain ? 20 : 5)
        try self.publish(publish, batch, seal, session)
    }

    /// Gives a batch ids of one that was published before, all of them or some and some others; whether it has.
    private func repeatIDs(_ batch: inout SampleBatch, on seal: ModelSeal, of session: ModelSession) -> Bool {
        guard chance.chance(knobs.againPercent) else {
            if knobs.againPercent > 0 {
                sent.append(SentIDs(uid: session.uid, topic: seal.topic, first: batch.firstID, count: batch.eventCount))
            }
            return false
        }
        // Mostly those of its own user on its own topic, which alone are to be known.
        let isAnybodys = chance.chance(10)
        let candidates = sent.filter { isAnybodys || $0.uid == session.uid && $0.topic == seal.topic }
        guard let old = chance.pickAny(candidates) else { return true }
        batch.eventCount = old.count
        batch.firstID = old.first
        if chance.chance(20), let next = old.first.advanced(by: 1) { batch.firstID = next }
        return true
    }

    func publish(seal: UInt64, counter: UInt64, _ session: ModelSession) throws(Violation) {
        let batch = makeBatch(seal: seal, counter: counter)
        try publish(makePublish(batch, session), batch, nil, session)
    }

    func makeBatch(seal: UInt64, counter: UInt64) -> SampleBatch {
        nextBatch += 1
        return SampleBatch(
            seal: seal, counter: counter, eventCount: UInt32(chance.within(1...knobs.eventCountMax)),
            firstID: BusUUID(high: 7, low: nextBatch << 16), payloadLength: chance.within(0...knobs.payloadLengthMax))
    }

    func makePublish(_ batch: SampleBatch, _ session: ModelSession, skipping: UInt64 = 0) -> Publish {
        Publish(
            number: session.nextPublish + skipping, wantsReceipt: chance.chance(knobs.receiptPercent),
            isPatient: chance.chance(knobs.patientPercent), batch: batch.bytes)
    }

    /// Sends a publish if its publisher's window allows; a peer by the protocol sends later what it can't send now.
    func publish(
        _ publish: Publish, _ batch: SampleBatch, _ seal: ModelSeal?, _ session: ModelSession
    ) throws(Violation) {
        guard session.phase == .open, !mayOvertake(session) else { return }
        let under = session.untold.reduce(0) { $0 + $1.length }
        let fits = under == 0 || under + publish.frameLength <= knobs.configuration.publishWindow
        let isNext = publish.number == session.nextPublish
        guard fits || !isNext else { return }
        session.nextPublish += 1
        if let seal, isNext, batch.seal == seal.number, batch.counter == seal.clientCounter, !batch.hasBadHeader {
            seal.clientCounter += 1
        }
        try send(publish, batch, from: session)
        // Whether it waits must be known before anybody else acts.
        if !model.parked.isEmpty, chance.chance(30) { try endRound() }
    }

    /// Whether it couldn't be known whose publishes go on first, its own or those of somebody who waits already: nobody is
    /// promised a place, and on several topics the order shows only later, if ever.
    private func mayOvertake(_ session: ModelSession) -> Bool {
        !knobs.severalWait && model.parked.contains { $0 !== session }
    }

    func floodWindow(_ session: ModelSession) throws(Violation) {
        guard let seal = pickSeal(session), !session.untold.isEmpty else { return }
        var batch = makeBatch(seal: seal.number, counter: seal.clientCounter)
        batch.payloadLength = knobs.configuration.publishWindow
        let publish = Publish(number: session.nextPublish, wantsReceipt: true, batch: batch.bytes)
        try send(publish, batch, from: session)
    }

    func will(_ action: Action, _ session: ModelSession) throws(Violation) {
        nextRequest += 1
        var will = Will(request: UInt64(nextRequest), batch: .empty)
        guard action != .clearWill else { return try leave(will, nil, session) }
        guard let seal = pickSeal(session) else { return }
        var batch = makeBatch(seal: seal.number, counter: seal.clientCounter)
        batch.eventCount = 1
        will.retains = chance.chance(30)
        will.isTombstone = chance.chance(20)
        if action == .badWill {
            switch chance.below(4) {
            case 0: batch.eventCount = 2
            case 1: batch.payloadLength = Limits.willLengthMax
            case 2: batch.counter += 1
            default: batch.seal = 499
            }
        }
        if batch.counter == seal.clientCounter, batch.seal == seal.number { seal.clientCounter += 1 }
        will.batch = batch.bytes
        try leave(will, batch, session)
    }
}
