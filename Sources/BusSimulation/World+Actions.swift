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
            // At any moment: behind a round, or in the middle of one.
            let isBetween = chance.chance(50)
            if isBetween { try endRound() }
            guard let session = chance.pickAny(model.sessionsInOrder) else { return }
            let gone = Input.disconnected(session.id)
            if isBetween { try handleAfterRound(gone) } else { try handle(gone) }
            try endRound()
        case .unblock:
            try endRound()
            let blocked = model.sessionsInOrder.filter { $0.isBlocked || $0.isDirty }
            guard let session = chance.pickAny(blocked), !isDeaf(session) else { return }
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
            // A topic's life isn't known where only a publish that waits still belongs to it.
            let seal = pickSeal(session)
            if let seal, session.pending.contains(where: { $0.seal === seal }) { return }
            let number = seal?.number ?? 77
            try receive(.closeSeal(seal: number), session)
        case .publish, .retain, .badSeal, .badCounter, .badColumns, .badHeader, .badNumber:
            try publish(action, session)
        case .floodWindow: try floodWindow(session)
        case .guessSeal:
            try openSeal(.openSeal, session)
            try publish(seal: model.lastSeal, counter: 0, session)
        case .subscribe, .subscribeOddly, .badFilter: try subscribe(action, session)
        case .unsubscribe: try receive(.unsubscribe(subscription: pickSubscription(session)), session)
        case .credit, .creditBack: try credit(action, session)
        case .acknowledge, .acknowledgeUnsent: try acknowledge(action, session)
        case .inspect: try inspect(session)
        case .request, .badRequest: try request(action, session)
        case .answer, .badAnswer: try answer(action, session)
        case .cancelRequest: try cancelRequest(session)
        case .will, .badWill, .clearWill: try will(action, session)
        case .circuit:
            let state: Circuit.State = chance.chance(50) ? .open : .closed
            try receive(.circuit(Circuit(state, topic: Array(chance.pick(knobs.topics + ["a..b"]).utf8))), session)
        case .goodbye:
            try receive(.goodbye, session)
            try endRound()
        case .sync: try receive(.sync, session)
        case .badFrame: try receive(.subscribed(subscription: 1), session)
        case .malformed: try malformed(session)
        default: preconditionFailure("handled by act(_:)")
        }
    }

    func receive(_ frame: Frame, _ session: ModelSession) throws(Violation) {
        try handle(.received(session.id, frame))
    }

    private func malformed(_ session: ModelSession) throws(Violation) {
        session.mustClose = true
        try handle(.malformed(session.id, .unknownFrame(type: 0xee)))
    }

    private func pickSession(_ phase: ModelSession.Phase) -> ModelSession? {
        chance.pickAny(model.sessionsInOrder.filter { $0.phase == phase })
    }

    /// Whether a session never reads again once its connection is full.
    func isDeaf(_ session: ModelSession) -> Bool { session.id.rawValue % 100 < UInt64(knobs.deafPercent) }

    private func connect() throws(Violation) {
        guard model.sessions.count < knobs.sessionCountMax else { return }
        let id = SessionID(nextSession)
        nextSession += 1
        let uid = chance.chance(3) ? 666 : chance.pick(knobs.users)
        try handle(.connected(id, PeerIdentity(uid: uid, gid: uid)))
    }

    private func inspect(_ session: ModelSession) throws(Violation) {
        nextRequest += 1
        var inspect = Inspect(request: nextRequest, kind: InspectionKind(rawValue: UInt16(chance.within(0...6))))
        if let pages = session.pages, chance.chance(80) {
            inspect = Inspect(request: nextRequest, kind: pages.kind, after: pages.after)
        } else if chance.chance(20) {
            // Users without a session may be remembered for what they left.
            let isUser = inspect.kind == .users
            inspect.key = isUser ? "\(session.uid)" : chance.pick(["1", "a", "2/1", "x", "\(session.id)"])
        } else if chance.chance(5) {
            inspect.after = 77
        }
        try receive(.inspect(inspect), session)
    }
}
