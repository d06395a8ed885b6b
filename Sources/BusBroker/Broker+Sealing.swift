// Seals: a publisher's right to a topic. Opened on request, closed by their publisher or with its session.

import BusWire

extension Broker {
    func openSeal(_ request: OpenSeal, _ session: Session) {
        func refuse(_ reason: Reason, _ message: String) {
            self.refuse(session, .openSeal, request: UInt64(request.request), reason, message)
        }
        let name: Topic
        do throws(NameFault) {
            name = try Topic(bytes: request.topic)
            guard !name.isReserved || name.isReply else { throw .reserved }
        } catch {
            return refuse(.badTopic, "topic \(error)")
        }
        guard !name.isReply || mayAnswer(on: name, session) else {
            return refuse(.noReplyRight, "nobody has asked for an answer on \(name), or no longer waits for it")
        }
        guard session.seals.count < configuration.sealCountMax else {
            let fault = QuotaFault(
                quota: "seals per session", used: session.seals.count, limit: configuration.sealCountMax,
                uid: session.peer.uid)
            return refuse(.quotaExceeded, fault.message)
        }
        guard session.account.sealCount < configuration.quotas.seals else {
            let fault = QuotaFault(
                quota: "seals", used: session.account.sealCount, limit: configuration.quotas.seals,
                uid: session.peer.uid)
            return refuse(.quotaExceeded, fault.message)
        }
        guard session.account.rates.sealing.take(1, at: now.monotonic) else {
            let limit = configuration.quotas.sealRate
            let fault = QuotaFault(quota: "seal_rate", used: limit, limit: limit, uid: session.peer.uid)
            return refuse(.quotaExceeded, fault.message)
        }
        guard salts.insert(request.salt) else {
            return refuse(.saltReused, "this salt was used before; a seal needs 32 fresh random bytes")
        }
        guard let topic = topic(name, for: session.account) else {
            let payer = payer(of: name, session.account)
            let fault = QuotaFault(
                quota: "topics", used: payer.topicCount, limit: configuration.quotas.topics, uid: payer.uid)
            return refuse(.quotaExceeded, fault.message)
        }
        open(request, topic, session)
    }

    private func open(_ request: OpenSeal, _ topic: TopicState, _ session: Session) {
        let limits = topic.route(through: filters).limits
        let seal = Seal(
            number: nextSeal, topic: topic, salt: request.salt, publisher: session.peer, name: session.name,
            account: session.account, limits: limits)
        nextSeal += 1
        session.seals[seal.number] = seal
        session.account.sealCount += 1
        topic.sealCount += 1
        if topic.name.isReply { topic.answering[seal.number] = session.id }
        emit(
            .openSeal(
                SealOrder(
                    session: session.id, request: request.request, seal: seal.number, topic: topic.name,
                    epoch: seal.epoch, salt: request.salt, batchLengthMax: UInt32(limits.length),
                    batchEventCountMax: UInt32(limits.eventCount), payloadLengthMax: UInt32(limits.payloadLength))))
    }

    /// The topic's state, made if there is none; nil when its maker may make no more.
    func topic(_ name: Topic, for account: Account) -> TopicState? {
        if let known = topics[name] { return known }
        let payer = payer(of: name, account)
        guard payer.topicCount < configuration.quotas.topics else { return nil }
        return makeTopic(name, payer)
    }

    /// Where answers go belongs to who asked, whoever answers first.
    private func payer(of name: Topic, _ account: Account) -> Account {
        name.isReply ? requester(of: name)?.account ?? account : account
    }

