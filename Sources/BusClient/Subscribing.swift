// Subscribing, from the daemon's frames to the application: whose seal is whose, opening, credit, gaps.

import BusCrypto
import BusWire

/// The subscribing side of a connection. Confined to its reactor.
final class Subscribing {
    private unowned let core: ClientCore
    private var subscriptions: [UInt32: SubscriptionState] = [:]
    private var nextNumber: UInt32 = 1
    private var seals: [UInt64: Announced] = [:]
    private var secrets: [SecretKey: TopicSecret] = [:]
    /// The seal last delivered from, which is mostly the next one, too.
    private var recent: Announced?
    /// The seal announced last.
    private var latest: Announced?

    private struct SecretKey: Hashable {
        let topic: [UInt8]
        let epoch: UInt32
    }

    /// A publisher's seal, as the daemon announced it.
    private final class Announced {
        let announcement: Announcement
        let topic: Topic
        let publisher: Publisher
        var opener: Opener?

        init(_ announcement: Announcement, _ topic: Topic) {
            self.announcement = announcement
            self.topic = topic
            publisher = Publisher(uid: announcement.uid, gid: announcement.gid, name: announcement.publisher)
        }
    }

    init(_ core: ClientCore) { self.core = core }

    // MARK: Subscriptions

    func add(_ state: SubscriptionState) {
        state.number = nextNumber
        nextNumber += 1
        subscriptions[state.number] = state
        core.write(.subscribe(state.request))
    }

    /// Ends one without a word, whose number nobody is to answer to.
    func forget(_ state: SubscriptionState) {
        guard subscriptions[state.number] === state else { return }
        subscriptions[state.number] = nil
    }

    func remove(_ state: SubscriptionState) {
        guard subscriptions[state.number] === state else { return }
        if core.isOpen {
            core.write(.unsubscribe(subscription: state.number))
        } else {
            subscriptions[state.number] = nil
            state.end(nil)
        }
    }

    /// The daemon's word for one that it was asked for: whose end was asked for stays until the daemon has said it.
    private func subscription(_ number: UInt32) throws(BusError) -> SubscriptionState {
        guard let state = subscriptions[number] else {
            throw .protocolViolation("a frame for subscription \(number), which isn't there")
        }
        return state
    }

    func subscribed(_ number: UInt32) throws(BusError) { try subscription(number).confirm() }

    func unsubscribed(_ end: Unsubscribed) throws(BusError) {
        let state = try subscription(end.subscription)
        subscriptions[end.subscription] = nil
        let account = "after \(end.deliveredCount) events delivered and \(end.missedCount) missed"
        switch end.reason {
        case .unsubscribed: state.end(nil)
        case .queueFull:
            state.end(.refused(.queueFull, "its queue was full, and it asked to be ended then, \(account)"))
        default: state.end(.refused(end.reason, "the daemon ended the subscription \(account)"))
        }
    }

    func take(_ error: ErrorFrame) {
        let number = UInt32(truncatingIfNeeded: error.request)
        if let state = subscriptions[number], state.shouldAskAgain(error.reason) {
            return core.write(.subscribe(state.request))
        }
        subscriptions.removeValue(forKey: number)?.end(.refused(error.reason, error.message))
    }

    // MARK: What arrives

    func announced(_ announcement: Announcement) throws(BusError) {
        if announcement.forgetsEarlier {
            seals = [:]
            secrets = [:]
            recent = nil
            latest = nil
        }
        guard let topic = try? Topic(bytes: announcement.topic) else {
            throw .protocolViolation("a seal was announced for a topic against the rules")
        }
        let seal = Announced(announcement, topic)
        seals[announcement.seal] = seal
        latest = seal
        prepare(seal)
    }

    func granted(_ secret: TopicSecret, topic: [UInt8], epoch: UInt32) {
        secrets[SecretKey(topic: topic, epoch: epoch)] = secret
        // A grant follows the announcement it is needed for.
        if let latest, latest.announcement.topic == topic, latest.announcement.epoch == epoch { prepare(latest) }
    }

    /// Derives a seal's key as soon as that can be done: mostly its publisher still waits for it, and the first event of
    /// a topic doesn't wait here. A key that isn't right is found out again, and told, with the first batch.
    private func prepare(_ seal: Announced) {
        let announcement = seal.announcement
        guard secrets[SecretKey(topic: announcement.topic, epoch: announcement.epoch)] != nil else { return }
        _ = try? opener(of: seal)
    }

