// Whether what a subscription is told is exactly the stream it was promised: every owed batch, in order, once, or a
// gap in its place.

import BusBroker
import BusWire

extension Model {
    private func subscription(_ number: UInt32, _ session: ModelSession) throws(Violation) -> ModelSubscription {
        guard let subscription = session.subscriptions[number] else {
            throw Violation("session \(session.id): subscription \(number) doesn't exist and is spoken to")
        }
        return subscription
    }

    func check(_ deliver: Deliver, _ session: ModelSession) throws(Violation) {
        let subscription = try subscription(deliver.subscription, session)
        let name = "\(session.id)/\(subscription.number)"
        guard let batch = subscription.owed.first else { throw Violation("\(name): a delivery of nothing it is owed") }
        let topic = batch.seal.topic
        try expect(
            deliver.batch == batch.bytes && deliver.firstSequence == batch.firstSequence,
            "\(name): delivered \(deliver.firstSequence), owed is \(topic) \(batch.firstSequence)")
        subscription.lastDelivery += 1
        try expect(deliver.delivery == subscription.lastDelivery, "\(name): delivery \(deliver.delivery) out of order")
        try expect(deliver.attempt == 1 && deliver.selection.isEmpty, "\(name): a delivery nobody asked to repeat")
        try expect(deliver.time == batch.time, "\(name): accepted at \(batch.time), delivered as of \(deliver.time)")

        try expect(subscription.hasCredit, "\(name): a delivery without credit")
        try expect(canWrite(session), "\(name): a delivery while its connection takes none")
        try expect(session.announced.contains(batch.seal.number), "\(name): a batch of a seal nobody announced")
        try expect(session.granted.contains(topic), "\(name): a batch of \(topic), whose secret wasn't granted")

        subscription.owed.removeFirst()
        subscription.told = []
        subscription.sentEvents += batch.eventCount
        subscription.sentBytes += UInt64(batch.bytes.count)
        session.roundLength += batch.bytes.count
        session.roundCount += 1
        tally.delivered += 1
        // It is written to anyway.
        if session.patientUntil != nil { session.mustBeTold = true }
    }

    func check(_ gap: Gap, _ session: ModelSession) throws(Violation) {
        let subscription = try subscription(gap.subscription, session)
        let name = "\(session.id)/\(subscription.number)"
        guard let topic = try? Topic(bytes: gap.topic), let count = gap.count else {
            throw Violation("\(name): a gap without topic or count")
        }
        let owed = subscription.owed.filter { $0.seal.topic == topic }
        let missed = Array(owed.prefix { $0.lastSequence <= gap.lastSequence })
        let isExact =
            missed.first?.firstSequence == gap.firstSequence && missed.last?.lastSequence == gap.lastSequence
            && missed.reduce(0) { $0 + $1.eventCount } == count
        try expect(
            isExact,
            "\(name): told it missed \(count) of \(topic), \(gap.firstSequence)-\(gap.lastSequence), owed begin at "
                + "\(owed.first?.firstSequence ?? 0)")
        try expect(
            gap.reason == (subscription.isStalling ? .stallTimedOut : .queueFull), "\(name): missed for \(gap.reason)")
        if !isTight, let last = missed.last { try checkNeed(of: last, subscription, name) }
        subscription.owed.removeAll { batch in missed.contains { $0 === batch } }
        subscription.told += missed
        subscription.missedCount += count
        tally.gaps += 1
        if subscription.isStalling { tally.stallGaps += 1 }
    }

    /// A batch is dropped only if it and what was accepted behind it exceed the queue.
    private func checkNeed(of dropped: OwedBatch, _ subscription: ModelSubscription, _ name: String) throws(Violation) {
        let rest = (subscription.owed + subscription.told).filter { $0.index >= dropped.index }
        let events = rest.reduce(0) { $0 + $1.eventCount }
        let length = rest.reduce(0) { $0 + UInt64($1.bytes.count) }
        let isNeeded = events > subscription.queueEventCount || length > subscription.queueLength
        try expect(isNeeded && rest.count > 1, "\(name): dropped \(events) events, its queue isn't full")
        if subscription.isStalling {
            let isOver = subscription.fullSince.map { now.monotonic >= $0 + subscription.stallTime } ?? false
            try expect(isOver, "\(name): dropped before its stall was over")
        }
    }

