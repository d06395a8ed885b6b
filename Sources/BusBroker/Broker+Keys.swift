// Handing out by ordering keys: one member at a time has events of a key, in their order.
//
// A portion from the front of the queue is parted: each event goes to who has its key, or to whose turn it is, or waits
// beside the queue (`KeyTable`) where its key's member takes nothing now or earlier events of its key wait already. What
// waits beside goes before what waits in the queue, whenever it can go.

import BusWire
import DequeModule

/// How what is handed out is shared among members that were ready when it began.
private struct KeyedShares {
    let members: [Consumer]
    /// What each may be handed; below zero what it was beyond its share.
    var left: [Int64]
    /// Whose turn it is with what may go to anybody.
    var turn = 0
    /// Whether a batch may be cut where a share ends.
    let mayCut: Bool
    private let places: [ObjectIdentifier: Int]

    init(_ members: [Consumer], _ shares: [UInt64], mayCut: Bool) {
        self.members = members
        self.mayCut = mayCut
        left = shares.map { Int64(clamping: $0) }
        var places: [ObjectIdentifier: Int] = [:]
        for (place, member) in members.enumerated() {
            if let holding = member.holding { places[ObjectIdentifier(holding)] = place }
        }
        self.places = places
    }

    func place(of holding: Holding) -> Int? { places[ObjectIdentifier(holding)] }

    /// Whose turn it is with `count` events; nil when all shares are used up. What one leaves the next one may have, and
    /// what one had beyond its share the next one has less.
    mutating func next(_ count: Int64, _ isReady: (Consumer) -> Bool) -> Int? {
        while turn < members.count {
            let fits = mayCut || turn == members.count - 1 || left[turn] * 2 >= count
            if left[turn] > 0, fits, isReady(members[turn]) { return turn }
            if turn + 1 < members.count { left[turn + 1] += left[turn] }
            turn += 1
        }
        return nil
    }
}

/// What becomes of a portion's events.
private struct Parting {
    /// Whose each is, by its place in the batch; nobody's are -1.
    var members: [Int]
    var waiting: [KeyedEvent] = []
    /// How many of the first events were decided on.
    var count: UInt64 = 0
}

extension Broker {
    /// Takes note that somebody's events have ordering keys.
    func noteKeys(of portion: Portion, _ subscription: Subscription) {
        guard portion.batch.keys != nil, let group = subscription.group, group.keys == nil, subscription.tracksKeys
        else { return }
        let queue = subscription.needQueue()
        group.keys = KeyTable(eventCountMax: queue.eventCountMax, lengthMax: queue.lengthMax)
    }

    /// Hands out what waits, key by key.
    func handOut(
        _ queue: DeliveryQueue, byKeys keys: KeyTable, of subscription: Subscription, to members: [Consumer],
        _ shares: [UInt64]
    ) {
        var shares = KeyedShares(members, shares, mayCut: queue.count < members.count)
        handWaiting(keys, of: subscription, &shares)
        while let first = queue.first, !keys.isOverfull, shares.next(Int64(first.eventCount), mayBeHanded) != nil {
            let parting = part(first, keys, &shares)
            guard parting.count > 0 else { break }
            hand(parting, of: queue, keys, subscription, shares.members)
        }
        // What was lost behind the last one is told now: perhaps nothing follows.
        if queue.isEmpty, let one = members.first(where: { canWrite($0.session) }) { tellMissed(one) }
    }

    // MARK: From the queue

    /// Decides on a portion's events, up to the first that has to stay in the queue's front.
    private func part(_ portion: Portion, _ keys: KeyTable, _ shares: inout KeyedShares) -> Parting {
        let batch = portion.batch
        var parting = Parting(members: [Int](repeating: -1, count: Int(batch.eventCount)))
        let room = keys.looksAhead ? keys.lookAheadCount - keys.waitingCount : 0
        // Events of a key stay together, whatever becomes of their first; nil for those that wait.
        var runs: [OrderedKey: Int?] = [:]
        for index in 0..<Int(batch.eventCount) where portion.selection.contains(index) {
            let key = batch.key(at: index)
            var member: Int?
            if let key, let run = runs[key] {
                member = run
            } else if let key, keys.isAwaited(key) {
                member = nil
            } else if let key, let holder = keys.holder(of: key) {
                member = shares.place(of: holder).flatMap { mayBeHanded(shares.members[$0]) ? $0 : nil }
            } else {
                member = shares.mayCut ? shares.next(1, mayBeHanded) : shares.turn
                guard member != nil else { break }
            }
            if let key { runs[key] = .some(member) }
            if let member {
                parting.members[index] = member
                shares.left[member] -= 1
            } else if let key, UInt64(parting.waiting.count) < room {
                var event = KeyedEvent(batch: batch, index: index, key: key, attempt: portion.attempt)
                event.isRepeated = portion.isRepeated
                parting.waiting.append(event)
            } else {
                break
            }
            parting.count += 1
        }
        return parting
    }

