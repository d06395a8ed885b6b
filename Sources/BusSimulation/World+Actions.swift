// What peers do: by the protocol, or against it.

import BusBroker
import BusWire

extension World {
    func act(_ action: Action) throws(Violation) {
        switch action {
        case .connect: try connect()
        case .hello:
            guard let session = pickSession(.greeting) else { return }
            try handle(.authenticated(session.id, name: "peer \(session.id)"))
        case .vanish:
            try endRound()
            guard let session = chance.pickAny(model.sessionsInOrder) else { return }
            try handleAfterRound(.disconnected(session.id))
            try endRound()
        case .unblock:
            try endRound()
            let blocked = model.sessionsInOrder.filter { $0.isBlocked || $0.isDirty }
            guard let session = chance.pickAny(blocked) else { return }
            try handleAfterRound(.drained(session.id))
        case .tick: try advance(UInt64(chance.within(0...5_000_000)))
        case .longTick: try advance(UInt64(chance.within(0...60_000_000)))
        default:
            guard let session = pickSession(.open) else { return }
            try act(action, by: session)
        }
    }

    private func act(_ action: Action, by session: ModelSession) throws(Violation) {
        switch action {
        case .openSeal, .badTopic, .saltAgain: try openSeal(action, session)
        case .closeSeal:
            let number = pickSeal(session)?.number ?? 77
            try receive(.closeSeal(seal: number), session)
        case .publish, .badSeal, .badCounter, .badColumns, .badHeader, .badNumber: try publish(action, session)
        case .floodWindow: try floodWindow(session)
        case .guessSeal:
            try openSeal(.openSeal, session)
            try publish(seal: model.lastSeal, counter: 0, session)
        case .subscribe, .badFilter: try subscribe(action, session)
        case .unsubscribe: try receive(.unsubscribe(subscription: pickSubscription(session)), session)
        case .credit, .creditBack: try credit(action, session)
        case .acknowledge, .acknowledgeUnsent: try acknowledge(action, session)
        case .inspect:
            nextRequest += 1
            try receive(.inspect(Inspect(request: nextRequest, kind: .status)), session)
        case .goodbye:
            try receive(.goodbye, session)
            try endRound()
        case .sync: try receive(.sync, session)
        case .badFrame: try receive(.subscribed(subscription: 1), session)
        case .malformed: try malformed(session)
        default: preconditionFailure("handled by act(_:)")
        }
    }

    private func receive(_ frame: Frame, _ session: ModelSession) throws(Violation) {
        try handle(.received(session.id, frame))
    }

    private func malformed(_ session: ModelSession) throws(Violation) {
        session.mustClose = true
        try handle(.malformed(session.id, .unknownFrame(type: 0xee)))
    }

    private func pickSession(_ phase: ModelSession.Phase) -> ModelSession? {
        chance.pickAny(model.sessionsInOrder.filter { $0.phase == phase })
    }

    private func pickSeal(_ session: ModelSession) -> ModelSeal? {
        chance.pickAny(session.seals.values.filter { $0.keyCheck != nil }.sorted { $0.number < $1.number })
    }

    /// Mostly a number that exists.
    private func pickSubscription(_ session: ModelSession) -> UInt32 {
        chance.chance(5) ? 99 : chance.pickAny(session.subscriptions.keys.sorted()) ?? 1
    }

    private func connect() throws(Violation) {
        guard model.sessions.count < knobs.sessionCountMax else { return }
        let id = SessionID(nextSession)
        nextSession += 1
        let uid = chance.chance(3) ? 666 : chance.pick(knobs.users)
        try handle(.connected(id, PeerIdentity(uid: uid, gid: uid)))
    }

    private func openSeal(_ action: Action, _ session: ModelSession) throws(Violation) {
        nextRequest += 1
        var salt = [UInt8](repeating: 0, count: 32)
        withUnsafeBytes(of: UInt64(nextRequest).littleEndian) { salt.replaceSubrange(0..<8, with: $0) }
        if action == .saltAgain, let old = session.seals.values.min(by: { $0.number < $1.number }) { salt = old.salt }
        let topic = action == .badTopic ? chance.pick(["", "a..b", "$bus.x", "a.*", "a."]) : chance.pick(knobs.topics)
        try receive(.openSeal(OpenSeal(request: nextRequest, salt: salt, topic: Array(topic.utf8))), session)
    }

    private func publish(_ action: Action, _ session: ModelSession) throws(Violation) {
        guard let seal = pickSeal(session) else { return }
        let count = action == .publish ? chance.pick([1, 1, 3, 10]) : 1
        for _ in 0..<count where session.phase == .open {
            try publish(action, seal: seal, session)
        }
    }

