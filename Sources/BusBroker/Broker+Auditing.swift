// What a broker claims to hold against what it does hold. Nothing here runs in the daemon: simulations and tests ask
// after every round, and a sum that was kept wrong is found where it went wrong rather than an hour later.

import BusWire
import HeapModule
import DequeModule

extension Broker {
    /// Everything that doesn't add up, in words; empty when all is well. Walks everything held.
    public func audit() -> [String] {
        var faults: [String] = []
        func expect(_ isTrue: Bool, _ fault: @autoclosure () -> String) { if !isTrue { faults.append(fault()) } }

        for subscription in subscriptionsInUse { audit(subscription, expect) }
        auditTotals(expect)
        for session in sessions.values { audit(session, expect) }
        for account in accounts.values { audit(account, expect) }
        for topic in topics.values { audit(topic, expect) }
        auditRequests(expect)
        return faults
    }

    /// Whether nothing is held for anybody: everyone is gone and every charge was given back. Topics and last values
    /// stay.
    public var isIdle: Bool {
        sessions.isEmpty && filters.count == storage?.numbers.count ?? 0 && groups.isEmpty && stalling.isEmpty
            && (filters.isEmpty || filters.count > 0) && storage?.hungry.isEmpty != false
            && parked.isEmpty && unsettled.isEmpty && departures.isEmpty && buried.isEmpty && greetings.isEmpty
            && !unreceipted.contains { $0.isUnreceipted }
            && accounts.values.allSatisfy(\.isIdle) && totals.eventsQueued == 0 && totals.bytesQueued == 0
    }

    /// How far a session's publishes are: the number of the last that was accepted or refused; nil when it is gone.
    public func progress(of session: SessionID) -> UInt64? { sessions[session]?.progress }

    private typealias Expect = (Bool, @autoclosure () -> String) -> Void

    private var consumersInUse: [Consumer] { sessions.values.flatMap(\.consumers.values) }

    private var subscriptionsInUse: [Subscription] {
        var found: [UInt64: Subscription] = [:]
        for subscription in storage?.numbers.values ?? [:].values { found[subscription.serial] = subscription }
        for consumer in consumersInUse { found[consumer.subscription.serial] = consumer.subscription }
        return Array(found.values)
    }

    private func auditTotals(_ expect: Expect) {
        let subscriptions = subscriptionsInUse
        expect(filters.count == subscriptions.count, "\(filters.count) filters, \(subscriptions.count) subscriptions")
        expect(
            groups.count == subscriptions.count { $0.isShared && !$0.isDurable }, "\(groups.count) groups are listed")
        let queued = subscriptions.reduce(0) { $0 + $1.waitingLength }
        expect(totals.bytesQueued == queued, "\(totals.bytesQueued) bytes counted as queued, \(queued) are")
        let events = subscriptions.reduce(0) { $0 + ($1.queue?.eventCount ?? 0) + ($1.group?.keys?.waitingCount ?? 0) }
        expect(totals.eventsQueued == events, "\(totals.eventsQueued) events counted as queued, \(events) are")
        let stalled = subscriptions.count { $0.stall != .none }
        expect(stalling.count == stalled, "\(stalling.count) subscriptions are listed as stalling, \(stalled) are")
        expect(parked.count == sessions.values.count { !$0.parked.isEmpty }, "the list of parked sessions is wrong")
        expect(!mayResume || parked.isEmpty, "publishes may go on and none is taken up")
        expect(unsettled.isEmpty, "a round ended and a group wasn't handed what waits")
        expect(departures.isEmpty && arrivals.isEmpty, "a round ended and nobody was told who came and went")
        expect(buried.isEmpty, "a round ended and nobody was told of dead letters")
        expect(
            ownSeals.count == ownTopics.values.count { $0.seal != nil }, "seals of the daemon's own are listed wrong")
    }