    func check(_ announcement: Announcement, _ session: ModelSession) throws(Violation) {
        let name = "session \(session.id)"
        if announcement.forgetsEarlier {
            try expect(session.announced.count >= configuration.announcedCountMax, "\(name): forgets too early")
            session.announced = []
            session.granted = []
            tally.forgotten += 1
        }
        try expect(session.announced.count < configuration.announcedCountMax, "\(name): remembers too much")
        let isNew = session.announced.insert(announcement.seal).inserted
        try expect(isNew, "\(name): seal \(announcement.seal) is announced twice")
        let seal = session.subscriptions.values.lazy.flatMap(\.owed).first { $0.seal.number == announcement.seal }?.seal
        guard let seal else { throw Violation("\(name): seal \(announcement.seal) is announced for nothing") }
        let isRight =
            announcement.salt == seal.salt && announcement.topic == seal.topic.bytes && announcement.uid == seal.uid
            && announcement.keyCheck == seal.keyCheck
        try expect(isRight, "\(name): seal \(announcement.seal) is announced as another's")
    }

    /// After the broker has answered an input: nothing is owed that had to come with it.
    func checkAnswered(_ id: SessionID) throws(Violation) {
        guard let session = sessions[id] else { return }
        try expect(!session.mustClose, "session \(id) had to be closed: \(session.closeReasons)")
        try expect(session.owedAnswers.isEmpty, "session \(id) waits for \(session.owedAnswers)")
        try expect(session.owedRefusals.isEmpty, "session \(id) waits for \(session.owedRefusals)")
        try expect(!session.wasToldWhileBlocked, "session \(id) is blocked and was told receipts")
        for subscription in session.subscriptions.values { relax(subscription) }
    }

    /// A stall is over once half of the queue has gone.
    private func relax(_ subscription: ModelSubscription) {
        guard subscription.fullSince != nil else { return }
        let isRelaxed =
            subscription.owedEvents <= subscription.queueEventCount / 2
            && subscription.owedLength <= subscription.queueLength / 2
        guard isRelaxed else { return }
        subscription.fullSince = nil
        subscription.mayHaveRelaxed = false
    }

    /// After a round: everything that could be told was told.
    func checkRound() throws(Violation) {
        for session in sessionsInOrder where session.phase != .closed {
            try checkAnswered(session.id)
            let isOverdue = session.phase == .greeting && now.monotonic >= session.helloDeadline
            try expect(!isOverdue, "session \(session.id) never said hello and is still here")
            let isLeft = session.phase == .leaving && session.pending.isEmpty
            try expect(!isLeft, "session \(session.id) said goodbye and is still here")
            let isPatient = !session.mustBeTold && session.patientUntil.map { now.monotonic < $0 } ?? false
            let isTold = session.isBlocked || isPatient || session.toldProgress == session.progress
            try expect(isTold, "session \(session.id) was told \(session.toldProgress), it is at \(session.progress)")
            guard !isTight, canWrite(session) else { continue }
            for subscription in session.subscriptions.values where subscription.hasCredit {
                let isServed = subscription.owed.isEmpty
                try expect(isServed, "\(session.id)/\(subscription.number): could be delivered to and isn't")
            }
        }
        try checkHeld()
        let isOverdue = drainDeadline.map { $0 <= now.monotonic } ?? false
        let isClosed = sessions.values.allSatisfy { $0.phase == .closed }
        try expect(!isOverdue || isClosed, "the shutdown's time is over and sessions are open")
    }
}
