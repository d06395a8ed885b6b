// Requests: every responder that a request was for answers it finally, or the requester hears that it won't, unless
// nobody waits any more. An answer is delivered exactly where there was a right to it.

import BusBroker
import BusWire

extension Model {
    /// What is wrong with a batch of requests, as far as its columns show.
    func requestFault(_ batch: SampleBatch, _ session: ModelSession) -> Bool {
        var seen = Set(session.requests.map(\.correlation))
        return (0..<Int(batch.eventCount)).contains { place in
            guard let correlation = batch.columns.correlation[place], !correlation.isZero else { return true }
            guard batch.columns.replyTo[place] == session.replyTopic.bytes else { return true }
            return !seen.insert(correlation).inserted
        }
    }

    /// Opens the requests of a batch towards everyone who answers.
    func ask(_ sample: SampleBatch, _ batch: ModelBatch, _ session: ModelSession, _ responders: [ModelStream]) {
        for place in batch.places {
            let request = ModelRequest(
                sample.columns.correlation[place] ?? .zero, requester: session.id, topic: batch.topic)
            request.stands = responders.map { ($0, .waits) }
            session.requests.append(request)
            batch.requests.append(request)
        }
        tally[.asked] += 1
    }

    /// The request that an event on a reply topic answers, if its session may; uses the right up.
    func useRight(
        _ place: Int, of sample: SampleBatch, _ topic: Topic, _ session: ModelSession, _ hasMore: Bool
    ) -> Bool {
        guard let correlation = sample.columns.correlation[place],
            let request = openRequest(correlation, replyTopic: topic), request.rights(of: session) > 0
        else { return false }
        guard !hasMore else { return true }
        let index = request.stands.firstIndex {
            if case .may(let who) = $0.stand { who.session === session } else { false }
        }
        if let index { request.stands[index].stand = .over }
        closeIfOver(request)
        return true
    }

    private func openRequest(_ correlation: BusUUID, replyTopic: Topic) -> ModelRequest? {
        sessions.values.first { $0.replyTopic == replyTopic }?.requests.first { $0.correlation == correlation }
    }

    /// Whether a session may answer anything there.
    func hasRight(_ session: ModelSession, to replyTopic: Topic) -> Bool {
        sessions.values.contains { requester in
            requester.replyTopic == replyTopic && requester.requests.contains { $0.rights(of: session) > 0 }
        }
    }

    private func closeIfOver(_ request: ModelRequest) {
        guard request.isOver else { return }
        close(request)
    }

    /// Nobody waits for a request's answers any more: where it still lies it is neither delivered nor missed.
    private func close(_ request: ModelRequest) {
        request.isClosed = true
        sessions[request.requester]?.requests.removeAll { $0 === request }
        for (stream, _) in request.stands { withdraw(request, from: stream) }
    }

    /// An entry was delivered: whoever got it may answer.
    func giveRights(_ entry: OwedEntry, to subscription: ModelSubscription) {
        guard entry.isAnswerable else { return }
        for place in entry.live {
            let request = entry.batch.requests[place]
            guard let index = request.index(of: subscription.stream) else { continue }
            if case .waits = request.stands[index].stand { request.stands[index].stand = .may(subscription) }
        }
    }

    /// An entry goes from a member that is gone back to the group: its rights are not lost but wait again. What it has
    /// answered, and what nobody waits for any more, is done and doesn't come back.
    func rise(_ entry: OwedEntry, of subscription: ModelSubscription) {
        guard entry.isAnswerable else { return }
        entry.places.removeAll { place in
            let request = entry.batch.requests[place]
            guard !request.isClosed, let index = request.index(of: subscription.stream) else { return true }
            if case .may(let who) = request.stands[index].stand, who !== subscription { return true }
            // Which of a session's rights an answer used up makes no difference, as long as it has another.
            let right = request.stands.firstIndex { _, stand in
                if case .may(let who) = stand { who.session === subscription.session } else { false }
            }
            if case .over = request.stands[index].stand {
                guard let right else { return true }
                request.stands[right].stand = .over
            }
            request.stands[index].stand = .waits
            return false
        }
    }

    /// A session goes with rights it never used; who only unsubscribes may still answer.
    func loseRights(of session: ModelSession) {
        for requester in sessionsInOrder {
            for request in requester.requests {
                for index in request.stands.indices {
                    guard case .may(let who) = request.stands[index].stand, who.session === session else { continue }
                    giveUp(request, index, [.responderGone])
                }
            }
        }
    }