    private func audit(_ subscription: Subscription, _ expect: Expect) {
        let owner = subscription.consumers.first?.session.id.rawValue ?? 0
        let name = "subscription \(subscription.filter) of session \(owner)"
        if let durable = subscription.durable {
            expect(!subscription.isEnded, "\(name): has ended, and is listed")
            expect(accounts[durable.uid] === subscription.account, "\(name): charged to a stranger")
            audit(durable, of: subscription, name, expect)
        } else {
            let owner = subscription.consumers.first?.session.account
            expect(!subscription.isEnded && owner != nil, "\(name): has ended, and somebody has it")
            expect(owner === subscription.account, "\(name): charged to a stranger")
        }
        expect(subscription.isShared || subscription.consumers.count == 1, "\(name): shared, and no group")
        expect((stalling[subscription.serial] != nil) == (subscription.stall != .none), "\(name): stalls unlisted")
        expect(subscription.policy == .stall || subscription.stall == .none, "\(name): stalls without its policy")
        if let queue = subscription.queue { audit(queue, of: subscription, name, expect) }
        for consumer in subscription.consumers { audit(consumer, name, expect) }
        let holdings = subscription.consumers.compactMap(\.holding)
        for fault in subscription.group?.keys?.faults(holdings) ?? [] { expect(false, "\(name): \(fault)") }
    }

    private func audit(_ durable: Durable, of subscription: Subscription, _ name: String, _ expect: Expect) {
        let held = subscription.consumers.reduce(0) { $0 + $1.outstanding }
        expect(durable.outstanding == held, "\(name): \(durable.outstanding) events counted as held, \(held) are")
        let delayed = durable.delayed.unordered.reduce(0) { $0 + $1.portion.length }
        expect(
            durable.delayedLength == delayed,
            "\(name): \(durable.delayedLength) bytes counted as delayed, \(delayed) are")
        let committed = storage?.committed ?? 0
        let cursor = subscription.cursor(committed: committed)
        expect(
            subscription.floor(committed: committed) == min(cursor.next, cursor.pending.first?.first ?? .max),
            "\(name): what isn't settled begins elsewhere than its cursor says")
        guard subscription.consumers.isEmpty else { return }
        expect(!subscription.hasWaiting && durable.delayed.isEmpty, "\(name): nobody is there, and something waits")
        expect(!durable.catchUp.isLive, "\(name): nobody is there, and it goes on")
    }

    private func audit(_ queue: DeliveryQueue, of subscription: Subscription, _ name: String, _ expect: Expect) {
        let portions = Array(queue.portions)
        expect(queue.count == portions.count, "\(name): \(queue.count) portions counted, \(portions.count) queued")
        let length = portions.reduce(0) { $0 + $1.length }
        let count = portions.reduce(0) { $0 + $1.eventCount }
        expect(queue.length == length, "\(name): \(queue.length) bytes counted, \(length) queued")
        expect(queue.eventCount == count, "\(name): \(queue.eventCount) events counted, \(count) queued")
        guard !subscription.isDurable else { return }
        expect((queue.place != nil) == subscription.hasWaiting, "\(name): not where its user's queues are listed")
        expect(subscription.policy == .stall || !queue.isOverfull, "\(name): its queue is over its bounds")
        if subscription.policy == .latest {
            let topics = Set(portions.map { $0.batch.seal.topic.number })
            expect(subscription.isShared || topics.count == portions.count, "\(name): keeps two events of a topic")
        }
    }

