// What becomes of deliveries of durable subscriptions: acknowledged, tried again after a pause, given up on.

import BusWire
import DequeModule
import HeapModule

extension Broker {
    /// A subscriber says what became of a delivery, or of some of its events.
    func settle(_ settle: Settle, _ session: Session) {
        func refuse(_ reason: Reason, _ message: String) {
            self.refuse(session, .settle, request: UInt64(settle.subscription), reason, message)
        }
        guard let consumer = session.consumers[settle.subscription] else {
            return refuse(.unknownSubscription, "subscription \(settle.subscription) doesn't exist")
        }
        guard consumer.subscription.isDurable, let holding = consumer.holding else {
            return refuse(.notSupported, "only deliveries of durable subscriptions are settled one by one")
        }
        guard let settlement = Settlement(rawValue: settle.settlement) else {
            return refuse(.notSupported, "settlement \(settle.settlement) is not one this daemon knows")
        }
        guard settle.delivery >= 1, settle.delivery <= consumer.lastDelivery else {
            return refuse(
                .acknowledgedUnsent, "delivery \(settle.delivery) was never sent, the last was \(consumer.lastDelivery)"
            )
        }
        // Settled before, or taken away: word that comes late changes nothing.
        guard let held = holding.find(settle.delivery) else { return }
        do throws(WireError) {
            let count = Int(held.portion.batch.eventCount)
            let selection = try Selection(settle.selection, of: count)
            // None named are all that it brought.
            if !settle.selection.isEmpty, let stranger = held.brought.firstMissing(of: selection, in: count) {
                return refuse(
                    .acknowledgedUnsent, "delivery \(settle.delivery) didn't bring event \(stranger) of its batch")
            }
            settled(selection, settlement, settle, held, consumer, holding)
        } catch {
            refuse(
                .acknowledgedUnsent, "delivery \(settle.delivery) has \(held.portion.batch.eventCount) events: \(error)"
            )
        }
    }

    private func settled(
        _ selection: Selection, _ settlement: Settlement, _ settle: Settle, _ held: Held, _ consumer: Consumer,
        _ holding: Holding
    ) {
        let subscription = consumer.subscription
        if settlement == .extend {
            let wait = subscription.durable?.values.acknowledgeWait ?? 0
            return holding.extend(settle.delivery, to: now.monotonic + wait)
        }
        guard let portion = holding.remove(selection, of: settle.delivery) else { return }
        giveBack(portion, of: consumer, isWhole: holding.find(settle.delivery) == nil)
        switch settlement {
        case .acknowledge: acknowledged(portion, held, consumer)
        case .retry:
            retry(
                portion, held, consumer, reason: .retried, settle.message,
                after: min(UInt64(settle.delayMilliseconds) * 1_000_000, Durable.delayMax))
        case .reject: bury(portion, subscription, consumer, held, .rejected, settle.message)
        case .extend: break
        }
        unsettle(subscription)
    }

    /// A consumer has handled everything up to a delivery.
    func acknowledge(through delivery: UInt64, _ consumer: Consumer, _ holding: Holding) {
        while let first = holding.first, first.delivery <= delivery {
            guard let held = holding.removeFirst() else { break }
            giveBack(held.portion, of: consumer, isWhole: true)
            acknowledged(held.portion, held, consumer)
        }
        unsettle(consumer.subscription)
    }

    func acknowledged(_ portion: Portion, _ held: Held, _ consumer: Consumer) {
        consumer.subscription.durable?.acknowledgedCount += portion.eventCount
        note(portion, .acknowledged, consumer.subscription, consumer, reason: nil, held: held)
        touch(consumer.subscription)
    }

    /// A consumer no longer holds a portion: its user's share, and the subscription's, is given back.
    func giveBack(_ portion: Portion, of consumer: Consumer, isWhole: Bool) {
        consumer.subscription.durable?.outstanding -= portion.eventCount
        giveBack(portion.eventCount, isWhole ? Int(portion.length) : 0, to: consumer.session.account)
    }

    /// Everything a consumer holds, which it holds no more.
    func releaseHeld(of consumer: Consumer) -> [Held] {
        guard let holding = consumer.holding else { return [] }
        consumer.session.account.feed(consumer)
        let (events, length) = (holding.eventCount, holding.length)
        let all = holding.releaseAll()
        consumer.subscription.durable?.outstanding -= events
        giveBack(events, length, to: consumer.session.account)
        return all
    }

