// What can happen in a world with a store, one at a time.

import BusBroker
import BusWire

extension DurableWorld {
    func act(_ action: DurableAction) throws(Violation) {
        switch action {
        case .publish, .later, .resend, .connect, .openSeal: try act(action, chance.pick(publishers))
        case .attend, .leave, .read, .credit: try subscribe(action)
        case .acknowledge, .settleOne, .retry, .reject, .extend: try settle(action)
        case .commit: try commit()
        case .commitSome: try commit(first: chance.within(1...3))
        case .hear: try hearCommit()
        case .answer: try answer()
        case .pass: try advance(UInt64(chance.pick([1, 5, 50, 150])) * 1_000_000)
        case .passLong: try advance(UInt64(chance.pick([1000, 2500, 5000])) * 1_000_000)
        case .clockStep: try setClock(Int64(chance.within(-120...120)) * 1_000_000)
        case .takeBack: try takeBack()
        case .block, .drain, .vanish: try act(action, chance.pickAny(sessions))
        case .crash: try die(isClean: false)
        case .stop: try stop()
        case .fill: store.bytesMax = store.bytesMax == .max ? knobs.storeLengthMax : .max
        case .purge, .declare, .undeclare, .create, .seek, .end, .redrive, .drop: try administer(action)
        }
    }

    /// Somebody sets the wall clock; not by so much that ids would be forgotten by a daemon that starts then.
    func setClock(_ offset: Int64) throws(Violation) {
        model.now.wall += offset - clockOffset
        clockOffset = offset
        model.waitings.clock.set(offset, at: model.now.monotonic)
        // It is looked at before it is set again.
        try endRound()
    }

    private func act(_ action: DurableAction, _ publisher: DurablePublisher) throws(Violation) {
        switch action {
        case .publish: try publish(publisher)
        case .later: try publish(publisher, due: pickDue())
        case .resend: try resend(publisher)
        case .openSeal: try openSeal(publisher, on: chance.pick(knobs.topics))
        default: try connect(publisher)
        }
    }

    private func act(_ action: DurableAction, _ session: SessionID?) throws(Violation) {
        guard let session else { return }
        switch action {
        case .block where blocked.insert(session).inserted: try handle(.blocked(session))
        case .drain where blocked.remove(session) != nil: try handle(.drained(session))
        case .vanish: try vanish(session)
        default: break
        }
    }

    func vanish(_ session: SessionID) throws(Violation) {
        gone(session)
        closing.removeAll { $0 == session }
        try handle(.disconnected(session))
    }

    func advance(_ nanoseconds: UInt64) throws(Violation) {
        // A runner calls at each deadline, and not only at the last.
        let end = model.now.monotonic + nanoseconds
        var count = 0
        while model.now.monotonic < end, count < 10_000 {
            let next = min(max(broker.nextDeadline ?? end, model.now.monotonic + 1), end)
            model.now.wall += Int64((next - model.now.monotonic) / 1000)
            model.now.monotonic = next
            try endRound()
            count += 1
        }
        note("time \(model.now.monotonic)")
    }

    // MARK: Subscribers

    private func subscribe(_ action: DurableAction) throws(Violation) {
        switch action {
        case .attend: try attend(chance.pick(knobs.names), in: try pickSession())
        case .read: try read(in: try pickSession())
        case .leave:
            let all = model.recordsInOrder.flatMap(\.consumers)
            guard let consumer = chance.pickAny(all), sessions.contains(consumer.session) else { return }
            model.leave(consumer.session, consumer.number)
            try handle(.received(consumer.session, .unsubscribe(subscription: consumer.number)))
        default:
            let credit = UInt64(chance.within(1...knobs.creditMax))
            if chance.chance(20), let reader = chance.pickAny(model.readers) {
                reader.credit += credit
                return try grant(reader.credit, reader.session, reader.number)
            }
            guard let consumer = chance.pickAny(model.recordsInOrder.flatMap(\.consumers)) else { return }
            consumer.credit += credit
            try grant(consumer.credit, consumer.session, consumer.number)
        }
    }

    private func grant(_ credit: UInt64, _ session: SessionID, _ number: UInt32) throws(Violation) {
        guard sessions.contains(session) else { return }
        try handle(.received(session, .credit(Credit(subscription: number, events: credit, bytes: 1 << 40))))
    }