    private func audit(_ consumer: Consumer, _ name: String, _ expect: Expect) {
        let subscription = consumer.subscription
        expect((consumer.holding != nil) == subscription.isShared, "\(name): holds something, and is no group")
        if let holding = consumer.holding {
            let held = holding.portions.reduce(0) { $0 + $1.portion.eventCount }
            expect(holding.eventCount == held, "\(name): \(holding.eventCount) events counted as held, \(held) are")
            let length = holding.portions.reduce(0) { $0 + Int($1.portion.length) }
            expect(holding.length == length, "\(name): \(holding.length) bytes counted as held, \(length) are")
        }
        if subscription.isShared {
            let isActive = !subscription.isExclusive || subscription.consumers.first === consumer
            let isAllowed = mayHold(consumer.session.account)
            let isOpen = subscription.durable?.mayHandOut ?? true
            let isReady =
                isActive && isAllowed && isOpen && consumer.hasCredit && subscription.hasAnything(for: consumer)
            expect(!isReady || !canWrite(consumer.session), "\(name): a member could be handed what waits")
            expect(!isReady || consumer.isWaiting, "\(name): a member could go on and isn't listed")
        } else {
            let isFilled = consumer.backlog.map { !$0.portions.isEmpty } ?? subscription.hasQueued
            let isReady = consumer.hasCredit && isFilled
            expect(!isReady || consumer.isWaiting, "\(name): could go on and isn't listed")
        }
    }

    private func audit(_ session: Session, _ expect: Expect) {
        let name = "session \(session.id)"
        let parkedLength = session.parked.reduce(0) { $0 + $1.publish.frameLength }
        expect(session.parkedLength == parkedLength, "\(name): its parked bytes are counted wrong")
        expect(session.untoldLength >= parkedLength, "\(name): what is parked doesn't count against its window")
        expect(session.waiting.allSatisfy(\.isWaiting), "\(name): lists a consumer that doesn't wait")
        expect(session.seals.values.allSatisfy { topics[$0.topic.name] === $0.topic }, "\(name): seal of a lost topic")
        let isOver = session.phase == .closing || session.phase == .leaving
        expect(!isOver || session.consumers.isEmpty, "\(name): still subscribes, and was closed")
        expect(!isOver || session.will == nil, "\(name): still has a will, and was closed")
        expect(session.phase != .closing || session.parked.isEmpty, "\(name): still publishes, and was closed")
        expect(session.phase != .closing || session.requests.isEmpty, "\(name): still asks, and was closed")
        expect(session.phase != .closing || session.rights.isEmpty, "\(name): may still answer, and was closed")
        expect(session.phase != .leaving || !session.parked.isEmpty, "\(name): stays, and nothing of it waits")
        expect(!session.isPatient || session.phase != .closing, "\(name): waits for word, and was closed")
        expect(session.announced.count <= configuration.announcedCountMax, "\(name): too many seals announced")
    }

