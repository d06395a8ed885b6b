// A broker with a store, the model of what is promised of what it stores, and what surrounds both: publishers that send
// again what they have no receipt for, subscribers that settle or don't, a store that commits when it likes, and the end
// of the daemon at any moment, after which another one begins on what was on disk.

import BusBroker
import BusWire

/// Broker, store, model, clocks and chance.
final class DurableWorld: SeededWorld {
    var broker: Broker
    var store: MemoryStore
    let model: DurableModel
    let knobs: DurableKnobs
    var chance: SplitMix64
    var stepNumber = 0
    var trace: [String] = []
    var isTracing = false { didSet { model.notes = isTracing ? [] : nil } }
    var tally: SimulationTally { model.tally }

    var publishers: [DurablePublisher] = []
    /// Sessions that are open, oldest first.
    var sessions: [SessionID] = []
    var blocked: Set<SessionID> = []
    /// Sessions that were written to and whose connections haven't taken all of it.
    var written: Set<SessionID> = []
    var nextSession: UInt64 = 1
    var nextRequest: UInt32 = 1
    var nextBatch: UInt64 = 1
    var lastSeal: UInt64 = 0
    var lives: UInt64 = 1
    /// By how much the wall clock is set wrong, in microseconds.
    var clockOffset: Int64 = 0
    var isStopped = false
    /// Whether the world is at its end, and nobody begins anything.
    var isEnding = false
    /// Whether the daemon takes the store to be smaller than it is.
    var beganFull = false
    /// Who listens to what is told of dead letters, and what that is.
    var telling = Telling()

    /// Writes that are on their way to the disk, as the store has them.
    var writes: [PendingWrite] = []
    /// What the store has done and the broker hasn't heard of, in order.
    var commits: [(commit: StoreCommit, end: UInt64)] = []
    /// What the broker asked the store.
    var questions: [Question] = []
    /// Subscriptions that administrators made, by the requests that aren't answered.
    var requests: [UInt32: UInt64] = [:]

    struct PendingWrite {
        let ticket: UInt64
        let write: StoreWrite
        /// How often the subscription it is of had moved.
        let moveCount: Int
    }

    enum Question {
        case read(StoreRead)
        case seek(SeekOrder)
        case retain(RetentionOrder)
        case administer(SessionID, Administer)
        /// What is due, or waits under an id; read when it is answered, or already.
        case due(DueOrder, DuePage?)
        case waiting(SessionID, Administer, [StoredScheduled]?)
    }

    init(seed: UInt64, steps: Int) {
        chance = SplitMix64(seed: seed)
        knobs = DurableKnobs(&chance)
        model = DurableModel(isHard: knobs.isHard)
        store = MemoryStore(incarnation: BusUUID(high: 1, low: seed))
        broker = Broker(configuration: knobs.configuration, incarnation: BusUUID(high: 2, low: 1), firstSeal: 1)
        broker.recover(store.state, at: model.now)
        model.waitings.countMax = knobs.configuration.quotas.scheduled
        for uid in knobs.users {
            for _ in 0..<chance.within(1...2) { publishers.append(DurablePublisher(uid: uid)) }
        }
    }

    func step() throws(Violation) {
        stepNumber += 1
        if knobs.listens { try listen() }
        try act(chance.pick(knobs.actions))
        if chance.chance(60) { try endRound() }
    }

    // MARK: The broker

    func handle(_ input: Input) throws(Violation) {
        note("\(input)")
        model.tick()
        broker.handle(input, at: model.now)
        try carryOut()
    }

    func endRound() throws(Violation) {
        for _ in 0..<16 {
            broker.endRound(at: model.now)
            try carryOut()
            guard broker.needsRound, !isStopped, broker.isUnfinished else { break }
        }
        try checkTold()
        if let fault = broker.audit().first { throw Violation("audit: \(fault)") }
        if let deadline = broker.nextDeadline, !isStopped {
            try expect(deadline > model.now.monotonic, "asks to be called at \(deadline), which is over")
        }
        try drain()
    }

    /// Connections take what was written, those that aren't blocked.
    private func drain() throws(Violation) {
        for session in sessions where written.contains(session) && !blocked.contains(session) {
            written.remove(session)
            broker.handle(.drained(session), at: model.now)
            try carryOut()
        }
    }

    /// Looks at everything the broker wants done, and does it or keeps it for later.
    private func carryOut() throws(Violation) {
        while let effect = broker.nextEffect() {
            note("    \(effect)")
            try carryOut(effect)
        }
    }