    private func pickSession() throws(Violation) -> SessionID {
        if sessions.count < 6, chance.chance(40) { return try open(uid: chance.pick(knobs.users)) }
        if let session = chance.pickAny(sessions) { return session }
        return try open(uid: chance.pick(knobs.users))
    }

    /// Takes part in a durable subscription, or makes it.
    func attend(_ name: String, in session: SessionID, credit: UInt64? = nil) throws(Violation) {
        let mode = knobs.mode(of: name)
        nextRequest += 1
        let credit = credit ?? UInt64(chance.within(0...knobs.creditMax))
        let consumer = DurableConsumer(session: session, number: nextRequest, credit: credit)
        var request = Subscribe(
            subscription: nextRequest, filter: [], creditEvents: credit, creditBytes: 1 << 40,
            durableName: Array(name.utf8))
        if let record = model.record(named: name) {
            // One consumer, but for those that are shared or stand by.
            guard record.consumers.isEmpty || record.isShared || mode.contains(.exclusive) else { return }
            record.consumers.append(consumer)
        } else {
            try describe(&request, mode, name)
            model.starts[name] = request.start
            model.joining[name] = consumer
            if request.start?.isFoundAtOnce == false { seeking = .durable(name) }
        }
        try handle(.received(session, .subscribe(request)))
        model.starts[name] = nil
        model.joining[name] = nil
        seeking = nil
    }

    private func describe(_ request: inout Subscribe, _ mode: SubscribeMode, _ name: String) throws(Violation) {
        let filter = pickFilter()
        (request.filter, request.mode, request.settings) = (Array(filter.utf8), mode, knobs.settings)
        request.start = pickStart(filter)
    }

    /// A filter that can match something durable.
    func pickFilter() -> String {
        let isDeclared = store.disk.declarations.contains { "\($0.filter)" == "e.>" }
        return chance.pick(knobs.filters.filter { $0 != "e.>" || isDeclared })
    }

    func pickStart(_ filter: String) -> Start {
        let time = model.batches.isEmpty ? model.now.wall : chance.pick(model.batches).stored.time
        let places: [Start] = [.new, .all, .last, .since(time), .sequence(UInt64(chance.within(1...30)))]
        let hasWildcard = filter.contains("*") || filter.contains(">")
        return chance.pick(hasWildcard ? Array(places.dropLast()) : places)
    }

    /// Reads what is stored, and then what comes.
    private func read(in session: SessionID) throws(Violation) {
        guard model.readers.count < 6, let filter = try? TopicFilter(chance.pick(["d.>", "d.a", "d.b", "d.c.*"])) else {
            return
        }
        nextRequest += 1
        let start = pickStart("\(filter)")
        let credit = UInt64(chance.within(0...knobs.creditMax))
        let reader = DurableReader(session: session, number: nextRequest, filter: filter, credit: credit)
        reader.committed = model.heard
        if start.isFoundAtOnce { reader.expected = model.positions(from: start, before: model.heard, filter) }
        // Nothing is kept for one that begins with what is new.
        reader.isCaughtUp = start == .new
        seeking = start.isFoundAtOnce ? nil : .reader(session, nextRequest)
        model.readers.append(reader)
        try handle(
            .received(
                session,
                .subscribe(
                    Subscribe(
                        subscription: nextRequest, filter: filter.bytes, queueEventCount: 1_000_000,
                        queueLength: 1 << 28, creditEvents: credit, creditBytes: 1 << 40, start: start))))
        seeking = nil
    }

    /// A subscription is ended by the broker.
    func ended(_ number: UInt32, _ session: SessionID) { model.leave(session, number) }

    // MARK: Settling

    private func settle(_ action: DurableAction) throws(Violation) {
        let all = model.recordsInOrder.flatMap { record in record.consumers.map { (record, $0) } }
        guard let (record, consumer) = chance.pickAny(all.filter { !$0.1.holds.isEmpty }) else { return }
        // Word that comes after the wait may be late or not.
        model.expire(record)
        let live = consumer.holds.filter { model.now.monotonic < $0.deadline && !$0.positions.isEmpty }
        guard let hold = chance.pickAny(live) else { return }
        guard action == .acknowledge else { return try settle(action, hold, record, consumer) }
        let through = consumer.holds.filter { $0.delivery <= hold.delivery }
        let isCertain = consumer.holds.allSatisfy { hold in
            model.now.monotonic < hold.deadline
                && hold.positions.keys.allSatisfy { record.events[$0]?.isRecalled == false }
        }
        guard isCertain else { return }
        try acknowledge(through, hold.delivery, record, consumer)
    }