    private func audit(_ account: Account, _ expect: Expect) {
        let name = "uid \(account.uid)"
        let own = sessions.values.filter { $0.account === account }
        let consumers = own.flatMap(\.consumers.values)
        expect(account.connectionCount == own.count, "\(name): its connections are counted wrong")
        let durables = storage?.numbers.values.filter { $0.account === account } ?? []
        expect(account.durableCount == durables.count, "\(name): its durable subscriptions are counted wrong")
        let subscriptionCount = consumers.count + durables.count
        expect(account.subscriptionCount == subscriptionCount, "\(name): its subscriptions are counted wrong")
        auditWindow(account, name, durables, consumers, expect)
        let queues = subscriptionsInUse.filter { $0.account === account && !$0.isDurable }
        let queued = queues.reduce(0) { $0 + Int($1.waitingLength) }
        let backlogs = consumers.reduce(0) { $0 + ($1.backlog?.catchUp == nil ? $1.backlog?.length ?? 0 : 0) }
        expect(account.queued.used == queued + backlogs, "\(name): charged \(account.queued.used), has \(queued)")
        expect(account.queued.used <= account.queued.limit, "\(name): queues more than its quota")
        expect(account.queues.count == queues.count { $0.hasWaiting }, "\(name): its queues are listed wrong")
        let kernel = own.reduce(0) { $0 + $1.kernelLength }
        expect(account.kernelLength == kernel, "\(name): charged \(account.kernelLength) kernel bytes")
        let seals = own.reduce(0) { $0 + $1.seals.count }
        expect(account.sealCount == seals, "\(name): \(account.sealCount) seals counted, \(seals) are open")
        let parked = own.reduce(0) { $0 + $1.parkedLength }
        expect(account.parkedLength == parked, "\(name): charged \(account.parkedLength) parked bytes, has \(parked)")
        let created = topics.values.count { $0.account === account }
        expect(account.topicCount == created, "\(name): charged for \(account.topicCount) topics, made \(created)")
        let held = consumers.reduce(0) { $0 + $1.outstanding }
        expect(account.outstandingEvents == held, "\(name): \(account.outstandingEvents) outstanding, holds \(held)")
        let heldLength = consumers.reduce(0) { $0 + ($1.holding?.length ?? 0) }
        expect(account.outstandingLength == heldLength, "\(name): charged \(account.outstandingLength) held bytes")
        expect(account.starved.allSatisfy { $0.session.account === account }, "\(name): starves a stranger's member")
        let requests = own.reduce(0) { $0 + $1.requests.count }
        expect(account.requestCount == requests, "\(name): \(account.requestCount) requests counted, has \(requests)")
        let values = topics.values.compactMap(\.retained).filter { $0.account === account }.reduce(0) { $0 + $1.length }
        let wills = own.reduce(0) { $0 + ($1.will?.length ?? 0) }
        let waiting = topics.values.compactMap { $0.scheduled[account.uid] }.reduce(Waiting(), +)
        expect(account.scheduled == waiting, "\(name): \(account.scheduled) counted as waiting, \(waiting) is")
        expect(account.retainedLength == values + wills, "\(name): charged \(account.retainedLength) retained bytes")
    }

    /// What is kept in memory of what is stored.
    private func auditWindow(
        _ account: Account, _ name: String, _ durables: [Subscription], _ consumers: [Consumer], _ expect: Expect
    ) {
        let queued = durables.reduce(0) { $0 + Int($1.waitingLength) + Int($1.durable?.delayedLength ?? 0) }
        let backlogs = consumers.reduce(0) { $0 + ($1.backlog?.catchUp == nil ? 0 : $1.backlog?.length ?? 0) }
        let reads = storage?.reads.values.count { $0.account === account } ?? 0
        let window = queued + backlogs + reads * CatchUp.readLength
        expect(account.windowLength == window, "\(name): charged \(account.windowLength) stored bytes, has \(window)")
    }

    private func audit(_ topic: TopicState, _ expect: Expect) {
        let name = "topic \(topic.name)"
        let seals = sessions.values.reduce(0) { sum, session in
            sum + session.seals.values.count { $0.topic === topic } + (session.will?.seal.topic === topic ? 1 : 0)
                + session.parked.count { $0.seal?.topic === topic }
        }
        let own = ownTopics[topic.name]?.seal == nil ? 0 : 1
        expect(topic.sealCount == seals + own, "\(name): \(topic.sealCount) seals counted, \(seals + own) are open")
        expect((retaining[topic.number] != nil) == (topic.retained != nil), "\(name): its last value is listed wrong")
        expect(!topic.isIdle || topic.isListedIdle || topic.name.isReply, "\(name): idle, and will never be forgotten")
    }

    /// Every right has its request and the other way round.
    private func auditRequests(_ expect: Expect) {
        for session in sessions.values {
            for request in session.requests.values {
                let name = "request \(request.correlation) of session \(session.id)"
                expect(!request.isOver, "\(name): nobody will answer, and it is open")
                for id in request.responders {
                    let right = sessions[id]?.rights.request(request.correlation, of: session.id)
                    expect(right === request, "\(name): session \(id) had it and may not answer")
                }
            }
            for request in session.rights.requests {
                let isOpen = request.requester.requests[request.correlation] === request
                expect(isOpen && request.responders.contains(session.id), "session \(session.id): a right to nothing")
            }
        }
    }
}
