// What became of an event, as rows: where it was published, and for every durable subscription what the ledger says and
// where it is now.

import BusBroker
import BusStore
import BusWire

extension DurableStore {
    /// Answers a question from what is stored.
    func inspect(_ session: SessionID, _ question: Inspect) {
        switch question.kind {
        case .deadLetters: listDead(session, question)
        case .trace: trace(session, question)
        case .scheduled: listScheduled(session, question)
        default: answer(session, question, [])
        }
    }

    func answer(_ session: SessionID, _ question: Inspect, _ rows: [[InspectedValue]], after: UInt64 = 0) {
        onInput(.inspected(session, request: question.request, rows, after: after))
    }

    // MARK: Traces

    /// Looks an event up by its id, then the ledger at its position; then the other events of its conversation.
    private func trace(_ session: SessionID, _ question: Inspect) {
        guard let id = BusUUID(question.key) else {
            return answer(session, question, [])
        }
        store.places(of: id) { [mailbox] result in
            let places = (try? result.get()) ?? []
            guard !places.isEmpty else { return mailbox.put(.work { $0.traceScheduled(session, question, id) }) }
            mailbox.put(
                .work { own in
                    own.describe(places.map { (id, $0) }[...], []) { rows in
                        mailbox.put(
                            .work { own in
                                own.converse(id, places, rows) { all in
                                    mailbox.put(.work { $0.answer(session, question, all) })
                                }
                            })
                    }
                })
        }
    }

    /// Rows of events, one after the other: what is known of each, and what became of it.
    func describe(
        _ events: ArraySlice<(BusUUID, EventPlace)>, _ rows: [[InspectedValue]],
        _ done: @escaping @Sendable ([[InspectedValue]]) -> Void
    ) {
        guard let (id, place) = events.first else { return done(rows) }
        let (store, mailbox) = (store, mailbox)
        store.batches(in: place.position..<place.position + 1, of: [place.topic], countMax: 1, bytesMax: 1) { result in
            let page = try? result.get()
            let batch = page?.batches.first
            let seal = batch.flatMap { page?.seals[$0.seal] }
            store.ledger(in: place.position..<place.position + 1, countMax: 4096) { result in
                let lines = (try? result.get()) ?? []
                DurableStore.words(on: lines, at: place.position, in: store) { words in
                    mailbox.put(
                        .work { own in
                            let described = own.rows(id, place, batch, seal, lines, words)
                            own.describe(events.dropFirst(), rows + described, done)
                        })
                }
            }
        }
    }

    /// What subscribers said of an event that they gave up, by subscription, as long as the dead letters are there.
    private static func words(
        on lines: [LedgerEntry], at position: UInt64, in store: Store,
        _ done: @escaping @Sendable ([UInt64: String]) -> Void
    ) {
        guard lines.contains(where: { $0.outcome == LedgerLine.Outcome.dead.rawValue }) else { return done([:]) }
        store.deadLetters(near: position, countMax: 4096) { result in
            let letters = ((try? result.get()) ?? []).map(BusBroker.StoredDeadLetter.init)
            done(
                Dictionary(letters.filter { $0.holds(position) }.map { ($0.subscription, $0.message) }) { $1 })
        }
    }