    /// Entries that never reached a responder take their requests with them.
    func lose(_ entries: [OwedEntry], of stream: ModelStream, _ reasons: Set<Reason>) {
        for entry in entries where entry.isAnswerable {
            for place in entry.places {
                let request = entry.batch.requests[place]
                guard let index = request.index(of: stream), case .waits = request.stands[index].stand else { continue }
                giveUp(request, index, reasons)
            }
        }
    }

    private func giveUp(_ request: ModelRequest, _ index: Int, _ reasons: Set<Reason>) {
        request.stands[index].stand = .over
        if request.presumedLosses > request.doubtfulLosses, !isForeseen(request.stands[index].stream) {
            if reasons == [.responderGone] { request.doubtfulLosses += 1 } else { request.presumedLosses -= 1 }
            return
        }
        guard let requester = sessions[request.requester], requester.requests.contains(where: { $0 === request }) else {
            return
        }
        if requester.phase == .open { requester.owedWords.append(.unanswered(request.correlation, reasons)) }
        closeIfOver(request)
    }

    /// Who went without word had lost it before.
    func settleDoubts(_ session: ModelSession) {
        for request in session.requests {
            request.presumedLosses -= request.doubtfulLosses
            request.doubtfulLosses = 0
            closeIfOver(request)
        }
    }

    /// A requester wants no answers any more.
    func cancel(_ correlation: BusUUID, _ session: ModelSession) {
        guard let request = session.requests.first(where: { $0.correlation == correlation }) else { return }
        cancel(request)
        tally[.cancelled] += 1
    }

    func cancelAll(_ session: ModelSession) {
        for request in session.requests { cancel(request) }
        session.requests = []
        topics[session.replyTopic] = nil
        reborn.insert(session.replyTopic)
        // Who could answer nobody any more can't publish there, either.
        for other in sessions.values {
            other.seals = other.seals.filter { $0.value.topic != session.replyTopic }
        }
    }

    private func cancel(_ request: ModelRequest) {
        for (_, stand) in request.stands {
            switch stand {
            case .may(let who):
                let word = Word.cancelled(request.correlation, request.replyTopic)
                // A session hears of it once, whatever rights it had.
                if who.session.phase == .open, !who.session.owedWords.contains(word) {
                    who.session.owedWords.append(word)
                }
            case .waits, .over: break
            }
        }
        close(request)
    }

    /// Whoever is ready passes over what nobody waits for any more.
    func passOverWithdrawn(_ stream: ModelStream) {
        let canTake = stream.members.contains { $0.hasCredit && $0.isOnDuty && canWrite($0.session) }
        guard isForeseen(stream), canTake else { return }
        stream.owed.removeFirst(stream.owed.prefix { $0.live.isEmpty && $0.lost == nil }.count)
    }

    /// What nobody waits for any more isn't delivered to those who would answer, and that is no loss.
    private func withdraw(_ request: ModelRequest, from stream: ModelStream) {
        for entry in stream.owed where entry.isAnswerable && entry.lost == nil {
            let places = entry.places.filter { entry.batch.requests[$0] === request }
            entry.withdrawn.formUnion(places)
            if !places.isEmpty, stream.policy == .stall { stream.isDoubtful = true }
        }
    }

    func check(_ word: Unanswered, _ session: ModelSession) throws(Violation) {
        tally[.unanswered] += 1
        session.toldWords.append(.unanswered(word.correlation, [word.reason]))
    }

    /// Where losses can't be foreseen, the requester may hear of one before the gap that tells it is due.
    func presumeLoss(_ correlation: BusUUID, _ reason: Reason, _ session: ModelSession) {
        guard let request = session.requests.first(where: { $0.correlation == correlation }) else { return }
        if reason == .responderGone, request.doubtfulLosses > 0 {
            request.doubtfulLosses -= 1
            session.owedWords.append(.unanswered(correlation, [reason]))
            return closeIfOver(request)
        }
        let waiting = request.stands.count { stream, stand in
            if case .waits = stand { !isForeseen(stream) } else { false }
        }
        guard reason != .responderGone, waiting > request.presumedLosses else { return }
        request.presumedLosses += 1
        session.owedWords.append(.unanswered(correlation, [reason]))
        closeIfOver(request)
    }
}
