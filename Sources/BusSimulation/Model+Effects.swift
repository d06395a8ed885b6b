// Whether each effect is one that the model expects, at this place in the order.

import BusBroker
import BusWire

extension Model {
    /// Checks an effect and takes note of it.
    func check(_ effect: Effect) throws(Violation) {
        switch effect {
        case .send(let id, let frame):
            let session = try session(id)
            try expect(session.phase != .closed, "session \(id) is sent a \(frame.type.name) after its end")
            session.isDirty = true
            try check(frame, session)
        case .openSeal(let order): try check(order)
        case .grant(let id, let topic, _):
            let session = try session(id)
            // A topic that was forgotten meanwhile is another one.
            let isNew = session.granted.insert(topic).inserted || reborn.contains(topic)
            try expect(isNew, "session \(id) is granted \(topic) twice")
        case .close(let id, let reason, let message): try checkClose(try session(id), reason, message)
        case .openOwnSeal(let seal, let topic, _): try noteOwnSeal(seal, topic)
        case .advise: break  // accepted when the runner has sealed it
        case .store, .read, .readDue, .seek, .retain, .administer, .inspect, .tend, .closeOwnSeal:
            throw Violation("something is asked of a store, and there is none")
        case .stopped:
            stoppedCount += 1
            try expect(isDraining && sessions.isEmpty && stoppedCount == 1, "stopped, and it isn't the end")
        }
    }

    private func checkClose(_ session: ModelSession, _ reason: Reason, _ message: String) throws(Violation) {
        try expect(session.phase != .closed, "session \(session.id) is closed twice")
        // What it published last is with everyone it was for.
        applyPolicies()
        var allowed = session.closeReasons
        if !session.isBlocked { allowed.remove(.notReading) }
        if session.phase == .greeting, now.monotonic >= session.helloDeadline { allowed.insert(.helloTimeout) }
        if isDraining { allowed.insert(.shuttingDown) }
        try expect(allowed.contains(reason), "session \(session.id) is closed: \(reason), \(message)")
        if reason == .goodbye {
            try expect(session.pending.isEmpty, "session \(session.id) is let go with publishes that wait")
        }
        let wasKnown = session.phase != .greeting
        session.phase = .closed
        session.mustClose = false
        session.wasToldWhileBlocked = false
        tally[.closed] += 1
        forget(session)
        if wasKnown { oweClosed(session, reason) }
    }

    private func check(_ order: SealOrder) throws(Violation) {
        let session = try session(order.session)
        try answer(session, .seal(order.request))
        let isFresh = !sessions.values.contains { $0.seals[order.seal] != nil }
        try expect(isFresh && order.seal > lastSeal, "seal \(order.seal) was given before")
        lastSeal = order.seal
        let life = topic(order.topic, uid: requester(of: order.topic)?.uid ?? session.uid)
        let told = BatchBounds(length: order.batchLengthMax, eventCount: order.batchEventCountMax)
        try expect(told == bounds(of: order.topic), "seal \(order.seal): \(told), \(order.topic) needs others")
        let seal = ModelSeal(
            number: order.seal, topic: order.topic, salt: order.salt, uid: session.uid, bounds: told)
        seal.life = life
        session.seals[order.seal] = seal
    }

    private func answer(_ session: ModelSession, _ answer: Answer) throws(Violation) {
        if isTight, case .subscribed(let number) = session.owedAnswers.first,
            answer == .refused(.subscribe, UInt64(number), [.quotaExceeded]),
            let subscription = session.subscriptions[number], subscription.stream.owed.contains(where: \.isStored)
        {
            // The last values it would begin with are more than its user may have queued.
            leave(subscription)
            session.owedAnswers.removeFirst()
            return
        }
        if case .seal(let request) = session.owedAnswers.first, session.doubtfulSeals.contains(request),
            answer == .refused(.openSeal, UInt64(request), [.quotaExceeded])
        {
            session.owedAnswers.removeFirst()
            return
        }
        guard let expected = session.owedAnswers.first, expected.allows(answer) else {
            let first = session.owedAnswers.first.map { "\($0)" } ?? "nothing"
            throw Violation("session \(session.id) is answered \(answer), owed is \(first)")
        }
        session.owedAnswers.removeFirst()
    }

    private func check(_ frame: Frame, _ session: ModelSession) throws(Violation) {
        switch frame {
        case .deliver(let deliver): try check(deliver, session)
        case .gap(let gap): try check(gap, session)
        case .caughtUp(let caughtUp): try check(caughtUp, session)
        case .receipts(let receipts): try check(receipts, session)
        case .announce(let announcement): try check(announcement, session)
        case .error(let error): try check(error, session)
        case .subscribed(let number): try answer(session, .subscribed(number))
        case .unsubscribed(let end): try check(end, session)
        case .unanswered(let word): try check(word, session)
        case .requestCancelled(let word):
            guard let topic = try? Topic(bytes: word.replyTopic) else { throw Violation("a bad reply topic is told") }
            session.toldWords.append(.cancelled(word.correlation, topic))
        case .inspected(let inspected):
            try answer(session, .inspected(inspected.request))
            try check(inspected, session)
        case .done(let type, let request):
            guard let type = FrameType(rawValue: type) else { throw Violation("done with nothing") }
            try answer(session, .done(type, request))
        case .sealLimits(let limits): try check(limits, session)
        case .closing: try expect(isDraining, "session \(session.id) is told of a shutdown that isn't")
        default: throw Violation("session \(session.id) is sent a \(frame.type.name)")
        }
    }

