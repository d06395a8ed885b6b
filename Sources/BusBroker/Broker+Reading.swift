// Reading what is stored, for subscriptions that aren't at the end of it: a page at a time, while there is room for it.

import BusWire
import DequeModule

extension Broker {
    /// Reads on for a subscription, if there is somebody to take it and room to keep it. Where its user has too much in
    /// memory it waits for its turn.
    func readOn(_ reader: CatchUp.Reader) {
        guard let catchUp = reader.catchUp, !catchUp.isLive, catchUp.read == nil, catchUp.seek == nil, reader.hasRoom
        else { return }
        guard let storage, let account = reader.account, !isOwedWord(reader, storage) else { return }
        guard mayRead(account) else { return wait(reader, catchUp, account, storage) }
        let number = storage.nextRead
        storage.nextRead += 1
        storage.reads[number] = (reader, account)
        account.windowLength += CatchUp.readLength
        catchUp.begin(number)
        emit(
            .read(
                StoreRead(
                    number: number, from: catchUp.position, before: storage.committed,
                    topics: storedTopics(matching: reader.filter),
                    lengthMax: CatchUp.pageLength, eventCountMax: CatchUp.pageEventCount)))
    }

    /// Whether a durable subscription is to be told first that something was removed, or is about to be, that it hadn't read.
    /// That is known in memory alone; as long as it stands before it, another daemon knows it too.
    private func isOwedWord(_ reader: CatchUp.Reader, _ storage: Storage) -> Bool {
        guard case .durable(let subscription) = reader, let durable = subscription.durable else { return false }
        return !durable.missed.isEmpty || storage.isRemoving(from: subscription)
    }

    /// Whether another page may be read for a user; one always may.
    private func mayRead(_ account: Account) -> Bool {
        account.windowLength == 0
            || account.windowLength + CatchUp.readLength <= configuration.quotas.queuedLength
    }

    private func wait(_ reader: CatchUp.Reader, _ catchUp: CatchUp, _ account: Account, _ storage: Storage) {
        guard !catchUp.isHungry else { return }
        catchUp.isHungry = true
        account.hungry.append(reader)
        if !storage.hungry.contains(where: { $0 === account }) { storage.hungry.append(account) }
    }

    /// Reads on for those who waited for their user to have less in memory, in turns.
    func readHungry() {
        guard let storage, !storage.hungry.isEmpty else { return }
        for account in storage.hungry {
            while mayRead(account), let reader = account.hungry.popFirst() {
                reader.catchUp?.isHungry = false
                readOn(reader)
            }
        }
        storage.hungry.removeAll { $0.hungry.isEmpty }
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
        guard let (reader, account) = storage?.reads.removeValue(forKey: page.number) else { return }
        account.windowLength -= CatchUp.readLength
        defer { forget(account) }
        guard let catchUp = reader.catchUp else { return }
        // Its reader began somewhere else meanwhile.
        guard catchUp.read == page.number else { return readOn(reader) }
        let (batches, unknown) = accepted(page, for: reader.filter)
        var page = page
        // Without its seal nobody can open a batch: as good as damaged, and told as that.
        page.damaged += unknown
        let start = catchUp.next
        let gone = catchUp.gone(from: batches, reached: page.reached)
        let portions = catchUp.take(page, batches)
        page.damaged += lost(between: start, and: catchUp.next, reader.filter)
        switch reader {
        case .durable(let subscription):
            // Damage is told as that, its extent unknown.
            let lost = storage?.lost ?? []
            let removed = gone.filter { range in
                !page.damaged.contains { range.contains($0.position) }
                    && !lost.contains { $0.positions.lowerBound < range.end && $0.positions.upperBound > range.first }
            }
            missed(removed, of: subscription)
            take(portions, page, subscription)
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
            consumer.session.account.windowLength += Int(portion.length)
        }
        pump(consumer)
    }

    /// What was read, as batches of the broker's.
    private func accepted(
        _ page: StoredPage, for filter: TopicFilter
    ) -> (found: [AcceptedBatch], unknown: [(topic: UInt64, position: UInt64)]) {
        var unknown: [(topic: UInt64, position: UInt64)] = []
        var seals: [UInt64: Seal] = [:]
        var found: [AcceptedBatch] = []
        found.reserveCapacity(page.batches.count)
        for batch in page.batches {
            guard let topic = storage?.topics[batch.topic], filter.matches(topic.name) else { continue }
            if seals[batch.seal] == nil { seals[batch.seal] = page.seals[batch.seal].map { seal($0, topic) } }
            guard let seal = seals[batch.seal] else {
                unknown.append((batch.topic, batch.position))
                continue
            }
            found.append(AcceptedBatch(batch, seal))
        }
        return (found, unknown)
    }

    /// A seal as the store remembers it.
    func seal(_ stored: StoredSeal, _ topic: TopicState) -> Seal {
        let seal = Seal(
            number: stored.number, topic: topic, salt: stored.salt, publisher: stored.publisher, name: stored.name,
            account: account(of: stored.publisher.uid), limits: .normal)
        seal.derived(keyCheck: stored.keyCheck)
        seal.storedAs = stored.topic
        return seal
    }

    // MARK: Damage

    /// Topics of which somebody may have missed something that a damaged log took with it, having come from one position to
    /// another. How much, nobody knows. Not those that have kept nothing of that time, nor those that came later.
    private func lost(
        between start: UInt64, and end: UInt64, _ filter: TopicFilter
    ) -> [(topic: UInt64, position: UInt64)] {
        guard let storage, !storage.lost.isEmpty else { return [] }
        var found: [(topic: UInt64, position: UInt64)] = []
        for lost in storage.lost where lost.positions.lowerBound < end && lost.positions.upperBound > start {
            let topics = storage.topics.filter { number, topic in
                number <= lost.lastTopic && topic.stored.firstPosition < lost.positions.upperBound
                    && filter.matches(topic.name)
            }
            found += topics.keys.sorted().map { ($0, lost.positions.lowerBound) }
        }
        return Array(found.prefix(MissedEvents.topicCountMax))
    }

    private func tellDamage(_ page: StoredPage, to subscription: Subscription) {
        guard let consumer = subscription.consumers.first else { return }
        for damage in page.damaged { tell(damage, to: consumer) }
    }

    private func tell(_ damage: (topic: UInt64, position: UInt64), to consumer: Consumer) {
        guard let topic = topicOf(damage, isMeantBy: consumer.subscription.filter) else { return }
        let gap = Gap(
            subscription: consumer.number, reason: .damaged, count: nil, firstSequence: 0, lastSequence: 0,
            topic: topic)
        emit(.send(consumer.session.id, .gap(gap)))
    }

    /// The name of the topic on which something is damaged, empty where it can't be told which; nil for one that isn't
    /// meant.
    private func topicOf(
        _ damage: (topic: UInt64, position: UInt64), isMeantBy filter: TopicFilter
    ) -> [UInt8]? {
        if damage.topic == 0 { return [] }
        guard let topic = storage?.topics[damage.topic], filter.matches(topic.name) else { return nil }
        return topic.name.bytes
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

    /// Who pays for what is read; nil when nobody reads any more.
    var account: Account? {
        switch self {
        case .durable(let subscription): subscription.account
        case .ephemeral(let consumer): consumer.backlog == nil ? nil : consumer.session.account
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
        if let expiry = stored.expiry { expires(last: expiry) }
        keys = (try? SealedBatch(stored.bytes)).flatMap(OrderingKeyColumn.init)
    }

    /// The position behind its last event; of no meaning on live topics.
    var end: UInt64 { position + UInt64(eventCount) }
}
