// What requesters and responders do: ask, answer, answer twice or without having been asked, lose interest.

import BusBroker
import BusWire

extension World {
    func request(_ action: Action, _ session: ModelSession) throws(Violation) {
        if session.subscriptions.values.allSatisfy({ $0.stream.filter.bytes != session.replyTopic.bytes }),
            chance.chance(80)
        {
            try receive(.subscribe(makeSubscribe("\(session.replyTopic)")), session)
        }
        guard let seal = pickSeal(session) else { return }
        var batch = makeBatch(seal: seal.number, counter: seal.clientCounter)
        if chance.chance(60) { batch.eventCount = 1 }
        batch.columns.replyTo = .all(session.replyTopic.bytes)
        if let again = retried(by: session) {
            // Once more, under the same id: what a client does that got no answer.
            batch.eventCount = 1
            batch.firstID = again
        }
        batch.columns.correlation = .each((0..<Int(batch.eventCount)).map(batch.id))
        batch.columns.id = batch.columns.correlation
        asked[session.id, default: []] += (0..<Int(batch.eventCount)).map(batch.id)
        var publish = makePublish(batch, session)
        publish.isRequest = true
        if action == .badRequest {
            switch chance.below(5) {
            case 0: batch.columns.replyTo = .all(Array("$reply.999".utf8))
            case 1: batch.columns.correlation = .none
            case 2: publish.retains = true
            case 3: publish.hasMore = true
            default:
                let open = knobs.asksAgain ? session.requests.last?.correlation : nil
                batch.columns.correlation = .all(open ?? batch.id(at: 0))
            }
            publish.batch = batch.bytes
        }
        try self.publish(publish, batch, seal, session)
    }

    private func retried(by session: ModelSession) -> BusUUID? {
        guard knobs.asksAgain, chance.chance(30) else { return nil }
        let open = Set(session.requests.map(\.correlation))
        return chance.pickAny((asked[session.id] ?? []).filter { !open.contains($0) })
    }

    /// Answers what it may, as a peer would; or what it may not.
    func answer(_ action: Action, _ session: ModelSession) throws(Violation) {
        let open = model.sessionsInOrder.flatMap(\.requests)
        let mine = open.filter { $0.rights(of: session) > 0 }
        let candidates = action == .badAnswer && chance.chance(70) ? open : mine
        guard let request = chance.pickAny(candidates) else { return }
        let seals = session.seals.values.filter { $0.topic == request.replyTopic && $0.keyCheck != nil }
        guard let seal = seals.min(by: { $0.number < $1.number }) else {
            try openSeal(.openSeal, session, on: "\(request.replyTopic)")
            return try endRound()
        }
        var batch = makeBatch(seal: seal.number, counter: seal.clientCounter)
        var correlations = [request.correlation]
        // Some answer several requests of one session at once, and some of those nobody asked for.
        while chance.chance(30) {
            let sibling = chance.pickAny(candidates.filter { $0.requester == request.requester })
            correlations.append(chance.chance(30) ? batch.id(at: 1) : sibling?.correlation ?? request.correlation)
        }
        batch.eventCount = UInt32(correlations.count)
        batch.columns.correlation = .each(correlations)
        batch.columns.causation = batch.columns.correlation
        var publish = makePublish(batch, session)
        publish.hasMore = chance.chance(30)
        if action == .badAnswer, chance.chance(20) { publish.retains = true }
        try self.publish(publish, batch, seal, session)
    }

    func cancelRequest(_ session: ModelSession) throws(Violation) {
        let known = chance.pickAny(session.requests)?.correlation
        let other = chance.pickAny(model.sessionsInOrder.flatMap(\.requests))?.correlation
        guard let correlation = chance.chance(80) ? known : other ?? BusUUID(high: 1, low: 1) else { return }
        try receive(.cancelRequest(correlation: correlation), session)
    }
}
