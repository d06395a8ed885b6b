// Requests and answers. Nobody who would answer is an answer at once; whoever is handed a request may answer it, once
// or as a stream; whoever made it hears of everyone who won't answer any more; what is cancelled reaches those who work
// on it, and isn't handed to anybody else.
//
// Rights never come from ids: they are kept here, by session, and taken back with either side.

import BusWire

extension Broker {
    // MARK: Asking

    /// The requests of a batch, if it may be one: each with a correlation of its own, answers to its own session.
    func checkRequests(_ batch: SealedBatch, _ route: Route, _ session: Session) throws -> RequestBatch {
        let count = Int(batch.header.eventCount)
        let columns = try BatchColumns(batch.columns, eventCount: count)
        let own = Topic.reply(ofSession: session.id.rawValue)
        var correlations: [BusUUID] = []
        correlations.reserveCapacity(count)
        for index in 0..<count {
            guard columns.replyTo[index] == own.bytes else {
                throw PublishRefusal(.malformedBatch, "requests of this session must ask for answers on \(own)")
            }
            guard let correlation = columns.correlation[index], !correlation.isZero else {
                throw PublishRefusal(
                    .malformedBatch, "a request needs a correlation, or its answer can't be told apart")
            }
            correlations.append(correlation)
        }
        guard Set(correlations).count == count, !correlations.contains(where: { session.requests[$0] != nil }) else {
            throw PublishRefusal(.malformedBatch, "a request with the correlation of one that is still open")
        }
        guard route.responderCount > 0 else {
            throw PublishRefusal(.noResponders, "nobody is there who would answer")
        }
        let used = session.account.requestCount
        guard used + count <= configuration.quotas.requests else {
            throw PublishRefusal(
                QuotaFault(quota: "requests", used: used, limit: configuration.quotas.requests, uid: session.peer.uid))
        }
        return RequestBatch(requester: session.id, correlations: correlations)
    }

    /// Takes note of requests about to be handed out.
    func open(_ batch: RequestBatch, _ route: Route, _ session: Session) {
        for (place, correlation) in batch.correlations.enumerated() {
            session.requests[correlation] = OpenRequest(
                correlation, in: batch, at: place, of: session, waitingCount: route.responderCount)
        }
        session.account.requestCount += batch.correlations.count
        totals.requestsMade += UInt64(batch.correlations.count)
    }

    /// Nobody waits for answers any more: responders hear of it, and what still waits isn't handed out.
    func cancelRequest(_ correlation: BusUUID, of session: Session, _ reason: Reason = .requestCancelled) {
        guard let request = session.requests[correlation] else { return }
        note(.cancelled, request, by: session.id, reason: reason)
        let word = RequestCancelled(
            correlation: correlation, replyTopic: Topic.reply(ofSession: session.id.rawValue).bytes)
        for id in Set(request.responders).sorted(by: { $0.rawValue < $1.rawValue }) {
            guard let responder = sessions[id] else { continue }
            responder.rights.removeAll(request)
            if responder.phase == .open { emit(.send(id, .requestCancelled(word))) }
        }
        totals.requestsCancelled += 1
        forget(request)
    }

    func dropRequests(of session: Session) {
        for correlation in session.requests.keys.sorted() { cancelRequest(correlation, of: session, .sessionGone) }
    }

    func forget(_ request: OpenRequest) {
        guard request.requester.requests.removeValue(forKey: request.correlation) != nil else { return }
        request.requester.account.requestCount -= 1
    }

    // MARK: Handing out

    /// What of a portion a consumer gets: all of it, unless it answers requests, some of which nobody waits for any
    /// more. With what it gets comes the right to answer.
    func claim(_ portion: Portion, for consumer: Consumer) -> Portion? {
        guard portion.batch.requests != nil, consumer.subscription.responds else { return portion }
        guard let claimed = wanted(portion, by: consumer.subscription) else { return nil }
        forEachOpenRequest(of: claimed) { request in
            request.handed(to: consumer.session.id)
            consumer.session.rights.add(request)
        }
        return claimed
    }

    /// What of a portion a subscription still has a use for: of requests to be answered those that are open.
    func wanted(_ portion: Portion, by subscription: Subscription) -> Portion? {
        guard let batch = portion.batch.requests, subscription.responds else { return portion }
        guard let requester = sessions[batch.requester] else { return nil }
        let open = Selection(of: Int(portion.batch.eventCount)) {
            portion.selection.contains($0) && openRequest($0, in: batch, of: requester) != nil
        }
        return open.map(portion.of)
    }

    /// The request that is an event of a batch, while somebody waits for its answer.
    private func openRequest(_ index: Int, in batch: RequestBatch, of requester: Session) -> OpenRequest? {
        // Asked again with the same correlation it is another one, and this one stays cancelled.
        requester.requests[batch.correlations[index]].flatMap { $0.batch === batch ? $0 : nil }
    }

    /// All of a batch that somebody waits for.
    func openRequests(of batch: RequestBatch) -> [OpenRequest] {
        guard let requester = sessions[batch.requester] else { return [] }
        return batch.correlations.indices.compactMap { openRequest($0, in: batch, of: requester) }
    }

