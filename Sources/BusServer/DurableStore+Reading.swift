// Reads the broker asks for: pages of batches, places to begin, what a topic keeps no longer.

import BusBroker
import BusStore
import BusWire
import Dispatch
import Logging
import Synchronization

extension DurableStore {
    /// What the store held when the daemon began. Blocks.
    func state() throws(ServerError) -> StoredState {
        do throws(StoreError) {
            var state = StoredState(incarnation: store.incarnation, nextPosition: store.report.nextPosition)
            for stored in try store.topics() {
                guard var topic = BusBroker.StoredTopic(stored) else { continue }
                names[topic.number] = topic.name
                topic.retained = try stored.retained.flatMap { (position) throws(StoreError) in
                    try retained(at: position)
                }
                state.topics.append(topic)
            }
            (state.lastTopic, state.lastSubscription) = try store.lastNumbers()
            for declaration in try store.declarations() {
                guard let filter = try? TopicFilter(bytes: declaration.filter),
                    let settings = DeclarationOptions.decode(declaration.options)
                else {
                    log.error("a declaration of topics in the store can't be read, and is left alone")
                    continue
                }
                state.declarations.append((filter, settings))
            }
            for stored in try store.subscriptions() {
                guard let subscription = BusBroker.StoredSubscription(stored) else {
                    log.error("subscription \(stored.id) in the store can't be read, and is left alone")
                    continue
                }
                state.subscriptions.append(subscription)
            }
            try countDeadLetters(&state)
            state.scheduled = BusBroker.ScheduledSummary(try store.scheduled())
            state.lost = try store.lostPositions().map { ($0.positions, $0.lastTopic.rawValue) }
            state.usage = try store.usage().map { ($0.uid, $0.byteCount) }
            state.bytesUsed = store.report.bytesUsed
            state.bytesMax = bytesMax
            return state
        } catch {
            throw .store(error)
        }
    }

    private func retained(
        at position: UInt64
    ) throws(StoreError) -> (batch: BusBroker.StoredBatch, seal: BusBroker.StoredSeal)? {
        let found = Blocking<Result<[BusStore.StoredBatch], StoreError>>()
        store.batches(at: [position]) { found.set($0) }
        guard let batch = try found.wait().get().first, let seal = try store.seal(batch.seal) else { return nil }
        return (BusBroker.StoredBatch(batch), BusBroker.StoredSeal(seal))
    }

    private func countDeadLetters(_ state: inout StoredState) throws(StoreError) {
        while true {
            let found = Blocking<Result<[BusStore.StoredDeadLetter], StoreError>>()
            store.deadLetters(of: nil, after: state.lastDeadLetter, countMax: 4096) { found.set($0) }
            let letters = try found.wait().get()
            for letter in letters {
                let count = letter.selection.reduce(0) { $0 + UInt64($1.nonzeroBitCount) }
                state.deadCounts[letter.subscription, default: 0] += count
            }
            guard let last = letters.last?.id else { return }
            state.lastDeadLetter = last
        }
    }

    // MARK: While serving

    /// Reads a page; the answer comes as an input.
    func read(_ order: StoreRead) {
        let mailbox = mailbox
        let topics = order.topics.map { $0.map { TopicID(rawValue: $0) } }
        guard order.before > order.from, topics?.isEmpty != true else {
            let page = StoredPage(number: order.number, batches: [], seals: [:], reached: order.before, isLast: true)
            return mailbox.put(.input(.storeRead(page)))
        }
        // A batch a page at least; as many as make up the events where each has one.
        store.batches(
            in: order.from..<order.before, of: topics, countMax: order.eventCountMax, bytesMax: order.lengthMax
        ) { result in
            mailbox.put(result) { .storeRead(StoredPage($0, order)) }
        }
    }

    /// Finds where a subscription is to begin; the answer comes as an input.
    func seek(_ order: SeekOrder) {
        let mailbox = mailbox
        func answer(_ cursor: BusBroker.StoredCursor) {
            mailbox.put(.input(.storeFound(number: order.number, cursor)))
        }
        let topics = order.topics ?? Array(names.keys).sorted()
        switch order.start {
        case .new: answer(StoredCursor(next: order.committed))
        case .all: answer(StoredCursor(next: 0))
        case .sequence(let sequence):
            guard let topic = topics.first else { return answer(StoredCursor(next: order.committed)) }
            store.position(in: TopicID(rawValue: topic), sequence: sequence) { result in
                mailbox.put(result) { .storeFound(number: order.number, StoredCursor(next: $0 ?? order.committed)) }
            }
        case .since(let time):
            gather(topics, order.committed) { [store] topic, done in
                store.position(in: TopicID(rawValue: topic), since: time, completion: done)
            } then: { positions in
                let first = positions.min() ?? order.committed
                mailbox.put(.input(.storeFound(number: order.number, StoredCursor(next: first))))
            }
        case .last:
            gather(topics, order.committed) { [store] topic, done in
                // Behind the last event there is none, so the last position lies before what comes then.
                store.lastPosition(in: TopicID(rawValue: topic), completion: done)
            } then: { positions in
                let ranges = positions.sorted().map { BusBroker.PendingRange(first: $0, count: 1, attempts: 0) }
                let cursor = BusBroker.StoredCursor(next: order.committed, pending: ranges)
                mailbox.put(.input(.storeFound(number: order.number, cursor)))
            }
        }
    }

