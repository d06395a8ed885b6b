// What each input makes the model expect. Called before the broker gets the input.

import BusBroker
import BusWire

extension Model {
    /// Takes note of an input other than a publish's content, which comes by `send(_:from:)`.
    func note(_ input: Input) throws(Violation) {
        switch input {
        case .connected(let id, let peer): connect(id, peer)
        case .authenticated(let id, _):
            let session = try session(id)
            if session.phase == .greeting { session.phase = .open }
        case .received(let id, let frame): note(frame, from: try session(id))
        case .malformed(let id, let error): try session(id).closeReasons.insert(error.reason)
        case .drained(let id):
            let session = try session(id)
            session.isBlocked = false
            session.isDirty = false
            session.roundLength = 0
            session.roundCount = 0
            for subscription in session.subscriptions.values { subscription.look(at: now.monotonic) }
        case .blocked(let id):
            let session = try session(id)
            session.isBlocked = true
            session.closeReasons.insert(.notReading)
        case .disconnected(let id):
            forget(try session(id))
            sessions[id] = nil
        case .sealDerived(let number, let id, let keyCheck): sessions[id]?.seals[number]?.keyCheck = keyCheck
        case .sealFailed(let number, let id): sessions[id]?.seals[number] = nil
        case .ownSealOpened, .ownSealFailed, .advised: break
        case .shutdown:
            guard !isDraining else { return }
            isDraining = true
            drainDeadline = now.monotonic + configuration.drainTimeout
        }
    }

    private func connect(_ id: SessionID, _ peer: PeerIdentity) {
        let deadline = now.monotonic + configuration.helloTimeout
        let session = ModelSession(id: id, uid: peer.uid, helloDeadline: deadline)
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

    private func note(_ frame: Frame, from session: ModelSession) {
        guard session.phase == .open else { return }
        switch frame {
        case .publish: preconditionFailure("publishes are noted by send(_:from:)")
        case .openSeal(let open): note(open, session)
        case .closeSeal(let number):
            if session.seals.removeValue(forKey: number) == nil { owe(session, .closeSeal, number, .unknownSeal) }
        case .subscribe(let subscribe): note(subscribe, session)
        case .unsubscribe(let number):
            guard session.subscriptions[number] != nil else {
                return owe(session, .unsubscribe, UInt64(number), .unknownSubscription)
            }
            session.owedAnswers.append(.unsubscribed(number))
        case .credit(let credit): note(credit, session)
        case .acknowledge(let acknowledge):
            guard let subscription = session.subscriptions[acknowledge.subscription] else {
                return owe(session, .acknowledge, UInt64(acknowledge.subscription), .unknownSubscription)
            }
            if acknowledge.delivery > subscription.lastDelivery {
                owe(session, .acknowledge, UInt64(acknowledge.subscription), .acknowledgedUnsent)
            }
        case .inspect(let inspect): session.owedAnswers.append(.inspected(inspect.request))
        case .sync: if session.patientUntil != nil { session.mustBeTold = true }
        case .goodbye:
            session.subscriptions = [:]
            session.phase = .leaving
            session.closeReasons.insert(.goodbye)
        default:
            session.closeReasons.insert(.unexpectedFrame)
            session.mustClose = true
        }
    }

    private func owe(_ session: ModelSession, _ type: FrameType, _ request: UInt64, _ reason: Reason) {
        session.owedAnswers.append(.refused(type, request, reason))
    }

    private func note(_ open: OpenSeal, _ session: ModelSession) {
        guard let topic = try? Topic(bytes: open.topic), !topic.isReserved else {
            return owe(session, .openSeal, UInt64(open.request), .badTopic)
        }
        if session.seals.count >= configuration.sealCountMax {
            return owe(session, .openSeal, UInt64(open.request), .quotaExceeded)
        }
        guard salts.insert(open.salt).inserted else {
            return owe(session, .openSeal, UInt64(open.request), .saltReused)
        }
        session.owedAnswers.append(.seal(open.request))
    }

    private func note(_ request: Subscribe, _ session: ModelSession) {
        let number = UInt64(request.subscription)
        guard let filter = try? TopicFilter(bytes: request.filter) else {
            return owe(session, .subscribe, number, .badFilter)
        }
        guard request.overflow <= OverflowPolicy.stall.rawValue else {
            return owe(session, .subscribe, number, .notSupported)
        }
        guard session.subscriptions[request.subscription] == nil else {
            return owe(session, .subscribe, number, .subscriptionExists)
        }
        guard session.subscriptions.count < configuration.subscriptionCountMax else {
            return owe(session, .subscribe, number, .quotaExceeded)
        }
        session.subscriptions[request.subscription] = ModelSubscription(request, filter: filter)
        session.owedAnswers.append(.subscribed(request.subscription))
    }

    private func note(_ credit: Credit, _ session: ModelSession) {
        guard let subscription = session.subscriptions[credit.subscription] else {
            return owe(session, .credit, UInt64(credit.subscription), .unknownSubscription)
        }
        guard credit.events >= subscription.creditEvents, credit.bytes >= subscription.creditBytes,
            credit.events <= Limits.creditMax, credit.bytes <= Limits.creditMax
        else { return owe(session, .credit, UInt64(credit.subscription), .invalidCredit) }
        subscription.creditEvents = credit.events
        subscription.creditBytes = credit.bytes
        subscription.look(at: now.monotonic)
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
        session.pending.append(
            ModelPublish(
                number: publish.number, wantsReceipt: publish.wantsReceipt, isPatient: publish.isPatient, batch: batch,
                bytes: publish.batch, seal: seal))
        if !parked.contains(where: { $0 === session }) { parked.append(session) }
    }
}
