// What a broker claims to hold against what it does hold. Nothing here runs in the daemon: simulations and tests ask
// after every round, and a sum that was kept wrong is found where it went wrong rather than an hour later.

import BusWire
import DequeModule

extension Broker {
    /// Everything that doesn't add up, in words; empty when all is well. Walks everything held.
    public func audit() -> [String] {
        var faults: [String] = []
        func expect(_ isTrue: Bool, _ fault: @autoclosure () -> String) { if !isTrue { faults.append(fault()) } }

        let subscriptions = sessions.values.flatMap(\.subscriptions.values)
        expect(filters.count == subscriptions.count, "\(filters.count) filters, \(subscriptions.count) subscriptions")
        for subscription in subscriptions { auditQueue(of: subscription, expect) }
        let queued = subscriptions.reduce(0) { $0 + $1.queue.length }
        expect(totals.bytesQueued == queued, "\(totals.bytesQueued) bytes counted as queued, \(queued) are")
        let events = subscriptions.reduce(0) { $0 + $1.queue.eventCount }
        expect(totals.eventsQueued == events, "\(totals.eventsQueued) events counted as queued, \(events) are")
        let stalled = subscriptions.count { $0.stall != .none }
        expect(stalling.count == stalled, "\(stalling.count) subscriptions are listed as stalling, \(stalled) are")

        for session in sessions.values { audit(session, expect) }
        expect(parked.count == sessions.values.count { !$0.parked.isEmpty }, "the list of parked sessions is wrong")
        expect(!mayResume || parked.isEmpty, "publishes may go on and none is taken up")
        for account in accounts.values { audit(account, expect) }
        return faults
    }

    /// Whether nothing is held for anybody: everyone is gone and every charge was given back. Topics stay.
    public var isIdle: Bool {
        sessions.isEmpty && filters.count == 0 && filters.isEmpty && stalling.isEmpty && parked.isEmpty
            && !unreceipted.contains { $0.isUnreceipted } && greetings.isEmpty && accounts.values.allSatisfy(\.isIdle)
            && totals.eventsQueued == 0 && totals.bytesQueued == 0
    }

    /// How far a session's publishes are: the number of the last that was accepted or refused; nil when it is gone.
    public func progress(of session: SessionID) -> UInt64? { sessions[session]?.progress }

    private typealias Expect = (Bool, @autoclosure () -> String) -> Void

    private func auditQueue(of subscription: Subscription, _ expect: Expect) {
        let name = "subscription \(subscription.number) of session \(subscription.session.id)"
        let queue = subscription.queue
        let length = queue.batches.reduce(0) { $0 + UInt64($1.bytes.count) }
        let count = queue.batches.reduce(0) { $0 + UInt64($1.eventCount) }
        expect(queue.length == length, "\(name): \(queue.length) bytes counted, \(length) queued")
        expect(queue.eventCount == count, "\(name): \(queue.eventCount) events counted, \(count) queued")
        expect(subscription.policy != .dropOldest || !queue.isOverfull, "\(name): its queue is over its bounds")
        expect((stalling[subscription.serial] != nil) == (subscription.stall != .none), "\(name): stalls unlisted")
        expect(subscription.policy == .stall || subscription.stall == .none, "\(name): stalls without its policy")
        let isReady = subscription.hasCredit && !queue.isEmpty
        expect(!isReady || subscription.isWaiting, "\(name): could go on and isn't listed")
    }

    private func audit(_ session: Session, _ expect: Expect) {
        let name = "session \(session.id)"
        let parkedLength = session.parked.reduce(0) { $0 + $1.publish.frameLength }
        expect(session.parkedLength == parkedLength, "\(name): its parked bytes are counted wrong")
        expect(session.untoldLength >= parkedLength, "\(name): what is parked doesn't count against its window")
        expect(session.waiting.allSatisfy(\.isWaiting), "\(name): lists a subscription that doesn't wait")
        expect(session.seals.values.allSatisfy { topics[$0.topic.name] === $0.topic }, "\(name): seal of a lost topic")
        let isOver = session.phase == .closing || session.phase == .leaving
        expect(!isOver || session.subscriptions.isEmpty, "\(name): still subscribes, and was closed")
        expect(session.phase != .closing || session.parked.isEmpty, "\(name): still publishes, and was closed")
        expect(session.phase != .leaving || !session.parked.isEmpty, "\(name): stays, and nothing of it waits")
        expect(!session.isPatient || session.phase != .closing, "\(name): waits for word, and was closed")
        expect(session.announced.count <= configuration.announcedCountMax, "\(name): too many seals announced")
    }

    private func audit(_ account: Account, _ expect: Expect) {
        let name = "uid \(account.uid)"
        let own = sessions.values.filter { $0.account === account }
        let subscriptions = own.flatMap(\.subscriptions.values)
        expect(account.connectionCount == own.count, "\(name): its connections are counted wrong")
        expect(account.subscriptionCount == subscriptions.count, "\(name): its subscriptions are counted wrong")
        let queued = subscriptions.reduce(0) { $0 + Int($1.queue.length) }
        expect(account.queuedLength == queued, "\(name): charged \(account.queuedLength) queued bytes, has \(queued)")
        let parked = own.reduce(0) { $0 + $1.parkedLength }
        expect(account.parkedLength == parked, "\(name): charged \(account.parkedLength) parked bytes, has \(parked)")
        let created = topics.values.count { $0.account === account }
        expect(account.topicCount == created, "\(name): charged for \(account.topicCount) topics, made \(created)")
    }
}