    /// Does what was decided on: hands out, and has wait.
    private func hand(
        _ parting: Parting, of queue: DeliveryQueue, _ keys: KeyTable, _ subscription: Subscription,
        _ members: [Consumer]
    ) {
        if let first = parting.members.first(where: { $0 >= 0 }) { tellMissed(members[first]) }
        guard let portion = take(parting.count, of: queue, subscription) else { return }
        for event in parting.waiting { wait(event, keys, subscription) }
        var refused: Set<Int> = []
        for member in Set(parting.members).sorted() where member >= 0 {
            let isIts = { (index: Int) in parting.members[index] == member }
            guard let selection = Selection(of: parting.members.count, where: isIts) else { continue }
            // Another of its session, or of its user's, may have had what there was room for. Then all that follow wait with
            // it, so that nobody is handed what lies behind before what lies in front.
            if refused.isEmpty, mayBeHanded(members[member]) {
                deliver(portion.of(selection), to: members[member])
            } else {
                refused.insert(member)
            }
        }
        let rest = Selection(of: parting.members.count) { refused.contains(parting.members[$0]) }
        guard !refused.isEmpty, var back = rest.map(portion.of) else { return }
        back.isPassed = true
        queue.prepend(back)
        charge(back, subscription)
    }

    // MARK: Beside the queue

    /// How many events are looked at for one member before some of them are handed out. Not tuned.
    private static let gatheredCountMax = 4096

    /// Hands out what waits beside the queue and can go: what only one can have before what anybody can.
    private func handWaiting(_ keys: KeyTable, of subscription: Subscription, _ shares: inout KeyedShares) {
        guard !keys.isEmpty else { return }
        var found = [[KeyedEvent]](repeating: [], count: shares.members.count)
        func gather(_ events: [KeyedEvent], for place: Int) -> Bool {
            found[place] += events
            shares.left[place] -= Int64(events.count)
            let member = shares.members[place]
            return found[place].count < Broker.gatheredCountMax
                && member.sentEvents + UInt64(found[place].count) < member.creditEvents
        }
        for (place, member) in shares.members.enumerated() {
            guard let holding = member.holding else { continue }
            keys.forEachRipe(of: holding, most: Broker.gatheredCountMax) { gather($0, for: place) }
        }
        keys.forEachRipe(of: nil, most: Broker.gatheredCountMax) { events in
            shares.next(1, mayBeHanded).map { gather(events, for: $0) } ?? false
        }
        for (place, events) in found.enumerated() {
            for portion in KeyedEvent.portions(events) {
                guard mayBeHanded(shares.members[place]) else { break }
                tellMissed(shares.members[place])
                portion.forEachKey { key, _ in removeFirst(key, keys, subscription, portion.batch) }
                deliver(portion, to: shares.members[place])
            }
        }
    }

    /// Has an event wait for its key.
    private func wait(_ event: KeyedEvent, _ keys: KeyTable, _ subscription: Subscription) {
        totals.eventsQueued += 1
        guard keys.wait(event) else { return }
        totals.bytesQueued += UInt64(event.batch.bytes.count)
        if subscription.isDurable {
            subscription.account.windowLength += event.batch.bytes.count
        } else {
            subscription.account.queued.charge(event.batch.bytes.count, from: event.batch.seal.publisher.uid)
            subscription.account.enlist(subscription)
        }
    }

    private func removeFirst(
        _ key: OrderedKey, _ keys: KeyTable, _ subscription: Subscription, _ batch: AcceptedBatch
    ) {
        totals.eventsQueued -= 1
        if keys.removeFirst(key) { returnWaiting(batch, subscription) }
    }

    /// Nothing of a batch waits any more.
    private func returnWaiting(_ batch: AcceptedBatch, _ subscription: Subscription) {
        totals.bytesQueued -= UInt64(batch.bytes.count)
        if subscription.isDurable {
            subscription.account.windowLength -= batch.bytes.count
        } else {
            subscription.account.queued.giveBack(batch.bytes.count, from: batch.seal.publisher.uid)
        }
    }