    // MARK: Again

    /// Events are to be tried again after a pause, or are given up on when they were tried often enough.
    func retry(
        _ portion: Portion, _ held: Held, _ consumer: Consumer, reason: Reason, _ message: String,
        after delay: Moment.Nanoseconds = 0
    ) {
        let subscription = consumer.subscription
        guard let durable = subscription.durable else { return }
        guard portion.attempt < durable.values.attemptCountMax else {
            return bury(
                portion, subscription, consumer, held, .attemptsExhausted, message.isEmpty ? reason.name : message)
        }
        note(portion, reason == .retried ? .retried : .returned, subscription, consumer, reason: reason, held: held)
        var again = portion
        again.attempt += 1
        let backoff = durable.values.backoff(before: again.attempt, spread: portion.batch.position &+ durable.number)
        let due = now.monotonic + max(delay, backoff)
        durable.redeliveredCount += again.eventCount
        lookAt(subscription, due)
        touch(subscription)
        guard let unordered = waitForKeys(again, until: due, held, consumer, reason) else { return }
        durable.delayed.insert(DelayedPortion(due: due, portion: unordered))
        durable.delayedLength += unordered.length
        subscription.account.windowLength += Int(unordered.length)
    }

    /// A consumer left and others go on: what it held is theirs at once.
    func passOn(_ held: [Held], from consumer: Consumer) {
        let subscription = consumer.subscription
        guard let durable = subscription.durable else { return }
        for one in held.reversed() {
            guard one.portion.attempt < durable.values.attemptCountMax else {
                bury(one.portion, subscription, consumer, one, .attemptsExhausted, Reason.sessionGone.name)
                continue
            }
            note(one.portion, .returned, subscription, consumer, reason: .sessionGone, held: one)
            var again = one.portion
            again.attempt += 1
            durable.redeliveredCount += again.eventCount
            putBack(again, subscription)
        }
        touch(subscription)
        unsettle(subscription)
    }

    /// Events are given up on.
    func bury(
        _ portion: Portion, _ subscription: Subscription, _ consumer: Consumer?, _ held: Held?, _ reason: Reason,
        _ message: String
    ) {
        guard let durable = subscription.durable, let storage else { return }
        let keeps = durable.values.keepsDeadLetters && (reason != .expired || durable.values.keepsExpired)
        note(portion, keeps ? .dead : .dropped, subscription, consumer, reason: reason, held: held)
        touch(subscription)
        guard keeps else {
            lose(portion, of: subscription, reason) { durable.missed.note($0, $1) }
            return unsettle(subscription)
        }
        let letter = StoredDeadLetter(
            number: storage.nextDeadLetter, subscription: durable.number, position: portion.batch.position,
            selection: portion.selection.bits(of: Int(portion.batch.eventCount)), reason: reason,
            message: String(message.prefix(Durable.messageLengthMax)), attempts: portion.attempt, died: ageTime,
            accepted: portion.batch.time)
        durable.deadCount += letter.eventCount
        tell(of: letter, portion, durable, ticket: store(.deadLetter(letter)))
        storage.nextDeadLetter += 1
    }

    // MARK: Deadlines

    /// Has a subscription's deliveries looked at, at this time or before.
    func lookAt(_ subscription: Subscription, _ deadline: Moment.Nanoseconds) {
        guard let durable = subscription.durable, deadline < durable.lookAt ?? .max else { return }
        durable.lookAt = deadline
        storage?.timers.insert(DurableTimer(deadline: deadline, subscription: durable.number))
        forgetTimers()
    }

    /// No more are kept than a few for each subscription, however often one is to be looked at earlier than was thought.
    private func forgetTimers() {
        guard let storage, storage.timers.count > 2 * storage.numbers.count + 64 else { return }
        storage.timers = Heap(
            storage.timers.unordered.filter { storage.numbers[$0.subscription]?.durable?.lookAt == $0.deadline })
    }

    func lookAtDue() {
        guard let storage else { return }
        while let first = storage.timers.min, first.deadline <= now.monotonic {
            storage.timers.removeMin()
            guard let subscription = storage.numbers[first.subscription], let durable = subscription.durable,
                durable.lookAt == first.deadline
            else { continue }
            durable.lookAt = nil
            requeueDue(subscription, durable)
            ripen(subscription)
            takeBackLate(subscription, durable)
        }
    }