    /// - Parameter stored: what the store has of it already.
    func makeTopic(_ name: Topic, _ payer: Account, _ stored: StoredTopic? = nil) -> TopicState {
        let declaration = name.isReserved ? nil : TopicDeclaration.of(name, in: declarations)
        let topic = TopicState(
            name: name, number: nextTopicNumber, account: payer, settings: declaration?.settings ?? .live)
        nextTopicNumber += 1
        payer.topicCount += 1
        topics[name] = topic
        if let stored, let storage {
            topic.beginStoring(as: stored.number, of: storage.incarnation)
            (topic.lastSequence, topic.lastTime) = (stored.lastSequence, stored.lastTime)
            topic.stored.update(stored)
        } else if topic.settings.isDurable {
            makeDurable(topic)
        }
        return topic
    }

    /// A seal's key is known: its first subscribers hear of it now rather than with the first batch, while the publisher
    /// still waits for its key. So the first event of a topic finds them ready.
    func sealDerived(_ number: UInt64, _ id: SessionID, _ keyCheck: [UInt8]) {
        guard let seal = sessions[id]?.seals[number] else { return }
        seal.derived(keyCheck: keyCheck)
        for subscription in seal.topic.route(through: filters).subscriptions.prefix(Broker.earlySubscriberCountMax) {
            guard let session = subscription.consumers.first?.session, canWrite(session) else { continue }
            introduce(seal, to: session)
        }
    }

    /// So many subscribers hear of a seal before its first batch: more would let a publisher that opens seals and never
    /// publishes cost others much. Not tuned.
    private static let earlySubscriberCountMax = 8

    func sealFailed(_ number: UInt64, _ id: SessionID) {
        guard let session = sessions[id], let seal = removeSeal(number, of: session) else { return }
        release(seal, session)
    }

    func closeSeal(_ number: UInt64, _ session: Session) {
        guard let seal = removeSeal(number, of: session) else {
            return refuse(session, .closeSeal, request: number, .unknownSeal, "seal \(number) isn't open here")
        }
        if session.recentSeal === seal { session.recentSeal = nil }
        release(seal, session)
    }

    /// Takes a seal from its session.
    func removeSeal(_ number: UInt64, of session: Session) -> Seal? {
        guard let seal = session.seals.removeValue(forKey: number) else { return nil }
        session.account.sealCount -= 1
        return seal
    }

    /// A seal isn't open any more. Batches under it may still wait.
    func release(_ seal: Seal, _ session: Session) {
        seal.topic.sealCount -= 1
        closeStored(seal)
        if !seal.topic.answering.isEmpty { seal.topic.answering[seal.number] = nil }
        noteIdle(seal.topic)
    }

    /// A session's seal, once its key is derived: a number that was guessed before it was told is unknown, or its
    /// batches would be announced without a key check.
    func seal(_ number: UInt64, of session: Session) -> Seal? {
        if let recent = session.recentSeal, recent.number == number { return recent }
        guard let seal = session.seals[number], seal.isDerived else { return nil }
        session.recentSeal = seal
        return seal
    }

    /// What an administrator says of payloads is told at once: a publisher that refuses all it is given by an old limit
    /// publishes nothing with which it would be told. One that doesn't read hears of it with its next publish.
    func tellPayloadLimits(of filter: TopicFilter) {
        for session in sessions.values.sorted(by: { $0.id.rawValue < $1.id.rawValue }) where canWrite(session) {
            for seal in session.seals.values.sorted(by: { $0.number < $1.number })
            where seal.isDerived && filter.matches(seal.topic.name) {
                let limits = seal.topic.route(through: filters).limits
                if limits.payloadLength != seal.toldLimits.payloadLength { tellLimits(seal, limits, session) }
            }
        }
    }

    /// Tells a publisher how long its batches may be, where that has changed since it was told.
    func tellLimits(_ seal: Seal, _ limits: BatchLimits, _ session: Session) {
        guard seal.toldLimits != limits else { return }
        seal.toldLimits = limits
        let changed = SealLimitsChanged(
            seal: seal.number, batchLengthMax: UInt32(limits.length), batchEventCountMax: UInt32(limits.eventCount),
            payloadLengthMax: UInt32(limits.payloadLength))
        emit(.send(session.id, .sealLimits(changed)))
    }
}
