// Sessions come and go: admission, the frames each may send, shutting down.

import BusWire
import DequeModule

extension Broker {
    func connect(_ id: SessionID, _ peer: PeerIdentity, at now: Moment) {
        let account = account(of: peer.uid)
        let session = Session(id: id, peer: peer, account: account)
        sessions[id] = session
        account.connectionCount += 1
        guard draining == nil else {
            return close(session, .shuttingDown, "the daemon is going down; connect again in a moment")
        }
        guard configuration.admittedUIDs.contains(peer.uid) else {
            return close(session, .denied, "uid \(peer.uid) may not use this bus: only its own user and root may")
        }
        guard account.connectionCount <= configuration.connectionCountMax else {
            let fault = QuotaFault(
                quota: "connections", used: account.connectionCount - 1, limit: configuration.connectionCountMax,
                uid: peer.uid)
            return close(session, .quotaExceeded, fault.message)
        }
        greetings.append((now.monotonic + configuration.helloTimeout, id))
    }

    func authenticate(_ id: SessionID, name: String) {
        guard let session = sessions[id], session.phase == .greeting else { return }
        session.phase = .open
        session.name = name
        totals.sessionsOpened += 1
        forgetGreetings()
    }

    /// Hellos come quickly and in order: what lies at the front is mostly who just greeted, or left.
    private func forgetGreetings() {
        while let first = greetings.first, sessions[first.session]?.phase != .greeting { greetings.removeFirst() }
    }

    func receive(_ frame: Frame, from id: SessionID, at now: Moment) {
        guard let session = sessions[id], session.phase == .open else { return }
        switch frame {
        case .publish(let publish): receive(publish, from: session, at: now)
        case .credit(let credit): grantCredit(credit, session, at: now)
        case .acknowledge(let acknowledge): self.acknowledge(acknowledge, session)
        case .openSeal(let open): openSeal(open, session)
        case .closeSeal(let seal): closeSeal(seal, session)
        case .subscribe(let subscribe): self.subscribe(subscribe, session)
        case .unsubscribe(let subscription): unsubscribe(subscription, session, at: now)
        case .inspect(let question): inspect(question, session)
        case .sync: sync(session)
        case .goodbye: leave(session)
        default: close(session, .unexpectedFrame, "a \(frame.type.name) frame has no place here", inReplyTo: frame.type)
        }
    }

    /// A peer that says goodbye gets its receipts, then the end of the connection. What it subscribed to ends now.
    private func leave(_ session: Session) {
        guard !session.parked.isEmpty else { return end(session, .peerClosed, "goodbye") }
        session.phase = .leaving
        dropSubscriptions(session)
    }

    func refuse(_ id: SessionID, _ error: WireError) {
        guard let session = sessions[id], session.phase == .greeting || session.phase == .open else { return }
        close(session, error.reason, error.description)
    }

    /// Tells a session why, and closes it.
    func close(_ session: Session, _ reason: Reason, _ message: String, inReplyTo type: FrameType? = nil) {
        tellReceipts(to: session)
        let error = ErrorFrame(reason: reason, inReplyTo: type, isFatal: true, message: message)
        emit(.send(session.id, .error(error)))
        end(session, reason, message)
    }

    /// The last thing said to a session is what it is owed for its publishes. From here on it holds nothing: while
    /// its connection closes, it neither matches, queues nor stalls.
    func end(_ session: Session, _ reason: Reason, _ message: String) {
        tellReceipts(to: session)
        session.phase = .closing
        release(session)
        emit(.close(session.id, reason, message: message))
    }

    private func release(_ session: Session) {
        dropSubscriptions(session)
        session.seals = [:]
        session.recentSeal = nil
        session.announced = []
        session.granted = []
        session.receipts = []
        session.isUnreceipted = false
        guard !session.parked.isEmpty else { return }
        session.account.parkedLength -= session.parkedLength
        session.parked = []
        session.parkedLength = 0
        parked.removeAll { $0 === session }
    }

    private func dropSubscriptions(_ session: Session) {
        for subscription in session.subscriptions.values { discard(subscription) }
        session.subscriptions = [:]
        session.waiting = []
    }

    /// Answers a request. A peer that asks and asks without reading is closed.
    func answer(_ session: Session, _ frame: Frame) {
        guard session.phase == .open || session.phase == .leaving else { return }
        if session.isBlocked {
            session.unreadCount += 1
            guard session.unreadCount <= configuration.unreadCountMax else {
                return end(session, .notReading, "\(session.unreadCount) answers wait and none is read")
            }
        }
        emit(.send(session.id, frame))
    }

    /// Refuses one request; the session goes on.
    func refuse(_ session: Session, _ type: FrameType, request: UInt64, _ reason: Reason, _ message: String) {
        totals.requestsRefused += 1
        answer(session, .error(ErrorFrame(reason: reason, inReplyTo: type, request: request, message: message)))
    }

    /// A session is gone. Whom it held back goes on at the end of the round.
    func disconnect(_ id: SessionID) {
        guard let session = sessions.removeValue(forKey: id) else { return }
        session.phase = .closing
        release(session)
        forgetGreetings()
        session.account.connectionCount -= 1
        if session.account.isIdle, session.account.topicCount == 0 { accounts[session.account.uid] = nil }
    }

    func account(of uid: UInt32) -> Account {
        if let account = accounts[uid] { return account }
        let account = Account(uid: uid)
        accounts[uid] = account
        return account
    }
}

/// A shutdown under way.
struct Drain {
    /// When the rest is given up on.
    let deadline: Moment.Nanoseconds
    /// Whether everyone was told goodbye.
    var isClosing = false
    /// Whether the end was told.
    var isStopped = false
}

extension Broker {
    /// Begins to go down: nothing new is accepted, what is queued is still delivered, for a bounded time.
    func beginDrain(at now: Moment) {
        guard draining == nil else { return }
        draining = Drain(deadline: now.monotonic + configuration.drainTimeout)
    }

    /// Says goodbye to everyone as soon as nothing is queued or the time is over.
    func finishDrain(at now: Moment) {
        guard let drain = draining else { return }
        if !drain.isClosing { closeAll(drain, at: now) }
        guard draining?.isClosing == true, !drain.isStopped, sessions.isEmpty else { return }
        draining?.isStopped = true
        emit(.stopped)
    }

    private func closeAll(_ drain: Drain, at now: Moment) {
        let isDelivered = sessions.values.allSatisfy { session in
            session.subscriptions.values.allSatisfy { $0.queue.isEmpty || !$0.hasCredit }
        }
        guard isDelivered || drain.deadline <= now.monotonic else { return }
        draining?.isClosing = true
        for session in sessions.values.sorted(by: { $0.id.rawValue < $1.id.rawValue }) where session.phase != .closing {
            tellReceipts(to: session)
            if session.phase == .open {
                let message = "the daemon is going down"
                emit(.send(session.id, .closing(reason: .shuttingDown, message: message)))
            }
            end(session, .shuttingDown, "shutdown")
        }
    }
}
