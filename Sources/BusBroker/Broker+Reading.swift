// Reading what is stored, for subscriptions that aren't at the end of it: a page at a time, while there is room for it.

import BusWire
import DequeModule

extension Broker {
    /// Bytes of a page: a quarter of what a durable subscription keeps in memory. Not tuned.
    private static let pageLength = 1 << 20
    /// Events of a page. Not tuned.
    private static let pageEventCount = 4096

    /// Reads on for a subscription, if there is somebody to take it and room to keep it.
    func readOn(_ reader: CatchUp.Reader) {
        guard let catchUp = reader.catchUp, !catchUp.isLive, !catchUp.isSeeking, catchUp.read == nil, reader.hasRoom
        else { return }
        guard let number = storage?.nextRead else { return }
        storage?.nextRead += 1
        storage?.reads[number] = reader
        catchUp.begin(number)
        emit(
            .read(
                StoreRead(
                    number: number, from: catchUp.position, before: storage?.committed ?? 0,
                    topics: storedTopics(matching: reader.filter),
                    lengthMax: Broker.pageLength, eventCountMax: Broker.pageEventCount)))
    }

    /// The topics to read, by number in the store; nil for all, where naming them would be longer than looking.
    func storedTopics(matching filter: TopicFilter) -> [UInt64]? {
        guard filter.hasWildcard else {
            let topic = (try? Topic(bytes: filter.bytes)).flatMap { topics[$0] }
            return topic.flatMap { $0.isDurable ? [$0.storeNumber] : nil } ?? []
        }
        guard let all = storage?.topics, all.count <= 4096 else { return nil }
        let matching = all.values.filter { filter.matches($0.name) }.map(\.storeNumber)
        return matching.count == all.count || matching.count > 64 ? nil : matching.sorted()
    }

    /// A page came.
    func took(_ page: StoredPage) {
        guard let reader = storage?.reads.removeValue(forKey: page.number), let catchUp = reader.catchUp else { return }
        // Its reader began somewhere else meanwhile.
        guard catchUp.read == page.number else { return readOn(reader) }
        let batches = accepted(page, for: reader.filter)
        let portions = catchUp.take(page, batches)
        switch reader {
        case .durable(let subscription): take(portions, page, subscription)
        case .ephemeral(let consumer): take(portions, page, consumer)
        }
    }

    private func take(_ portions: [Portion], _ page: StoredPage, _ subscription: Subscription) {
        guard !subscription.isEnded, !subscription.consumers.isEmpty else { return }
        tellDamage(page, to: subscription)
        for portion in portions { queue(portion, for: subscription) }
        unsettle(subscription)
        readOn(.durable(subscription))
    }

    private func take(_ portions: [Portion], _ page: StoredPage, _ consumer: Consumer) {
        guard let backlog = consumer.backlog, consumer.session.phase == .open else { return }
        for damage in page.damaged { tell(damage, to: consumer) }
        for portion in portions {
            backlog.append(portion)
            consumer.session.account.queued.charge(Int(portion.length), from: consumer.session.account.uid)
        }
        pump(consumer)
    }

    /// What was read, as batches of the broker's.
    private func accepted(_ page: StoredPage, for filter: TopicFilter) -> [AcceptedBatch] {
        var seals: [UInt64: Seal] = [:]
        var found: [AcceptedBatch] = []
        found.reserveCapacity(page.batches.count)
        for batch in page.batches {
            guard let topic = storage?.topics[batch.topic], filter.matches(topic.name) else { continue }
            if seals[batch.seal] == nil { seals[batch.seal] = page.seals[batch.seal].map { seal($0, topic) } }
            guard let seal = seals[batch.seal] else { continue }
            found.append(AcceptedBatch(batch, seal))
        }
        return found
    }

    /// A seal as the store remembers it.
    func seal(_ stored: StoredSeal, _ topic: TopicState) -> Seal {
        let seal = Seal(
            number: stored.number, topic: topic, salt: stored.salt, publisher: stored.publisher, name: stored.name,
            account: account(of: stored.publisher.uid), limits: .normal)
        seal.derived(keyCheck: stored.keyCheck)
        seal.isStored = true
        return seal
    }

    // MARK: Damage

    private func tellDamage(_ page: StoredPage, to subscription: Subscription) {
        guard let consumer = subscription.consumers.first else { return }
        for damage in page.damaged { tell(damage, to: consumer) }
    }

    private func tell(_ damage: (topic: UInt64, position: UInt64), to consumer: Consumer) {
        guard let topic = storage?.topics[damage.topic], consumer.subscription.filter.matches(topic.name) else {
            return
        }
        let gap = Gap(
            subscription: consumer.number, reason: .damaged, count: nil, firstSequence: 0, lastSequence: 0,
            topic: topic.name.bytes)
        emit(.send(consumer.session.id, .gap(gap)))
    }
}

extension CatchUp.Reader {
    /// Its place; nil when it has none any more.
    var catchUp: CatchUp? {
        switch self {
        case .durable(let subscription): subscription.isEnded ? nil : subscription.durable?.catchUp
        case .ephemeral(let consumer): consumer.backlog?.catchUp
        }
    }

    var filter: TopicFilter {
        switch self {
        case .durable(let subscription): subscription.filter
        case .ephemeral(let consumer): consumer.subscription.filter
        }
    }

    /// Whether another page may come: somebody takes it, and no more than half of what may wait does.
    var hasRoom: Bool {
        switch self {
        case .durable(let subscription):
            !subscription.consumers.isEmpty
                && (subscription.queue.map {
                    $0.eventCount <= UInt64(Durable.windowEventCount) / 2 && $0.length <= Durable.windowLength / 2
                } ?? true)
        case .ephemeral(let consumer):
            consumer.session.phase == .open && (consumer.backlog?.length ?? 0) <= Int(Durable.windowLength) / 2
        }
    }
}

extension AcceptedBatch {
    /// A batch as it lies in the store.
    convenience init(_ stored: StoredBatch, _ seal: Seal) {
        self.init(
            seal: seal, bytes: stored.bytes, firstSequence: stored.firstSequence, eventCount: stored.eventCount,
            time: stored.time)
        position = stored.position
        expiry = stored.expiry
    }

    /// The position behind its last event; of no meaning on live topics.
    var end: UInt64 { position + UInt64(eventCount) }
}