    private func publish(
        _ action: Action = .publish, seal: ModelSeal, _ session: ModelSession
    ) throws(Violation) {
        var batch = makeBatch(seal: seal.number, counter: seal.clientCounter)
        switch action {
        case .badSeal: batch.seal = UInt64(chance.below(500))
        case .badCounter: batch.counter += 1
        case .badColumns: batch.hasBadColumns = true
        case .badHeader: batch.hasBadHeader = true
        default: break
        }
        let sentBefore = session.nextPublish
        try publish(batch, skipping: action == .badNumber ? 1 : 0, session)
        let isCounted = batch.seal == seal.number && action != .badCounter && action != .badHeader
        if isCounted, session.nextPublish > sentBefore, action != .badNumber { seal.clientCounter += 1 }
    }

    private func publish(seal: UInt64, counter: UInt64, _ session: ModelSession) throws(Violation) {
        guard session.phase == .open else { return }
        try publish(makeBatch(seal: seal, counter: counter), skipping: 0, session)
    }

    private func makeBatch(seal: UInt64, counter: UInt64) -> SampleBatch {
        nextBatch += 1
        return SampleBatch(
            seal: seal, counter: counter, eventCount: UInt32(chance.within(1...knobs.eventCountMax)),
            firstID: BusUUID(high: 7, low: nextBatch << 16), payloadLength: chance.within(0...knobs.payloadLengthMax))
    }

    private func publish(
        _ batch: SampleBatch, skipping: UInt64, _ session: ModelSession
    ) throws(Violation) {
        let bytes = batch.bytes
        // A peer by the protocol keeps its window; what it can't send now it sends later.
        let under = session.untold.reduce(0) { $0 + $1.length }
        let publish = Publish(
            number: session.nextPublish + skipping, wantsReceipt: chance.chance(knobs.receiptPercent),
            isPatient: chance.chance(knobs.patientPercent), batch: bytes)
        let fits = under == 0 || under + publish.frameLength <= knobs.configuration.publishWindow
        guard fits || skipping > 0 else { return }
        session.nextPublish += 1
        try send(publish, batch, from: session)
        // Whether it waits must be known before anybody else acts.
        if !model.parked.isEmpty, chance.chance(30) { try endRound() }
    }

    private func floodWindow(_ session: ModelSession) throws(Violation) {
        guard let seal = pickSeal(session), !session.untold.isEmpty else { return }
        var batch = makeBatch(seal: seal.number, counter: seal.clientCounter)
        batch.payloadLength = knobs.configuration.publishWindow
        let publish = Publish(number: session.nextPublish, wantsReceipt: true, batch: batch.bytes)
        try send(publish, batch, from: session)
    }

    private func subscribe(_ action: Action, _ session: ModelSession) throws(Violation) {
        let number = UInt32(chance.within(1...4))
        let filter = action == .badFilter ? chance.pick(["", "a.>.b", "a..b", "a*"]) : chance.pick(knobs.filters)
        let isStalling = chance.chance(knobs.stallPercent)
        var request = Subscribe(
            subscription: number, filter: Array(filter.utf8), overflow: isStalling ? .stall : .dropOldest,
            stallMilliseconds: UInt32(chance.within(0...30)),
            queueEventCount: UInt32(chance.within(1...knobs.queueEventCountMax)),
            queueLength: chance.chance(70) ? 1 << 20 : UInt64(chance.within(1...5000)),
            creditEvents: UInt64(chance.within(0...knobs.creditMax)),
            creditBytes: chance.chance(80) ? 1 << 40 : UInt64(chance.within(0...3000)))
        if chance.chance(2) { request.overflow = 9 }
        try receive(.subscribe(request), session)
    }

    private func credit(_ action: Action, _ session: ModelSession) throws(Violation) {
        let number = pickSubscription(session)
        guard let subscription = session.subscriptions[number] else {
            return try receive(.credit(Credit(subscription: number, events: 1, bytes: 1)), session)
        }
        var credit = Credit(
            subscription: number, events: subscription.creditEvents, bytes: subscription.creditBytes)
        if action == .creditBack {
            if chance.chance(50) {
                credit.events = .max
            } else {
                credit.bytes = credit.bytes > 0 ? credit.bytes - 1 : .max
            }
        } else {
            credit.events = max(credit.events, subscription.sentEvents + UInt64(chance.within(0...knobs.creditMax)))
            credit.bytes = max(credit.bytes, subscription.sentBytes + UInt64(chance.within(0...5000)))
        }
        try receive(.credit(credit), session)
    }

    private func acknowledge(_ action: Action, _ session: ModelSession) throws(Violation) {
        let number = pickSubscription(session)
        let last = session.subscriptions[number]?.lastDelivery ?? 0
        let delivery = action == .acknowledgeUnsent ? last + 1 : UInt64(chance.within(0...Int(last)))
        try receive(.acknowledge(Acknowledge(subscription: number, delivery: delivery)), session)
    }
}