    func delivered(_ deliver: Deliver) throws(BusError) {
        let state = try subscription(deliver.subscription)
        let sealed: SealedBatch
        do throws(WireError) { sealed = try SealedBatch(deliver.batch) } catch {
            throw .protocolViolation("a delivery holds no batch: \(error)")
        }
        guard let seal = recent?.announcement.seal == sealed.header.seal ? recent : seals[sealed.header.seal] else {
            throw .protocolViolation("a delivery of seal \(sealed.header.seal), which wasn't announced")
        }
        recent = seal
        let placeCount = Int(sealed.header.eventCount)
        let selection: Selection
        do throws(WireError) { selection = try Selection(deliver.selection, of: placeCount) } catch {
            throw .protocolViolation("\(error)")
        }
        let bounds = selection.bounds(of: placeCount)
        let first = deliver.firstSequence + UInt64(bounds.lowerBound)
        let last = deliver.firstSequence + UInt64(bounds.upperBound)
        let count = UInt64(selection.count(of: placeCount))
        let length = UInt64(deliver.batch.count)
        state.noteDelivery(deliver)
        state.noteUnsettled(deliver, of: placeCount, selection)
        let isNew = state.noteSequences(
            topic: seal.topic, incarnation: seal.announcement.topicIncarnation, first: first, last: last, count: count,
            isStored: deliver.isStored)
        guard isNew else { return state.skip(events: count, length: length) }
        if let batch = open(sealed, deliver, selection, seal, state.settlable(deliver.delivery)) {
            state.deliver(.batch(batch), events: count, length: length)
        } else {
            state.rejectUnopenable(deliver.delivery)
            let missed = Missed(
                count: count, topic: seal.topic, firstSequence: first, lastSequence: last, reason: .unopenable)
            state.deliver(.missed(missed), events: count, length: length)
        }
    }

    func caughtUp(_ caughtUp: CaughtUp) throws(BusError) {
        try subscription(caughtUp.subscription).caughtUp(caughtUp.count)
    }

    /// The batch in plain, or nil if it doesn't open or isn't sound inside.
    private func open(
        _ sealed: SealedBatch, _ deliver: Deliver, _ selection: Selection, _ seal: Announced,
        _ delivery: SettlableDelivery?
    ) -> EventBatch? {
        let body = ByteStorage(capacity: Int(sealed.header.bodyLength) - BatchHeader.tagLength)
        do {
            let opener = try opener(of: seal)
            try sealed.authenticated.withUnsafeBytes { authenticated throws(CryptoError) in
                try sealed.body.withUnsafeBytes { ciphertext throws(CryptoError) in
                    try opener.open(
                        counter: sealed.header.counter, authenticating: authenticated, sealed: ciphertext,
                        into: UnsafeMutableRawBufferPointer(start: body.base, count: body.capacity))
                }
            }
            let plain = SharedBytes(storage: body, offset: 0, count: body.capacity)
            return try EventBatch(
                deliver, sealed, selection, body: plain, topic: seal.topic, publisher: seal.publisher,
                delivery: delivery)
        } catch {
            return nil
        }
    }

    private func opener(of seal: Announced) throws(CryptoError) -> Opener {
        if let opener = seal.opener { return opener }
        let announcement = seal.announcement
        guard let secret = secrets[SecretKey(topic: announcement.topic, epoch: announcement.epoch)] else {
            throw .unopenable
        }
        let opener = try Opener(
            secret: secret, salt: SealSalt(announcement.salt), topic: announcement.topic, epoch: announcement.epoch,
            keyCheck: KeyCheck(announcement.keyCheck))
        seal.opener = opener
        return opener
    }

    func missed(_ gap: Gap) throws(BusError) {
        let state = try subscription(gap.subscription)
        let topic = gap.topic.isEmpty ? nil : try? Topic(bytes: gap.topic)
        if let topic, gap.count != nil { state.noteGap(topic: topic, first: gap.firstSequence, last: gap.lastSequence) }
        state.miss(
            Missed(
                count: gap.count, topic: topic, firstSequence: gap.firstSequence, lastSequence: gap.lastSequence,
                reason: gap.reason))
    }

    /// Says what is to be said before goodbye.
    func leaving() {
        for state in subscriptions.values {
            state.acknowledgePassed()
            state.tellCredit()
        }
    }

    // MARK: Connections come and go

    func connectionLost() {
        seals = [:]
        secrets = [:]
        recent = nil
        latest = nil
        for state in subscriptions.values { state.connectionLost() }
    }

    /// Subscribes again, in the order of the first time, and says what can't be known.
    func connectionRestored(sameDaemon: Bool) {
        for state in subscriptions.values.sorted(by: { $0.number < $1.number }) {
            guard !state.isEnding else {
                subscriptions[state.number] = nil
                state.end(nil)
                continue
            }
            core.write(.subscribe(state.request))
            state.connectionRestored(sameDaemon: sameDaemon)
        }
    }

    func fail(_ error: BusError) {
        let all = subscriptions.values.sorted { $0.number < $1.number }
        subscriptions = [:]
        for state in all { state.end(error) }
    }

}
