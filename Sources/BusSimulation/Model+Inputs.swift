// What each input makes the model expect. Called before the broker gets the input.

import BusBroker
import BusWire

extension Model {
    /// Takes note of an input other than a publish's or a will's content, which come by methods of their own.
    func note(_ input: Input) throws(Violation) {
        switch input {
        case .connected(let id, let peer): connect(id, peer)
        case .authenticated(let id, let name):
            let session = try session(id)
            guard session.phase == .greeting else { return }
            session.phase = .open
            session.name = name
            oweAdvisory(.sessionOpened(session.id, session.peer, name: name))
        case .received(let id, let frame): note(frame, from: try session(id))
        case .malformed(let id, let error): try session(id).closeReasons.insert(error.reason)
        case .drained(let id):
            let session = try session(id)
            session.isBlocked = false
            session.isDirty = false
            session.roundLength = 0
            session.roundCount = 0
            for subscription in session.subscriptions.values { subscription.stream.look(at: now.monotonic) }
        case .blocked(let id):
            let session = try session(id)
            session.isBlocked = true
            session.closeReasons.insert(.notReading)
        case .disconnected(let id): vanish(try session(id))
        case .sealDerived(let number, let id, let keyCheck): sessions[id]?.seals[number]?.keyCheck = keyCheck
        case .sealFailed(let number, let id): sessions[id]?.seals[number] = nil
        case .ownSealOpened, .ownSealFailed, .advised: break
        // This world has no store.
        case .stored, .storeRead, .storeReadDue, .storeFound, .retained, .administered, .deadTrimmed, .inspected: break
        case .shutdown:
            guard !isDraining else { return }
            isDraining = true
            drainDeadline = now.monotonic + configuration.drainTimeout
        }
    }

    private func connect(_ id: SessionID, _ peer: PeerIdentity) {
        let deadline = now.monotonic + configuration.helloTimeout
        let session = ModelSession(id: id, peer: peer, helloDeadline: deadline)
        let siblings = sessions.values.count { $0.uid == peer.uid }
        sessions[id] = session
        if isDraining {
            session.closeReasons = [.shuttingDown]
        } else if !configuration.admittedUIDs.contains(peer.uid) {
            session.closeReasons = [.denied]
        } else if siblings >= configuration.quotas.connections {
            session.closeReasons = [.quotaExceeded]
        }
        session.mustClose = !session.closeReasons.isEmpty
    }

    private func vanish(_ session: ModelSession) {
        // Going down or not: whom the daemon has closed itself isn't open any more.
        if let will = session.will, session.phase == .open { wills.append(will) }
        session.will = nil
        let wasKnown = session.phase == .open || session.phase == .leaving
        session.phase = .closed
        forget(session)
        sessions[session.id] = nil
        // With its last connection the daemon forgets how fast it published.
        if !sessions.values.contains(where: { $0.uid == session.uid }) {
            published[session.uid] = nil
            // If it comes again, it may be another to those who read pages of users.
            for reader in sessions.values where reader.pages?.kind == .users {
                reader.pages?.names.remove("\(session.uid)")
            }
        }
        if wasKnown { oweClosed(session, .peerClosed) }
        tally[.vanished] += 1
    }

    private func note(_ frame: Frame, from session: ModelSession) {
        guard session.phase == .open else { return }
        switch frame {
        case .publish, .will: preconditionFailure("noted with what is in them")
        case .openSeal(let open): note(open, session)
        case .closeSeal(let number):
            guard session.seals.removeValue(forKey: number) != nil else {
                return owe(session, .closeSeal, number, [.unknownSeal])
            }
            session.closedSeals.insert(number)
        case .subscribe(let subscribe): note(subscribe, session)
        case .unsubscribe(let number):
            guard session.subscriptions[number] != nil else {
                return owe(session, .unsubscribe, UInt64(number), [.unknownSubscription])
            }
            session.owedAnswers.append(.unsubscribed(number))
        case .credit(let credit): note(credit, session)
        case .acknowledge(let acknowledge): note(acknowledge, session)
        case .cancelRequest(let correlation): cancel(correlation, session)
        case .circuit(let circuit):
            if (try? Topic(bytes: circuit.topic)) == nil { owe(session, .circuit, 0, [.badTopic]) }
        case .inspect(let inspect): note(inspect, session)
        case .sync: if session.patientUntil != nil { session.mustBeTold = true }
        case .goodbye:
            session.will = nil
            session.phase = .leaving
            for subscription in session.subscriptionsInOrder { leave(subscription) }
            session.closeReasons.insert(.goodbye)
        default:
            session.closeReasons.insert(.unexpectedFrame)
            session.mustClose = true
        }
    }