    /// Asks one thing of several topics and goes on when all have answered. Completions come on one thread, in order.
    private func gather(
        _ topics: [UInt64], _ committed: UInt64,
        _ ask: (UInt64, @escaping @Sendable (Result<UInt64?, StoreError>) -> Void) -> Void,
        then finish: @escaping @Sendable ([UInt64]) -> Void
    ) {
        guard !topics.isEmpty else { return finish([]) }
        let (answers, mailbox) = (Answers(count: topics.count, finish), mailbox)
        for topic in topics {
            ask(topic) { result in
                switch result {
                case .success(let position): answers.add(position.flatMap { $0 < committed ? $0 : nil })
                // What can't be read is no answer: a subscription would begin behind what it was to get.
                case .failure(let error): mailbox.put(.failed(error))
                }
            }
        }
    }

    /// Finds up to where a topic keeps nothing any more; the answer comes as an input.
    func retain(_ order: RetentionOrder) {
        guard let topic = broker.storedTopic(order.topic) else { return }
        let (mailbox, store, id) = (mailbox, store, TopicID(rawValue: order.topic))
        let over = topic.eventsOver(order)
        // Whatever can't be read removes nothing.
        @Sendable func fail(_ error: StoreError) { mailbox.put(.failed(error)) }
        store.position(in: id, since: order.olderThan) { result in
            let aged: UInt64
            // None is younger: all may go.
            do throws(StoreError) { aged = try result.get() ?? order.before } catch { return fail(error) }
            store.position(in: id, sequence: topic.firstSequence + over) { result in
                let counted: UInt64
                do throws(StoreError) {
                    let position = try result.get()
                    counted = over == 0 ? 0 : position ?? order.before
                } catch { return fail(error) }
                let before = min(order.before, max(aged, counted))
                store.batches(in: before..<UInt64.max >> 1, of: [id], countMax: 1, bytesMax: 1) { result in
                    mailbox.put(result) { page in
                        // A batch that reaches over the bound stays whole: an event in it may still be pending.
                        let first = page.batches.first
                        return .retained(
                            topic: order.topic, before: min(before, first?.position ?? before),
                            firstTime: first?.accepted ?? .max)
                    }
                }
            }
        }
    }
}

extension ReactorMailbox<DurableStore.Arrival> {
    /// Hands on what was read; what couldn't be read ends the daemon, as a write would.
    func put<Read>(_ result: Swift.Result<Read, StoreError>, _ input: (Read) -> Input) {
        switch result {
        case .success(let read): put(.input(input(read)))
        case .failure(let error): put(.failed(error))
        }
    }
}

extension StoredPage {
    init(_ page: BatchPage, _ order: StoreRead) {
        let damaged: [(topic: UInt64, position: UInt64)] = page.damage.compactMap {
            switch $0 {
            case .batch(let position, let topic, _): (topic?.rawValue ?? 0, position)
            case .batchMissing(let position, let topic): (topic.rawValue, position)
            case .unreadable(let positions): (0, positions.lowerBound)
            default: nil
            }
        }
        self.init(
            number: order.number, batches: page.batches.map(BusBroker.StoredBatch.init),
            seals: page.seals.mapValues { BusBroker.StoredSeal($0) },
            reached: page.isComplete ? order.before : page.next, isLast: page.isComplete, damaged: damaged)
    }
}

/// Answers that come one by one, from any thread.
private final class Answers: Sendable {
    private let state: Mutex<(left: Int, found: [UInt64])>
    private let finish: @Sendable ([UInt64]) -> Void

    init(count: Int, _ finish: @escaping @Sendable ([UInt64]) -> Void) {
        state = Mutex((count, []))
        self.finish = finish
    }

    func add(_ answer: UInt64?) {
        let all: [UInt64]? = state.withLock { state in
            state.left -= 1
            if let answer { state.found.append(answer) }
            return state.left == 0 ? state.found : nil
        }
        if let all { finish(all) }
    }
}

/// One answer that somebody waits for.
final class Blocking<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    private let arrived = DispatchSemaphore(value: 0)

    func set(_ value: Value) {
        self.value.withLock { $0 = value }
        arrived.signal()
    }

    func wait() -> Value {
        arrived.wait()
        guard let value = value.withLock({ $0 }) else { preconditionFailure("it was set before it was signalled") }
        return value
    }
}