    /// Takes out all that waits beside the queue.
    func takeAllWaiting(of subscription: Subscription) -> [Portion] {
        guard let keys = subscription.group?.keys, !keys.isEmpty else { return [] }
        let portions = keys.portions
        totals.eventsQueued -= keys.waitingCount
        for batch in keys.waitingBatches { returnWaiting(batch, subscription) }
        keys.removeAllWaiting()
        return portions
    }

    /// Loses the oldest event that waits beside the queue.
    func dropWaiting(of subscription: Subscription, _ reason: Reason) {
        guard let queue = subscription.queue, let keys = subscription.group?.keys, let oldest = keys.oldest(),
            let selection = Selection(of: Int(oldest.batch.eventCount), where: { $0 == oldest.index })
        else { return }
        removeFirst(oldest.key, keys, subscription, oldest.batch)
        lose(Portion(oldest.batch, selection, attempt: oldest.attempt), of: subscription, reason, queue.missInFront)
    }

    // MARK: Again

    /// Puts back in front what was handed out and isn't done; what others of its key wait behind goes before these.
    func putBack(_ portion: Portion, _ subscription: Subscription) {
        var rest: Portion? = portion
        if let keys = subscription.group?.keys, !keys.isEmpty {
            let awaited = events(of: portion) { keys.isAwaited($0.key) }
            for event in awaited { wait(event, keys, subscription) }
            rest = portion.without(awaited)
        }
        guard let rest else { return }
        subscription.needQueue().prepend(rest)
        charge(rest, subscription)
    }

    /// Has events with a key wait for their next attempt, and what their consumer has of theirs behind them wait for them.
    ///
    /// - Returns: those without a key.
    func waitForKeys(
        _ portion: Portion, until due: Moment.Nanoseconds, _ held: Held, _ consumer: Consumer, _ reason: Reason
    ) -> Portion? {
        guard let keys = consumer.subscription.group?.keys else { return portion }
        var ordered = events(of: portion) { _ in true }
        var firsts: [OrderedKey: UInt64] = [:]
        for index in ordered.indices {
            ordered[index].due = due
            let event = ordered[index]
            firsts[event.key] = min(firsts[event.key] ?? .max, event.sequence)
            wait(event, keys, consumer.subscription)
        }
        takeBack(behind: firsts, from: consumer, held.delivery, keys, reason)
        return portion.without(ordered)
    }

    /// Takes back what a consumer has of some keys behind an event of each, so that it comes again behind that one. It
    /// doesn't count as an attempt: nobody has said anything of it.
    private func takeBack(
        behind firsts: [OrderedKey: UInt64], from consumer: Consumer, _ delivery: UInt64, _ keys: KeyTable,
        _ reason: Reason
    ) {
        guard let holding = consumer.holding else { return }
        let subscription = consumer.subscription
        // Nearly always that is nothing.
        let behind = Set(firsts.keys.flatMap { keys.deliveries(of: $0, from: delivery) })
        for held in behind.sorted().compactMap(holding.find) {
            let behind = events(of: held.portion) { $0.sequence > firsts[$0.key] ?? .max }
            let places = Set(behind.map(\.index))
            guard let selection = Selection(of: Int(held.portion.batch.eventCount), where: places.contains),
                let taken = holding.remove(selection, of: held.delivery)
            else { continue }
            giveBack(taken, of: consumer, isWhole: holding.find(held.delivery) == nil)
            note(taken, .returned, subscription, consumer, reason: reason, held: held)
            subscription.durable?.redeliveredCount += taken.eventCount
            for var event in behind {
                event.isRepeated = true
                wait(event, keys, subscription)
            }
        }
    }

    /// Those of a portion's events that have a key, as far as they are wanted.
    private func events(of portion: Portion, where isWanted: (KeyedEvent) -> Bool) -> [KeyedEvent] {
        var found: [KeyedEvent] = []
        portion.forEachKey { key, index in
            var event = KeyedEvent(batch: portion.batch, index: index, key: key, attempt: portion.attempt)
            event.isRepeated = portion.isRepeated
            if isWanted(event) { found.append(event) }
        }
        return found
    }

    /// What waited for its next attempt and is due can go.
    func ripen(_ subscription: Subscription) {
        guard let keys = subscription.group?.keys, !keys.isEmpty else { return }
        if let next = keys.ripen(at: now.monotonic) { lookAt(subscription, next) }
        unsettle(subscription)
    }
}

extension Portion {
    /// What is left of it without some events; nil for nothing.
    fileprivate func without(_ events: [KeyedEvent]) -> Portion? {
        guard !events.isEmpty else { return self }
        let places = Set(events.map(\.index))
        return Selection(of: Int(batch.eventCount)) { selection.contains($0) && !places.contains($0) }.map(of)
    }
}