    private func carryOut(_ effect: Effect) throws(Violation) {
        if try publishOwn(effect) { return }
        switch effect {
        case .send(let session, let frame):
            written.insert(session)
            try told(frame, session)
        case .openSeal(let order):
            lastSeal = max(lastSeal, order.seal)
            sealOpened(order)
            let keyCheck = [UInt8](repeating: 0xcc, count: 16)
            broker.handle(.sealDerived(seal: order.seal, session: order.session, keyCheck: keyCheck), at: model.now)
        case .close(let session, _, _): gone(session)
        case .store(let ticket, let write):
            noteLetter(ticket, write)
            try model.check(write)
            try model.check(write, ticket: ticket, at: model.dueTime(clockOffset: clockOffset))
            let moves = write.subscription.flatMap { model.records[$0]?.moveCount } ?? 0
            writes.append(PendingWrite(ticket: ticket, write: write, moveCount: moves))
            store.submit(ticket, write)
        case .read(let read): questions.append(.read(read))
        case .readDue(let order):
            try model.asksForDue(order, at: model.dueTime(clockOffset: clockOffset))
            questions.append(.due(order, chance.chance(50) ? store.due(order) : nil))
        case .seek(let order):
            try sought(order)
            questions.append(.seek(order))
        case .retain(let order): questions.append(.retain(order))
        case .administer(let session, let wish) where wish.operation == .cancelScheduled:
            questions.append(.waiting(session, wish, chance.chance(50) ? waiting(wish) : nil))
        case .administer(let session, let wish): questions.append(.administer(session, wish))
        case .stopped: isStopped = true
        case .grant, .openOwnSeal, .closeOwnSeal, .advise, .inspect, .tend: break
        }
    }

    private func told(_ frame: Frame, _ session: SessionID) throws(Violation) {
        switch frame {
        case .deliver(let deliver) where deliver.subscription == Telling.subscription: break
        case .gap(let gap) where gap.subscription == Telling.subscription: break
        case .deliver(let deliver): try model.check(deliver, session)
        case .caughtUp(let marker): try model.check(marker, session)
        case .gap(let gap): try model.check(gap, session)
        case .receipts(let receipts): try receipted(receipts, session)
        case .error(let error): try refused(error, session)
        case .administered(let answer):
            if let made = requests.removeValue(forKey: answer.request) { model.records[made]?.isTold = true }
            try model.granted(answer.request, answer.count)
        case .unsubscribed(let end): ended(end.subscription, session)
        default: break
        }
    }

    // MARK: The store

    /// Some of what waits is on disk now; the broker hears of it later.
    func commit(first count: Int = .max) throws(Violation) {
        guard store.isDirty else { return }
        let commit = store.commit(first: count)
        note("on disk: through \(commit.through), \(commit.refused.count) refused")
        let refused = Set(commit.refused.map(\.ticket))
        while let first = writes.first, first.ticket <= commit.through {
            writes.removeFirst()
            if case .trim(let topic, let position) = first.write { model.gone[topic] = position }
            if refused.contains(first.ticket) {
                model.tally[.storeFull] += 1
            }
            try model.onDisk(first.write, ticket: first.ticket, isRefused: refused.contains(first.ticket))
            if refused.contains(first.ticket) {
                continue
            } else if case .append(let batch) = first.write {
                try model.onDisk(batch)
            } else if let number = first.write.subscription, model.records[number]?.moveCount == first.moveCount {
                model.records[number]?.isUnsaved = false
            }
        }
        commits.append((commit, store.disk.nextPosition))
    }

    /// The broker hears of the oldest commit it hasn't heard of.
    func hearCommit() throws(Violation) {
        guard !commits.isEmpty else { return }
        let (commit, end) = commits.removeFirst()
        model.hear(before: end)
        model.hear(through: commit.through)
        telling.heard = commit.through
        try handle(.stored(commit))
        model.waitings.heardBefore = commit.through
    }

    /// The oldest question of the store is answered.
    func answer() throws(Violation) {
        guard !questions.isEmpty else { return }
        switch questions.removeFirst() {
        case .read(let read): try handle(.storeRead(store.page(read)))
        case .seek(let order):
            model.found(order.number)
            try handle(.storeFound(number: order.number, store.cursor(order)))
        case .retain(let order):
            let kept = store.kept(order)
            try handle(.retained(topic: order.topic, before: kept.before, firstTime: kept.firstTime))
        case .administer(let session, let wish): try answer(wish, session)
        case .due(let order, let page):
            model.waitings.last = nil
            try handle(.storeReadDue(page ?? store.due(order)))
        case .waiting(let session, let wish, let found):
            try handle(.administered(session, request: wish.request, .scheduled(found ?? waiting(wish))))
        }
    }

