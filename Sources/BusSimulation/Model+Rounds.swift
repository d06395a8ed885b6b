// What may not be left over: after an input, and after a round.

import BusBroker
import BusWire

extension Model {
    /// After the broker has answered an input: nothing is owed that had to come with it.
    func checkAnswered(_ id: SessionID) throws(Violation) {
        guard let session = sessions[id] else { return }
        try expect(!session.mustClose, "session \(id) had to be closed: \(session.closeReasons)")
        try expect(session.owedAnswers.isEmpty, "session \(id) waits for \(session.owedAnswers)")
        try expect(session.owedRefusals.isEmpty, "session \(id) waits for \(session.owedRefusals)")
        try expect(session.owedBounds.isEmpty, "session \(id) waits for bounds: \(session.owedBounds)")
        try expect(!session.wasToldWhileBlocked, "session \(id) is blocked and was told receipts")
        try checkWords(session)
        for subscription in session.subscriptionsInOrder { relax(subscription.stream) }
    }

    /// After an input: whoever was told something of requests had to be.
    func checkWords() throws(Violation) {
        for session in sessionsInOrder where session.phase != .closed { try checkWords(session) }
    }

    /// What it was told of requests is what it was owed.
    private func checkWords(_ session: ModelSession) throws(Violation) {
        // Who said goodbye may be told or not.
        if session.phase != .open { (session.toldWords, session.owedWords) = ([], []) }
        for told in session.toldWords {
            if case .unanswered(let correlation, let reasons) = told,
                !session.owedWords.contains(where: { $0.allows(told) })
            {
                for reason in reasons { presumeLoss(correlation, reason, session) }
            }
            let index = session.owedWords.firstIndex { $0.allows(told) }
            guard let index else { throw Violation("session \(session.id) is told \(told) for no reason") }
            session.owedWords.remove(at: index)
        }
        session.toldWords = []
        settleDoubts(session)
        try expect(session.owedWords.isEmpty, "session \(session.id) waits for word: \(session.owedWords)")
    }

    /// A stall is over once half of the queue has gone.
    func relax(_ stream: ModelStream) {
        guard stream.isRelaxed, let since = stream.fullSince else { return }
        let isTimedOut = now.monotonic >= since + stream.stallTime || stream.mayBeTimedOut
        stream.mayBeTimedOut = isTimedOut && unsettledCount > 0
        stream.fullSince = nil
        stream.mayHaveRelaxed = false
    }

    /// After a round: everything that could be told was told.
    func checkRound() throws(Violation) {
        applyPolicies(ofGroups: true)
        for group in groups { group.look(at: now.monotonic) }
        for session in sessionsInOrder where session.phase != .closed {
            try checkAnswered(session.id)
            let isOverdue = session.phase == .greeting && now.monotonic >= session.helloDeadline
            try expect(!isOverdue, "session \(session.id) never said hello and is still here")
            let isLeft = session.phase == .leaving && session.pending.isEmpty
            try expect(!isLeft, "session \(session.id) said goodbye and is still here")
            let isPatient = !session.mustBeTold && session.patientUntil.map { now.monotonic < $0 } ?? false
            let isTold = session.isBlocked || isPatient || session.toldProgress == session.progress
            try expect(isTold, "session \(session.id) was told \(session.toldProgress), it is at \(session.progress)")
            guard canWrite(session) else { continue }
            for subscription in session.subscriptionsInOrder { try checkServed(subscription) }
        }
        for stream in streams { try expect(stream.endReason == nil, "\(stream.members[0].name) had to end") }
        try checkHeld()
        try checkAdvised()
        let isOverdue = drainDeadline.map { $0 <= now.monotonic } ?? false
        let isClosed = sessions.values.allSatisfy { $0.phase == .closed }
        try expect(!isOverdue || isClosed, "the shutdown's time is over and sessions are open")
    }

    /// Whoever could be told something was.
    private func checkServed(_ subscription: ModelSubscription) throws(Violation) {
        let (stream, name) = (subscription.stream, subscription.name)
        guard !isTight else { return }
        let isCaughtUp = subscription.storedCount == nil || stream.owed.contains { $0.isStored && $0.lost == nil }
        try expect(isCaughtUp, "\(name): got all that was kept, and wasn't told so")
        guard subscription.hasCredit, subscription.isOnDuty else { return }
        guard stream.group == nil || mayHold(subscription.session.uid) else { return }
        let waiting = stream.waiting.reduce(0) { $0 + UInt64(free($1, for: subscription).count) }
        let told = stream.gaps.reduce(0) { $0 + $1.count }
        try expect(waiting <= told, "\(name): could be delivered to and isn't")
    }
}