    /// A member that held a portion is gone: requests in it that it hasn't answered wait again. What it has answered, or
    /// nobody waits for, is done.
    func takeBackRights(_ portion: Portion, from consumer: Consumer) -> Portion? {
        guard let batch = portion.batch.requests, consumer.subscription.responds else { return portion }
        guard let requester = sessions[batch.requester] else { return nil }
        let undone = Selection(of: Int(portion.batch.eventCount)) { index in
            guard portion.selection.contains(index), let request = openRequest(index, in: batch, of: requester),
                removeRight(to: request, from: consumer.session)
            else { return false }
            request.waitingCount += 1
            return true
        }
        return undone.map(portion.of)
    }

    /// A subscription that answers won't be handed these any more: their requesters hear why.
    func giveUp(_ portion: Portion, of subscription: Subscription, _ reason: Reason) {
        guard subscription.responds else { return }
        forEachOpenRequest(of: portion) { request in
            request.waitingCount -= 1
            tellUnanswered(request, reason)
        }
    }

    private func forEachOpenRequest(of portion: Portion, _ body: (OpenRequest) -> Void) {
        guard let batch = portion.batch.requests, let requester = sessions[batch.requester] else { return }
        for index in batch.correlations.indices where portion.selection.contains(index) {
            if let request = openRequest(index, in: batch, of: requester) { body(request) }
        }
    }

    /// Uses a right up; false where there is none.
    private func removeRight(to request: OpenRequest, from session: Session) -> Bool {
        guard session.rights.remove(request) else { return false }
        request.taken(from: session.id)
        return true
    }

    /// - Parameter session: who had it; nil if nobody did.
    func tellUnanswered(_ request: OpenRequest, _ reason: Reason, by session: SessionID? = nil) {
        let requester = request.requester
        note(.unanswered, request, by: session, reason: reason)
        // Who said goodbye waits for no answer.
        if requester.phase == .open {
            let word = Unanswered(correlation: request.correlation, reason: reason)
            emit(.send(requester.id, .unanswered(word)))
        }
        if request.isOver { forget(request) }
    }

    /// A session is gone: what it might have answered it won't.
    func dropRights(of session: Session) {
        for request in session.rights.requests {
            while removeRight(to: request, from: session) { tellUnanswered(request, .responderGone, by: session.id) }
        }
    }

    // MARK: Answering

    /// Whether a session may answer anything on a reply topic.
    func mayAnswer(on topic: Topic, _ session: Session) -> Bool {
        requester(of: topic).map { session.rights.hasAny(of: $0.id) } ?? false
    }

    /// Whose answers go to a topic.
    func requester(of topic: Topic) -> Session? {
        guard let number = topic.replySession else { return nil }
        return sessions[SessionID(number)]
    }

    /// Which events of a batch of answers there is a right to; using it up, unless more follow.
    func checkAnswers(
        _ batch: SealedBatch, _ publish: Publish, _ topic: TopicState, _ session: Session
    ) throws -> Selection {
        let count = Int(batch.header.eventCount)
        let columns = try BatchColumns(batch.columns, eventCount: count)
        guard let requester = requester(of: topic.name) else {
            throw PublishRefusal(.noReplyRight, "who asked is gone")
        }
        let allowed = Selection(of: count) { index in
            guard let correlation = columns.correlation[index],
                let request = session.rights.request(correlation, of: requester.id)
            else { return false }
            guard !publish.hasMore else { return true }
            let isRight = removeRight(to: request, from: session)
            if isRight {
                note(.answered, request, by: session.id, answer: columns.id(at: index, from: batch.header.firstID))
            }
            if request.isOver { forget(request) }
            return isRight
        }
        guard let allowed else {
            throw PublishRefusal(.noReplyRight, "nobody waits for this answer, or it was given already")
        }
        totals.answersGiven += UInt64(allowed.count(of: count))
        return allowed
    }

    /// A requester is gone: its reply topic with it, and the seals others have on it.
    func forgetReplyTopic(of session: Session) {
        guard let topic = topics[Topic.reply(ofSession: session.id.rawValue)] else { return }
        for (number, id) in topic.answering {
            guard let responder = sessions[id], let seal = removeSeal(number, of: responder) else { continue }
            if responder.recentSeal === seal { responder.recentSeal = nil }
        }
        topic.answering = [:]
        topic.sealCount = 0
        forget(topic)
    }

    // MARK: Circuits

    /// Takes note of a client's own word that it asks nobody on a topic for a while.
    func noteCircuit(_ circuit: Circuit, _ session: Session) {
        let topic: Topic
        do throws(NameFault) {
            topic = try Topic(bytes: circuit.topic)
        } catch {
            return refuse(session, .circuit, request: 0, .badTopic, "topic \(error)")
        }
        guard circuit.state != Circuit.State.closed.rawValue else {
            session.openCircuits.remove(topic)
            return
        }
        guard session.openCircuits.count < Limits.circuitCountMax || session.openCircuits.contains(topic) else {
            let fault = QuotaFault(
                quota: "circuits per session", used: session.openCircuits.count, limit: Limits.circuitCountMax,
                uid: session.peer.uid)
            return refuse(session, .circuit, request: 0, .quotaExceeded, fault.message)
        }
        if session.openCircuits.insert(topic).inserted { totals.circuitsOpened += 1 }
    }
}