    private func requeueDue(_ subscription: Subscription, _ durable: Durable) {
        var due: [DelayedPortion] = []
        while let first = durable.delayed.min, first.due <= now.monotonic { due.append(durable.delayed.removeMin()) }
        if let next = durable.delayed.min { lookAt(subscription, next.due) }
        for one in due.sorted(by: { $0.portion.positions.lowerBound > $1.portion.positions.lowerBound }) {
            durable.delayedLength -= one.portion.length
            subscription.account.windowLength -= Int(one.portion.length)
            subscription.needQueue().prepend(one.portion)
            charge(one.portion, subscription)
        }
        if !due.isEmpty { unsettle(subscription) }
    }

    /// Deliveries that weren't acknowledged in time. Looked for a few times in a wait and not for each: a little late,
    /// never early.
    private func takeBackLate(_ subscription: Subscription, _ durable: Durable) {
        var next = Moment.Nanoseconds.max
        let pause = durable.values.acknowledgeWait / 16
        for consumer in subscription.consumers {
            guard let holding = consumer.holding else { continue }
            for held in holding.late(at: now.monotonic, pause: pause) {
                // Perhaps taken back meanwhile, behind another of its key.
                guard let portion = holding.remove(.all, of: held.delivery) else { continue }
                giveBack(portion, of: consumer, isWhole: true)
                retry(portion, held, consumer, reason: .acknowledgementTimedOut, "")
            }
            if holding.first != nil { next = min(next, holding.lateFrom) }
        }
        unsettle(subscription)
        if next < .max { lookAt(subscription, max(next, now.monotonic + pause)) }
    }

    // MARK: The ledger

    /// Notes what became of a portion; it is written with the next save.
    func note(
        _ portion: Portion, _ outcome: LedgerLine.Outcome, _ subscription: Subscription, _ consumer: Consumer?,
        reason: Reason?, held: Held?
    ) {
        guard let durable = subscription.durable else { return }
        for range in portion.ranges(attempts: 0) {
            note(
                LedgerLine(
                    subscription: durable.number, first: range.first, count: UInt32(range.count), outcome: outcome,
                    session: consumer?.session.id.rawValue ?? 0, attempt: portion.attempt, sent: held?.sent ?? 0,
                    time: now.wall, reason: reason))
        }
    }

    /// A line is written with the next save, together with the one before it where that goes on in it.
    func note(_ line: LedgerLine) {
        guard let storage else { return }
        if let last = storage.ledger.last, last.isContinued(by: line) {
            storage.ledger[storage.ledger.count - 1].count += line.count
        } else {
            storage.ledger.append(line)
        }
        if storage.saveDeadline == nil { storage.saveDeadline = now.monotonic + configuration.savePause }
    }
}

/// When a subscription's deliveries are to be looked at.
struct DurableTimer: Comparable {
    let deadline: Moment.Nanoseconds
    let subscription: UInt64

    static func < (a: DurableTimer, b: DurableTimer) -> Bool { a.deadline < b.deadline }
}

extension Selection {
    /// The first event of another selection that isn't in this one; nil if there is none.
    func firstMissing(of other: Selection, in count: Int) -> Int? {
        isAll ? nil : (0..<count).first { other.contains($0) && !contains($0) }
    }

    /// Its bits, all of them written out: how many events are meant can be told without the batch.
    func bits(of count: Int) -> [UInt8] {
        guard isAll else { return bytes }
        var bits = [UInt8](repeating: 0xff, count: (count + 7) / 8)
        if count & 7 != 0, let last = bits.indices.last { bits[last] = 1 << UInt8(count & 7) - 1 }
        return bits
    }
}

extension StoredDeadLetter {
    /// How many events it is of.
    var eventCount: UInt64 { selection.reduce(0) { $0 + UInt64($1.nonzeroBitCount) } }
}

extension LedgerLine {
    /// Events of one line, as many as fit the smallest unit that is looked up at once.
    static let countMax: UInt32 = 4096

    /// Whether another line says the same of the positions that follow. Times are the first event's.
    func isContinued(by line: LedgerLine) -> Bool {
        subscription == line.subscription && outcome == line.outcome && session == line.session
            && attempt == line.attempt && reason == line.reason && answer.isZero && line.answer.isZero
            && first + UInt64(count) == line.first
            && count + line.count <= LedgerLine.countMax
    }
}
