// What publishers of durable topics do: publish, lose their connection, and send again.

import BusBroker
import BusWire

extension DurableWorld {
    func connect(_ publisher: DurablePublisher) throws(Violation) {
        guard publisher.session == nil else { return }
        publisher.session = try open(uid: publisher.uid)
    }

    /// A session that has said hello.
    func open(uid: UInt32) throws(Violation) -> SessionID {
        let id = SessionID(nextSession)
        nextSession += 1
        sessions.append(id)
        try handle(.connected(id, PeerIdentity(uid: uid, gid: uid)))
        try handle(.authenticated(id, name: "peer \(id)"))
        return id
    }

    func openSeal(_ publisher: DurablePublisher, on topic: String) throws(Violation) {
        guard let session = publisher.session, publisher.seals[topic] == nil else { return }
        nextRequest += 1
        var salt = [UInt8](repeating: 0, count: 32)
        withUnsafeBytes(of: UInt64(nextRequest) << 32 | lives) { salt.replaceSubrange(0..<8, with: $0) }
        try handle(.received(session, .openSeal(OpenSeal(request: nextRequest, salt: salt, topic: Array(topic.utf8)))))
    }

    func sealOpened(_ order: SealOrder) {
        publishers.first { $0.session == order.session }?.seals["\(order.topic)"] = (order.seal, 0)
    }

    func publish(_ publisher: DurablePublisher, due: Int64? = nil) throws(Violation) {
        guard publisher.outbox.count < 40, publisher.outbox.allSatisfy({ $0.number != 0 }) else {
            // What was published before goes first.
            return try resend(publisher)
        }
        nextBatch += 1
        // Each of several can't be taken back by an id of its own: it is refused.
        let count = due == nil || chance.chance(5) ? chance.within(1...knobs.eventCountMax) : 1
        let keys = (0..<count).map { _ in chance.chance(knobs.keyPercent) ? UInt64(chance.within(1...3)) : 0 }
        publisher.outbox.append(
            Unreceipted(
                topic: chance.pick(knobs.topics), firstID: BusUUID(high: 7, low: nextBatch << 16),
                eventCount: UInt32(count), payloadLength: chance.within(0...40), keys: keys, due: due))
        try resend(publisher)
    }

    /// Sends what has no receipt and wasn't sent over this connection, in its order.
    func resend(_ publisher: DurablePublisher) throws(Violation) {
        for index in publisher.outbox.indices where publisher.outbox[index].number == 0 {
            let topic = publisher.outbox[index].topic
            if publisher.session == nil { try connect(publisher) }
            try openSeal(publisher, on: topic)
            guard let session = publisher.session, let seal = publisher.seals[topic] else { return }
            chooseDue(&publisher.outbox[index])
            publisher.outbox[index].number = publisher.nextPublish
            publisher.outbox[index].sentAt = model.waitings.tick
            publisher.nextPublish += 1
            publisher.seals[topic]?.counter += 1
            let event = publisher.outbox[index]
            var batch = SampleBatch(
                seal: seal.number, counter: seal.counter, eventCount: event.eventCount, firstID: event.firstID,
                payloadLength: event.payloadLength)
            if event.keys.contains(where: { $0 != 0 }) { batch.columns.orderingKey = .each(event.keys) }
            let publish = Publish(
                number: event.number, wantsReceipt: true, isPatient: chance.chance(30), mustBeDurable: true,
                isAgain: event.isAgain, due: event.due, batch: batch.bytes)
            try handle(.received(session, .publish(publish)))
            // It may have been closed for that.
            guard publisher.session == session, publisher.outbox.indices.contains(index + 1) else { return }
        }
    }

    /// What has a receipt is on disk, at the place it names.
    func receipted(_ receipts: Receipts, _ session: SessionID) throws(Violation) {
        guard let publisher = publishers.first(where: { $0.session == session }) else { return }
        for receipt in receipts.receipts {
            guard let index = publisher.outbox.firstIndex(where: { $0.number == receipt.number }) else {
                throw Violation("session \(session): a receipt for \(receipt.number), which waits for none")
            }
            let event = publisher.outbox.remove(at: index)
            try expect(receipt.isDurable, "session \(session): the receipt of \(event.topic) isn't durable")
            if try waits(event, receipt, publisher) { continue }
            for place in 0..<Int(event.eventCount) {
                let sequence = receipt.firstSequence + UInt64(place)
                let id = event.firstID.advanced(by: UInt64(place))
                let isThere = model.batches.contains { batch in
                    let at = Int(sequence) - Int(batch.stored.firstSequence)
                    return "\(batch.topic)" == event.topic && batch.stored.position < model.heard
                        && at >= 0 && at < Int(batch.stored.eventCount) && batch.id(at: at) == id
                }
                try expect(isThere, "session \(session): a receipt for \(event.topic) \(sequence), which isn't on disk")
            }
            model.tally[receipt.isDuplicate ? .known : .receipted] += 1
        }
    }

    func refused(_ error: ErrorFrame, _ session: SessionID) throws(Violation) {
        if error.inReplyTo == FrameType.administer.rawValue {
            requests[UInt32(error.request)] = nil
            try model.denied(UInt32(error.request), error.reason)
        }
        if error.inReplyTo == FrameType.subscribe.rawValue { model.leave(session, UInt32(error.request)) }
        guard error.inReplyTo == FrameType.publish.rawValue,
            let publisher = publishers.first(where: { $0.session == session }),
            let index = publisher.outbox.firstIndex(where: { $0.number == error.request })
        else { return }
        let event = publisher.outbox[index]
        let isForeseen =
            error.reason == .storeFull || error.reason == .notDurable
            || isForeseen(error.reason, of: event, publisher.uid)
        try expect(isForeseen, "session \(session): \(error.reason) \(error.message)")
        publisher.outbox.remove(at: index)
        model.tally[.refused] += 1
    }

    /// A session is gone, whoever ended it.
    func gone(_ session: SessionID) {
        guard sessions.contains(session) else { return }
        sessions.removeAll { $0 == session }
        blocked.remove(session)
        closing.append(session)
        publishers.first { $0.session == session }?.disconnect()
        model.leave(session)
    }
}