    private func rows(
        _ id: BusUUID, _ place: EventPlace, _ batch: BusStore.StoredBatch?, _ seal: BusStore.StoredSeal?,
        _ lines: [LedgerEntry], _ words: [UInt64: String]
    ) -> [[InspectedValue]] {
        let columns = batch.flatMap { try? SealedBatch($0.body) }.flatMap {
            try? BatchColumns($0.columns, eventCount: Int($0.header.eventCount))
        }
        let index = Int(place.position - (batch?.position ?? place.position))
        var rows = [
            [
                InspectedValue("what", "published"), InspectedValue("id", id.description),
                InspectedValue("topic", names[place.topic.rawValue]?.description ?? "(deleted)"),
                InspectedValue("sequence", place.sequence),
                InspectedValue("time", UInt64(clamping: place.accepted)),
                InspectedValue("uid", UInt64(place.publisher.uid)), InspectedValue("name", seal?.publisher ?? ""),
                InspectedValue("position", place.position),
                InspectedValue("stored", place.isStored ? 1 : 0),
                InspectedValue("correlation", text(columns?.correlation[index])),
                InspectedValue("causation", text(columns?.causation[index])),
            ]
        ]
        for (index, line) in lines.enumerated() {
            guard line.subscription != LedgerLine.requests else {
                rows.append(answer(to: id, line))
                continue
            }
            // Given up again after it was redriven, the letter that is there is of the last time.
            let isLast = !lines[(index + 1)...].contains {
                $0.subscription == line.subscription && $0.outcome == line.outcome
            }
            let isDead = line.outcome == LedgerLine.Outcome.dead.rawValue
            rows.append(row(id, line, message: isDead && isLast ? words[line.subscription] ?? "" : ""))
        }
        // What the ledger has the last word on needs no other.
        for now in broker.whereabouts(of: place.position, topic: place.topic.rawValue) where now.state != .settled {
            rows.append(row(id, now))
        }
        return rows
    }

    /// A column's id; nothing for none.
    private func text(_ id: BusUUID?) -> String { id.flatMap { $0.isZero ? nil : $0.description } ?? "" }

    /// What came of a request: the event that answers it, which isn't stored, or that there is none.
    private func answer(to id: BusUUID, _ line: LedgerEntry) -> [InspectedValue] {
        [
            InspectedValue("what", "answer"), InspectedValue("id", text(line.answer)),
            InspectedValue("causation", id.description), InspectedValue("state", name(of: line)),
            InspectedValue("session", line.session),
            InspectedValue("name", broker.sessionName(line.session, at: line.time) ?? ""),
            InspectedValue("time", UInt64(clamping: line.time)),
            InspectedValue("after_us", UInt64(clamping: line.time &- line.sent)),
            InspectedValue("reason", line.reason == 0 ? "" : Reason(rawValue: line.reason).name),
        ]
    }

    private func name(of line: LedgerEntry) -> String {
        LedgerLine.Outcome(rawValue: line.outcome).map { "\($0)" } ?? "outcome-\(line.outcome)"
    }

    private func row(_ id: BusUUID, _ line: LedgerEntry, message: String) -> [InspectedValue] {
        // Of what was given up without being handed out there is no such time.
        let after =
            line.sent == 0 ? [] : [InspectedValue("after_us", UInt64(clamping: line.time - line.sent))]
        return [
            InspectedValue("what", "delivery"), InspectedValue("id", id.description),
            InspectedValue("subscription", broker.durableName(line.subscription)?.description ?? "(deleted)"),
            InspectedValue("state", name(of: line)), InspectedValue("session", line.session),
            InspectedValue("name", broker.sessionName(line.session, at: line.time) ?? ""),
            InspectedValue("attempt", UInt64(line.attempt)),
            InspectedValue("time", UInt64(clamping: line.time)),
            InspectedValue("reason", line.reason == 0 ? "" : Reason(rawValue: line.reason).name),
            InspectedValue("message", message),
        ] + after
    }

    private func row(_ id: BusUUID, _ now: Whereabouts) -> [InspectedValue] {
        [
            InspectedValue("what", "delivery"), InspectedValue("id", id.description),
            InspectedValue("subscription", now.name.description),
            InspectedValue("state", now.state.rawValue), InspectedValue("session", now.session),
            InspectedValue("name", now.session == 0 ? "" : broker.sessionName(now.session, at: now.sent) ?? ""),
            InspectedValue("attempt", UInt64(now.attempt)), InspectedValue("time", UInt64(clamping: now.sent)),
            InspectedValue("reason", ""), InspectedValue("message", ""),
        ]
    }
}

extension BusStore.StoredBatch {
    /// The ids of its events.
    var ids: [BusUUID] {
        if let batch = try? SealedBatch(body), let columns = try? BatchColumns(batch.columns, eventCount: Int(count)),
            case .each(let ids) = columns.id
        {
            return ids
        }
        return (0..<count).compactMap { firstID.advanced(by: UInt64($0)) }
    }
}