    private func answer(_ wish: Administer, _ session: SessionID) throws(Violation) {
        guard let record = model.record(named: wish.key) else {
            return try handle(
                .administered(session, request: wish.request, .refused(.unknownName, "none of that name")))
        }
        // Two wishes for the same letters in one breath would have their events come twice, which is no broken promise.
        try commit()
        let letters = store.disk.deadLetters.values.filter { $0.subscription == record.number }
            .sorted { $0.number < $1.number }
        let found = letters.map { FoundDeadLetter($0) }
        let isRedrive = wish.operation == .redriveDead
        // Who is gone is answered nothing, and nothing happens.
        if isRedrive, sessions.contains(session) || closing.contains(session) { model.redrive(letters) }
        try handle(.administered(session, request: wish.request, isRedrive ? .redriven(found) : .dropped(found)))
    }

    private func sought(_ order: SeekOrder) throws(Violation) {
        guard let owner = seeking else { throw Violation("a place is looked for, and nobody asked") }
        seeking = nil
        model.tally[.sought] += 1
        switch owner {
        case .durable(let name):
            guard let record = model.record(named: name) else { throw Violation("\(name) isn't there, and is moved") }
            record.isMoving = true
            model.seeks[order.number] = .init(order: order, owner: .record(record.number))
        case .reader(let session, let number):
            model.seeks[order.number] = .init(order: order, owner: .reader(session, number))
            model.readers.last { $0.session == session && $0.number == number }?.committed = order.committed
        }
    }

    /// For whom a place is looked for with what is handed over now.
    var seeking: Seeking?
    enum Seeking {
        case durable(String)
        case reader(SessionID, UInt32)
    }

    // MARK: Its end

    /// The daemon ends without a word, or after it saved; the next one begins on what is on disk.
    func die(isClean: Bool) throws(Violation) {
        store.crash()
        try model.die(leaving: store.disk, isClean: isClean)
        try model.dieWaiting(leaving: store.disk, clockOffset: clockOffset)
        beganFull = store.bytesMax != .max
        (writes, commits, questions, requests) = ([], [], [], [:])
        (sessions, blocked, written, isStopped) = ([], [], [], false)
        telling = Telling()
        for publisher in publishers { publisher.disconnect() }
        lives += 1
        note("the daemon's life \(lives) begins")
        broker = Broker(
            configuration: knobs.configuration, incarnation: BusUUID(high: 2, low: lives), firstSeal: lastSeal + 1)
        broker.recover(store.state, at: model.now)
    }

    /// The daemon is asked to end, and saves where everybody stands.
    func stop() throws(Violation) {
        try handle(.shutdown)
        // While it goes down it may leave letters untold.
        telling.listener = nil
        for _ in 0..<64 where !isStopped {
            try endRound()
            try settleStore()
            for session in sessions where blocked.contains(session) { try vanish(session) }
            for session in closing { try handle(.disconnected(session)) }
            closing = []
            model.now.monotonic += 500_000_000
        }
        try expect(isStopped, "doesn't stop")
        try settleStore()
        try die(isClean: true)
    }

    /// Sessions that the broker closed and that the runner hasn't told to be gone.
    var closing: [SessionID] = []

    /// The store does everything it was asked to.
    func settleStore() throws(Violation) {
        while store.isDirty || !commits.isEmpty || !questions.isEmpty {
            try commit()
            while !commits.isEmpty { try hearCommit() }
            while !questions.isEmpty { try answer() }
            if !isStopped { try endRound() }
        }
    }

    /// The last things that happened, for a failure's description.
    func note(_ text: @autoclosure () -> String) {
        guard isTracing else { return }
        var plain = text()
        for room in ["BusWire.", "BusBroker.", "Frame."] { plain = plain.replacing(room, with: "") }
        for note in model.notes ?? [] { trace.append("  > \(note)") }
        if isTracing { model.notes = [] }
        trace.append(String(plain.prefix(400)))
        if trace.count > 30000 { trace.removeFirst(20) }
    }
}

extension StoreWrite {
    /// The subscription whose place it is.
    fileprivate var subscription: UInt64? {
        switch self {
        case .subscription(let stored): stored.number
        case .cursor(let number, _): number
        default: nil
        }
    }
}
