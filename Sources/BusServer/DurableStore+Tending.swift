// What is looked after beside serving: dead letters that are too old or too many, and word of subscriptions that nobody
// attends.

import BusBroker
import BusStore
import BusWire
import Logging

extension DurableStore {
    func tend(_ care: StoreCare) {
        switch care {
        case .deadLetters:
            guard !isTending else { return }
            isTending = true
            measureDead(after: 0, length: 0)
        case .unattended(let name, let since):
            log.warning(
                "nobody has attended subscription \(name) since \(since / 1_000_000) s after 1970: what it hasn't got is kept until somebody does, or deletes it"
            )
        }
    }

    /// Letters looked at in one go, with their batches. Not tuned.
    private static let deadPage = 64

    /// How long the batches of all letters are, a page after the other.
    private func measureDead(after: UInt64, length: Int64) {
        deadPage(after: after) { own, letters in
            let sum = length + letters.reduce(0) { $0 + $1.length }
            guard letters.count < DurableStore.deadPage else {
                return own.measureDead(after: letters.last?.letter.number ?? 0, length: sum)
            }
            own.trimDead(after: 0, length: sum)
        }
    }

    /// Lets go of the oldest, while they are too old or all of them too long.
    private func trimDead(after: UInt64, length: Int64) {
        let lengthMax = bounds.deadLetterLengthMax(ofStore: Int64(clamping: bytesMax))
        let oldest = broker.ageTime - bounds.deadLetterAgeMax.components.seconds * 1_000_000
        deadPage(after: after) { own, letters in
            var left = length
            var gone: [FoundDeadLetter] = []
            for (letter, length) in letters {
                guard letter.died < oldest || left > lengthMax else { break }
                left -= length
                gone.append(FoundDeadLetter(letter))
            }
            if !gone.isEmpty { own.onInput(.deadTrimmed(gone)) }
            guard gone.count == letters.count, letters.count == DurableStore.deadPage, let last = letters.last else {
                own.isTending = false
                return
            }
            own.trimDead(after: last.letter.number, length: left)
        }
    }

    private func deadPage(
        after: UInt64,
        _ done: @escaping @Sendable (DurableStore, [(letter: BusBroker.StoredDeadLetter, length: Int64)]) -> Void
    ) {
        store.deadLetters(of: nil, after: after, countMax: DurableStore.deadPage) { [mailbox, store] result in
            let letters = ((try? result.get()) ?? []).map { BusBroker.StoredDeadLetter($0) }
            store.batches(at: letters.map(\.position)) { result in
                let lengths = Dictionary(
                    ((try? result.get()) ?? []).map { ($0.position, Int64($0.body.count)) }
                ) { first, _ in first }
                mailbox.put(.work { done($0, letters.map { ($0, lengths[$0.position] ?? 0) }) })
            }
        }
    }
}
