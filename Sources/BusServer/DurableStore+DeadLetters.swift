// Dead letters, as rows: one for each event, a page an answer.

import BusBroker
import BusStore
import BusWire
import Logging

/// What a row tells of a letter's batch. The bytes themselves aren't kept: a page may be of many batches.
private struct DeadBatch: Sendable {
    let topic: UInt64
    let firstSequence: UInt64
    let ids: [BusUUID]
    let length: Int

    init(_ batch: BusStore.StoredBatch) {
        topic = batch.topic.rawValue
        firstSequence = batch.firstSequence
        ids = batch.ids
        length = batch.body.count
    }
}

extension DurableStore {
    func listDead(_ session: SessionID, _ question: Inspect) {
        guard !question.key.isEmpty else { return listDead(session, question, of: nil) }
        if let name = try? GroupName(question.key), let number = broker.durableNumber(name) {
            return listDead(session, question, of: number)
        }
        findDead(question.key) { [mailbox] found in
            let first = DeadLetterPage.numberBefore(question.after)
            let letters = (found ?? []).map(\.letter).filter { $0.number > first }
            let some = Array(letters.prefix(DeadLetterPage.letterCountMax))
            let page = DeadLetterPage(of: some, after: question.after, isWhole: some.count == letters.count)
            mailbox.put(.work { $0.show(page, session, question) })
        }
    }

    private func listDead(_ session: SessionID, _ question: Inspect, of subscription: UInt64?) {
        let (first, countMax) = (DeadLetterPage.numberBefore(question.after), DeadLetterPage.letterCountMax)
        store.deadLetters(of: subscription, after: first, countMax: countMax) { [mailbox] result in
            let letters: [BusBroker.StoredDeadLetter]
            do throws(StoreError) { letters = try result.get().map { BusBroker.StoredDeadLetter($0) } } catch {
                return mailbox.put(.work { $0.cannotList(session, question, error) })
            }
            let page = DeadLetterPage(of: letters, after: question.after, isWhole: letters.count < countMax)
            mailbox.put(.work { $0.show(page, session, question) })
        }
    }

    /// A page of the database that can't be read is no reason to end, as it is where something is to be delivered.
    private func cannotList(_ session: SessionID, _ question: Inspect, _ error: StoreError) {
        log.error("dead letters can't be listed: \(error.description)")
        answer(session, question, [])
    }

    private func show(_ page: DeadLetterPage, _ session: SessionID, _ question: Inspect) {
        readDead(Set(page.letters.map(\.position)).sorted()[...], [:]) { own, batches in
            let rows = page.letters.flatMap { letter in
                batches[letter.position].map { own.rows(of: letter, $0) } ?? []
            }
            own.answer(session, question, rows, after: page.next)
        }
    }

    /// Reads each batch once, and one at a time: of what is long there is never more than one here.
    private func readDead(
        _ positions: ArraySlice<UInt64>, _ known: [UInt64: DeadBatch],
        _ done: @escaping @Sendable (DurableStore, [UInt64: DeadBatch]) -> Void
    ) {
        guard let position = positions.first else { return done(self, known) }
        store.batches(at: [position]) { [mailbox] result in
            let batch = (try? result.get())?.first.map { DeadBatch($0) }
            mailbox.put(
                .work { own in
                    var known = known
                    known[position] = batch
                    own.readDead(positions.dropFirst(), known, done)
                })
        }
    }

    /// A row for each event of a letter.
    private func rows(of letter: BusBroker.StoredDeadLetter, _ batch: DeadBatch) -> [[InspectedValue]] {
        batch.ids.indices.filter { letter.holds(letter.position + UInt64($0)) }.map { index in
            [
                InspectedValue("id", batch.ids[index].description),
                InspectedValue("topic", names[batch.topic]?.description ?? ""),
                InspectedValue("sequence", batch.firstSequence + UInt64(index)),
                InspectedValue("subscription", broker.durableName(letter.subscription)?.description ?? "(deleted)"),
                InspectedValue("reason", letter.reason.name),
                InspectedValue("message", letter.message),
                InspectedValue("attempts", UInt64(letter.attempts)),
                InspectedValue("accepted_at", UInt64(clamping: letter.accepted)),
                InspectedValue("died_at", UInt64(clamping: letter.died)),
                InspectedValue("bytes", UInt64(batch.length)),
            ]
        }
    }
}