    private func check(_ end: Unsubscribed, _ session: ModelSession) throws(Violation) {
        let subscription = try subscription(end.subscription, session)
        let (stream, name) = (subscription.stream, subscription.name)
        if end.reason == .unsubscribed {
            try answer(session, .unsubscribed(end.subscription))
        } else {
            try checkOverflow(end.reason, stream, name)
        }
        try settleGaps(before: nil, subscription)
        let hasUntold = stream.owed.contains { $0.lost != nil && !$0.live.isEmpty }
        try expect(
            end.reason != .unsubscribed || stream.group != nil || !hasUntold, "\(name): ends, and losses aren't told")
        try compare(end, subscription)
        if end.reason != .unsubscribed { lose(stream.owed, of: stream, [end.reason]) }
        leave(subscription)
    }

    /// The account at its end: what it was sent, and what was lost to it, or to its group. Who unsubscribes gives up what
    /// waits; who is put out missed it.
    private func compare(_ end: Unsubscribed, _ subscription: ModelSubscription) throws(Violation) {
        let stream = subscription.stream
        let lost = stream.owed.filter { $0.lost != nil }.reduce(0) { $0 + $1.eventCount }
        let waiting = stream.queued.reduce(0) { $0 + $1.eventCount }
        let least = stream.missedCount + lost
        let most = end.reason == .unsubscribed ? least : stream.missedAtEnd ?? least + waiting
        if end.reason != .unsubscribed { stream.missedAtEnd = most }
        // Whose queue pays for its user's may be put out before what came last was for it; what it gives back may count;
        // of requests that nobody waits for any more some may have been lost before that.
        let withdrawn = stream.queued.reduce(0) { $0 + $1.withdrawn.count }
        let bound = least + waiting + UInt64(subscription.outstanding + withdrawn)
        let isShared = stream.group != nil && end.reason != .unsubscribed
        let isRight =
            isForeseen(stream) && !isShared
            ? end.missedCount == most : end.missedCount >= least && (isTight || isShared || end.missedCount <= bound)
        try expect(
            isRight && end.deliveredCount == subscription.sentEvents,
            "\(subscription.name): ends with \(end.deliveredCount) delivered and \(end.missedCount) missed, it was told "
                + "\(subscription.sentEvents) and \(stream.missedCount), lost are \(lost), \(waiting) wait")
    }

    /// A subscription is ended by the broker only where that is its policy.
    private func checkOverflow(_ reason: Reason, _ stream: ModelStream, _ name: String) throws(Violation) {
        try expect(stream.policy == .disconnect, "\(name): ended for \(reason)")
        if isForeseen(stream) {
            // Its last entry was accepted with the effects under way: the policy wasn't applied yet.
            try expect(reason == .queueFull && stream.isOverfull, "\(name): ended for \(reason), it isn't full")
        } else {
            try expect(reason == .queueFull || reason == .quotaExceeded, "\(name): ended for \(reason)")
        }
        tally[.overflowed] += 1
        stream.endReason = nil
    }

    private func check(_ error: ErrorFrame, _ session: ModelSession) throws(Violation) {
        guard !error.isFatal else { return }  // the close that follows is checked
        guard let type = FrameType(rawValue: error.inReplyTo) else { throw Violation("an error that answers nothing") }
        if error.reason == .quotaExceeded { tally[.quotaRefused] += 1 }
        guard type == .publish else { return try answer(session, .refused(type, error.request, [error.reason])) }
        guard let owed = session.owedRefusals.first, owed.number == error.request, owed.reasons.contains(error.reason)
        else {
            let owed = session.owedRefusals.first.map { "\($0)" } ?? "none"
            throw Violation(
                "publish \(error.request) of \(session.id) is refused: \(error.reason) \(error.message), owed is \(owed)"
            )
        }
        session.owedRefusals.removeFirst()
    }

    private func check(_ receipts: Receipts, _ session: ModelSession) throws(Violation) {
        let name = "session \(session.id)"
        let isForward = receipts.progress > session.toldProgress && receipts.progress <= session.progress
        try expect(isForward, "\(name): told progress \(receipts.progress) after \(session.toldProgress)")
        let owed = Array(session.owedReceipts.prefix { $0.number <= receipts.progress })
        try expect(
            owed.count == receipts.receipts.count,
            "\(name): \(receipts.receipts.count) receipts, not \(owed.count)")
        for (told, owed) in zip(receipts.receipts, owed) { try expect(told == owed, "\(name): \(told), not \(owed)") }
        session.owedReceipts.removeFirst(owed.count)
        let isRefused = !session.owedRefusals.contains { $0.number <= receipts.progress }
        try expect(isRefused, "\(name): receipts before a refusal they cover")
        session.toldProgress = receipts.progress
        session.mustBeTold = session.mustBeTold && session.toldProgress < session.progress
        session.patientUntil = nil
        session.untold.removeAll { $0.number <= receipts.progress }
        if session.isBlocked { session.wasToldWhileBlocked = true }
    }
}