    func owe(_ session: ModelSession, _ type: FrameType, _ request: UInt64, _ reasons: Set<Reason>) {
        session.owedAnswers.append(.refused(type, request, reasons))
    }

    private func note(_ open: OpenSeal, _ session: ModelSession) {
        var faults: Set<Reason> = []
        let topic = try? Topic(bytes: open.topic)
        if let topic, topic.isReply {
            if !hasRight(session, to: topic) { faults.insert(.noReplyRight) }
        } else if topic?.isReserved ?? true {
            faults.insert(.badTopic)
        }
        if session.seals.count >= configuration.sealCountMax { faults.insert(.quotaExceeded) }
        let isNew = topic.map { topics[$0] == nil } ?? false
        let payer = topic.flatMap(requester)?.uid ?? session.uid
        let limit = configuration.quotas.topics
        if isNew, topicCount(of: payer, withOverdue: false) >= limit { faults.insert(.quotaExceeded) }
        if salts.contains(open.salt) { faults.insert(.saltReused) }
        guard faults.isEmpty else { return owe(session, .openSeal, UInt64(open.request), faults) }
        if isNew, topicCount(of: payer, withOverdue: true) >= limit { session.doubtfulSeals.insert(open.request) }
        salts.insert(open.salt)
        session.owedAnswers.append(.seal(open.request))
    }

    private func note(_ acknowledge: Acknowledge, _ session: ModelSession) {
        guard let subscription = session.subscriptions[acknowledge.subscription] else {
            return owe(session, .acknowledge, UInt64(acknowledge.subscription), [.unknownSubscription])
        }
        guard acknowledge.delivery <= subscription.lastDelivery else {
            return owe(session, .acknowledge, UInt64(acknowledge.subscription), [.acknowledgedUnsent])
        }
        self.acknowledge(acknowledge.delivery, subscription)
    }

    private func note(_ credit: Credit, _ session: ModelSession) {
        guard let subscription = session.subscriptions[credit.subscription] else {
            return owe(session, .credit, UInt64(credit.subscription), [.unknownSubscription])
        }
        guard credit.events >= subscription.creditEvents, credit.bytes >= subscription.creditBytes,
            credit.events <= Limits.creditMax, credit.bytes <= Limits.creditMax
        else { return owe(session, .credit, UInt64(credit.subscription), [.invalidCredit]) }
        subscription.creditEvents = credit.events
        subscription.creditBytes = credit.bytes
        subscription.stream.look(at: now.monotonic)
    }

    /// Takes note of a publish.
    func send(_ publish: Publish, _ batch: SampleBatch, from session: ModelSession) {
        guard session.phase == .open, !isDraining else { return }
        let expected = session.progress + UInt64(session.pending.count) + 1
        guard publish.number == expected else {
            session.closeReasons.insert(.unexpectedFrame)
            session.mustClose = true
            return
        }
        let under = session.untold.reduce(0) { $0 + $1.length }
        if under > 0, under + publish.frameLength > configuration.publishWindow {
            session.closeReasons.insert(.windowExceeded)
            session.mustClose = true
            return
        }
        session.untold.append((publish.number, publish.frameLength))
        let seal = batch.hasBadHeader ? nil : session.seals[batch.seal].flatMap { $0.keyCheck == nil ? nil : $0 }
        // Its counter is looked at as it comes, whether it has to wait or not: a will may follow it.
        let isNext = seal.map { takesCounter(batch, of: $0) }
        session.pending.append(ModelPublish(publish: publish, batch: batch, seal: seal, isNext: isNext))
        if !parked.contains(where: { $0 === session }) { parked.append(session) }
    }
}
