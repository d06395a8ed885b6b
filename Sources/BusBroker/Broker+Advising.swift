// What the daemon tells about the bus, as events on topics of its own: who comes and goes, dead letters. It seals them
// like everybody else; since keys are its runner's affair, that takes two effects: one that opens a seal, and one for each
// batch.

import BusWire

/// A topic of the daemon's own.
struct OwnTopic {
    /// Nil while none could be had.
    var seal: Seal?
    /// What is to be said once the seal is there.
    var waiting: [Advisory] = []
}

extension Topic {
    /// Sessions that were opened.
    static let sessionOpened = own("$bus.session.opened")
    /// Sessions that are gone.
    static let sessionClosed = own("$bus.session.closed")

    private static func own(_ name: String) -> Topic {
        guard let topic = try? Topic(name) else { preconditionFailure("a name written here, by the rules") }
        return topic
    }
}

extension Broker {
    /// Advisories that may wait for a seal that can't be had, on a full disk say; older ones are given up on.
    private static let waitingCountMax = 16_384

    func say(_ advisories: [Advisory], on name: Topic) {
        guard !advisories.isEmpty else { return }
        var own = ownTopics[name] ?? OwnTopic()
        if own.seal == nil { own.seal = openOwn(name) }
        own.waiting += advisories
        if own.waiting.count > Broker.waitingCountMax {
            own.waiting.removeFirst(own.waiting.count - Broker.waitingCountMax)
        }
        ownTopics[name] = own
        flush(name)
    }

    private func openOwn(_ name: Topic) -> Seal {
        let account = account(of: configuration.ownIdentity.uid)
        let topic = topics[name] ?? makeTopic(name, account)
        topic.sealCount += 1
        let seal = Seal(
            number: nextSeal, topic: topic, salt: [], publisher: configuration.ownIdentity, name: "busd",
            account: account, limits: .normal)
        nextSeal += 1
        ownSeals[seal.number] = name
        emit(.openOwnSeal(seal: seal.number, topic: name, epoch: seal.epoch))
        return seal
    }

    /// Has what waits sealed, if it can be.
    private func flush(_ name: Topic) {
        guard let own = ownTopics[name], let seal = own.seal, seal.isDerived, !own.waiting.isEmpty else { return }
        ownTopics[name]?.waiting = []
        var rest = own.waiting[...]
        while !rest.isEmpty {
            let count = rest.first?.batchCountMax ?? rest.count
            emit(.advise(seal: seal.number, Array(rest.prefix(count))))
            rest = rest.dropFirst(count)
        }
    }

    func ownSealOpened(_ number: UInt64, salt: [UInt8], keyCheck: [UInt8]) {
        guard let (name, seal) = own(number) else { return }
        seal.derived(keyCheck: keyCheck, salt: salt)
        flush(name)
    }

    /// It is asked for again when there is more to say.
    func ownSealFailed(_ number: UInt64) {
        guard let (name, seal) = own(number) else { return }
        ownTopics[name]?.seal = nil
        release(seal)
    }

    /// Nothing more is said on a topic of the daemon's own.
    func closeOwn(_ name: Topic) {
        guard let seal = ownTopics.removeValue(forKey: name)?.seal else { return }
        release(seal)
        emit(.closeOwnSeal(seal.number))
    }

    private func release(_ seal: Seal) {
        ownSeals[seal.number] = nil
        seal.topic.sealCount -= 1
        noteIdle(seal.topic)
    }

    /// Publishes a batch of the daemon's own.
    func advised(_ number: UInt64, _ bytes: SharedBytes) {
        guard let (_, seal) = own(number) else { return }
        guard let batch = try? SealedBatch(bytes), batch.header.counter == seal.nextCounter else {
            preconditionFailure("sealed a moment ago by this broker's own runner")
        }
        seal.nextCounter += 1
        fanOut(Portion(accepted(batch, seal)), to: seal.topic.route(through: filters).subscriptions)
    }

    private func own(_ number: UInt64) -> (name: Topic, seal: Seal)? {
        guard let name = ownSeals[number], let seal = ownTopics[name]?.seal else { return nil }
        return (name, seal)
    }
}

extension Advisory {
    /// Advisories of one batch, all of them of one kind: as many as surely fit. Not tuned.
    fileprivate var batchCountMax: Int {
        switch self {
        case .sessionOpened, .sessionClosed: 1024
        case .deadLetter: 64
        }
    }
}