    func acknowledge(
        _ holds: [Hold], _ delivery: UInt64, _ record: DurableRecord, _ consumer: DurableConsumer
    ) throws(Violation) {
        model.note(record, consumer, "acknowledges", holds.flatMap(\.positions.keys).sorted())
        for hold in holds {
            for position in hold.positions.keys {
                model.settle(position, record)
                model.tally[.settled] += 1
            }
        }
        try handle(
            .received(
                consumer.session, .acknowledge(Acknowledge(subscription: consumer.number, delivery: delivery))))
    }

    private func settle(
        _ action: DurableAction, _ hold: Hold, _ record: DurableRecord, _ consumer: DurableConsumer
    ) throws(Violation) {
        // Of what is taken back soon nobody knows whether word comes in time.
        let all = hold.positions.filter { record.events[$0.key]?.isRecalled == false }.sorted { $0.key < $1.key }
        guard !all.isEmpty else { return }
        let isCertain = all.count == hold.positions.count
        let some = chance.chance(50) ? all : Array(all.prefix(chance.within(1...all.count)))
        let settlement: Settlement
        switch action {
        case .settleOne: settlement = .acknowledge
        case .retry: settlement = .retry
        case .reject: settlement = .reject
        default: settlement = .extend
        }
        model.say(settlement, of: action == .extend ? all.map(\.key) : some.map(\.key), hold, record)
        var bits = [UInt8](repeating: 0, count: ((some.map(\.value).max() ?? 0) >> 3) + 1)
        for (_, place) in some { bits[place >> 3] |= 1 << UInt8(place & 7) }
        let isWhole = isCertain && some.count == all.count && chance.chance(50) || action == .extend
        try handle(
            .received(
                consumer.session,
                .settle(
                    Settle(
                        settlement, subscription: consumer.number, delivery: hold.delivery,
                        delayMilliseconds: UInt32(chance.pick([0, 0, 20, 400])),
                        selection: isWhole ? .empty : SharedBytes(bits)))))
    }

    // MARK: Administrators

    private func administer(_ action: DurableAction) throws(Violation) {
        let session = try pickSession()
        let name = chance.pick(knobs.names)
        switch action {
        case .purge: try administer(.purgeTopic, key: chance.pick(knobs.topics), session, removes: true)
        case .declare: try administer(.createTopic, filter: "e.>", session)
        case .undeclare: try administer(.deleteTopic, filter: "e.>", session, removes: true)
        case .create:
            guard model.record(named: name) == nil else { return }
            let filter = pickFilter()
            let start = pickStart(filter)
            model.starts[name] = start
            if !start.isFoundAtOnce { seeking = .durable(name) }
            try administer(.createSubscription, key: name, filter: filter, start: start, session)
            (model.starts[name], seeking) = (nil, nil)
        case .seek: try seek(name, session)
        case .end:
            guard model.record(named: name) != nil else { return }
            model.ending.insert(name)
            try administer(.deleteSubscription, key: name, session)
        case .redrive: try administer(.redriveDead, key: name, session)
        default: try administer(.dropDead, key: name, session)
        }
    }

    private func seek(_ name: String, _ session: SessionID) throws(Violation) {
        guard let record = model.record(named: name) else { return }
        let start = pickStart("\(record.filter)")
        if start.isFoundAtOnce {
            model.begin(record, at: start, before: model.heard)
        } else {
            seeking = .durable(name)
        }
        try administer(.seekSubscription, key: name, start: start, session)
        seeking = nil
    }

    private func administer(
        _ operation: Operation, key: String = "", filter: String = "", start: Start? = nil, _ session: SessionID,
        removes: Bool = false
    ) throws(Violation) {
        nextRequest += 1
        model.isRemoving = removes
        model.hasRemoved = model.hasRemoved || removes
        try handle(
            .received(
                session,
                .administer(
                    Administer(
                        request: nextRequest, operation, key: key, filter: Array(filter.utf8),
                        mode: operation == .createSubscription ? knobs.mode(of: key) : [], start: start,
                        settings: operation == .createSubscription ? knobs.settings : []))))
        // Its answer comes when it is on disk, and another of its name may be there by then.
        if operation == .createSubscription { requests[nextRequest] = model.record(named: key)?.number }
        model.isRemoving = false
    }
}
