// Sessions come and go: admission, the frames each may send, what is given back at the end.

public import BusWire
import DequeModule

extension Broker {
    /// Why a user may make no further connection now, if so; asked before anything is made for it, since who is refused
    /// may come again and again. Counts as one made.
    public func refusal(ofConnectionFrom uid: UInt32, at now: Moment) -> ErrorFrame? {
        let rates = rates.rates(of: uid, configuration.quotas, at: now.monotonic)
        guard !rates.connecting.take(1, at: now.monotonic) else { return nil }
        totals.requestsRefused += 1
        let limit = configuration.quotas.connectRate
        let fault = QuotaFault(quota: "connect_rate", used: limit, limit: limit, uid: uid)
        return ErrorFrame(reason: .quotaExceeded, inReplyTo: nil, isFatal: true, message: fault.message)
    }

    func connect(_ id: SessionID, _ peer: PeerIdentity) {
        let account = account(of: peer.uid)
        let session = Session(id: id, peer: peer, account: account, connectedAt: now.wall)
        sessions[id] = session
        account.connectionCount += 1
        guard draining == nil else {
            return close(session, .shuttingDown, "the daemon is going down; connect again in a moment")
        }
        guard configuration.admittedUIDs.contains(peer.uid) else {
            return close(session, .denied, "uid \(peer.uid) may not use this bus: only its own user and root may")
        }
        guard account.connectionCount <= configuration.quotas.connections else {
            let fault = QuotaFault(
                quota: "connections", used: account.connectionCount - 1, limit: configuration.quotas.connections,
                uid: peer.uid)
            return close(session, .quotaExceeded, fault.message)
        }
        guard growSendBuffer(of: id, by: configuration.kernelLengthAtStart) else {
            let fault = QuotaFault(
                quota: "kernel_bytes", used: account.kernelLength, limit: configuration.quotas.kernelLength,
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
        if configuration.announcesSessions { arrivals.append(.sessionOpened(id, session.peer, name: name)) }
        forgetGreetings()
    }

    /// Hellos come quickly and in order: what lies at the front is mostly who just greeted, or left.
    private func forgetGreetings() {
        while let first = greetings.first, sessions[first.session]?.phase != .greeting { greetings.removeFirst() }
    }

    func receive(_ frame: Frame, from id: SessionID) {
        guard let session = sessions[id], session.phase == .open else { return }
        switch frame {
        case .publish(let publish): receive(publish, from: session)
        case .credit(let credit): grantCredit(credit, session)
        case .acknowledge(let acknowledge): self.acknowledge(acknowledge, session)
        case .openSeal(let open): openSeal(open, session)
        case .closeSeal(let seal): closeSeal(seal, session)
        case .subscribe(let subscribe): self.subscribe(subscribe, session)
        case .unsubscribe(let subscription): unsubscribe(subscription, session)
        case .cancelRequest(let correlation): cancelRequest(correlation, of: session)
        case .will(let will): setWill(will, session)
        case .circuit(let circuit): noteCircuit(circuit, session)
        case .settle(let word): settle(word, session)
        case .inspect(let question): inspect(question, session)
        case .administer(let wish): administer(wish, session)
        case .sync: sync(session)
        case .goodbye: leave(session)
        default: close(session, .unexpectedFrame, "a \(frame.type.name) frame has no place here", inReplyTo: frame.type)
        }
    }

    /// A peer that says goodbye gets its receipts, then the end of the connection. What it subscribed to ends now.
    private func leave(_ session: Session) {
        dropWill(session)
        guard !session.parked.isEmpty || session.uncommittedCount > 0 else { return end(session, .goodbye, "goodbye") }
        session.phase = .leaving
        dropConsumers(session)
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
        release(session, reason)
        emit(.close(session.id, reason, message: message))
    }

    /// Gives back everything a session holds and notes what is to be said of its going.
    private func release(_ session: Session, _ reason: Reason) {
        guard session.phase != .closing else { return }
        let wasOpen = session.phase != .greeting
        session.phase = .closing
        if wasOpen { depart(session, reason) }
        dropConsumers(session)
        dropRights(of: session)
        dropRequests(of: session)
        // What the store hears of has an order of its own, and not a table's.
        let stored = session.seals.values.filter { $0.storedAs != 0 }
        for seal in stored.sorted(by: { $0.number < $1.number }) { closeStored(seal) }
        for seal in session.seals.values { release(seal, session) }
        session.account.sealCount -= session.seals.count
        session.seals = [:]
        session.recentSeal = nil
        session.announced = []
        session.granted = []
        session.receipts = []
        session.isUnreceipted = false
        session.isPatient = false
        session.snapshot = nil
        session.openCircuits = []
        if !session.lookUps.isEmpty {
            session.lookUps = [:]
            session.account.isLookingUp = false
            mayResume = true
        }
        forgetReplyTopic(of: session)
        guard !session.parked.isEmpty else { return }
        for publish in session.parked { unpark(publish) }
        session.account.parkedLength -= session.parkedLength
        session.parked = []
        session.parkedLength = 0
        parked.removeAll { $0 === session }
    }

    private func dropConsumers(_ session: Session) {
        let consumers = session.consumers.values.sorted { $0.number < $1.number }
        session.consumers = [:]
        session.waiting = []
        // What one leaves to a group may cost another its queue, and end it.
        for consumer in consumers where !consumer.subscription.isEnded { detach(consumer) }
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
        release(session, .peerClosed)
        forgetGreetings()
        session.account.connectionCount -= 1
        session.account.kernelLength -= session.kernelLength
        forget(session.account)
    }

    func account(of uid: UInt32) -> Account {
        if let account = accounts[uid] { return account }
        let rates = rates.rates(of: uid, configuration.quotas, at: now.monotonic)
        recentIDs.forget(at: ageTime) { accounts[$0] != nil }
        let account = Account(uid: uid, configuration.quotas, rates: rates, recentIDs: recentIDs.of(uid))
        accounts[uid] = account
        return account
    }

    /// Forgets an account that holds nothing any more.
    func forget(_ account: Account) {
        guard account.isForgettable, accounts[account.uid] === account else { return }
        accounts[account.uid] = nil
    }
}
