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
            guard deadTally == nil else { return }
            deadTally = DeadLetterTally()
            measureDead(after: 0)
        case .unattended(let name, let since):
            log.warning(
                "nobody has attended subscription \(name) since \(since / 1_000_000) s after 1970: what it hasn't got is kept until somebody does, or deletes it"
            )
        }
    }

    /// Letters looked at in one go, and batches of them. Not tuned.
    private static let deadPage = 64

    /// How long the batches of all letters are, a page after the other.
    private func measureDead(after: UInt64) {
        deadPage(after: after) { own, letters in
            let new = Set(letters.map(\.position)).filter { own.deadTally?.knows($0) == false }
            let mailbox = own.mailbox
            own.store.lengths(at: new.sorted()) { result in
                // What can't be read counts nothing: less goes.
                let lengths = (try? result.get()) ?? [:]
                mailbox.put(.work { $0.count(letters, lengths) })
            }
        }
    }

    private func count(_ letters: [BusBroker.StoredDeadLetter], _ lengths: [UInt64: UInt64]) {
        for letter in letters {
            deadTally?.add(letter.position, length: Int64(clamping: min(lengths[letter.position] ?? 0, 1 << 32)))
        }
        guard letters.count == DurableStore.deadPage, let last = letters.last else { return trimDead(after: 0) }
        measureDead(after: last.number)
    }

    /// Lets go of the oldest, while they are too old or all of them too long.
    private func trimDead(after: UInt64) {
        let lengthMax = bounds.deadLetterLengthMax(ofStore: Int64(clamping: bytesMax))
        let oldest = broker.ageTime - bounds.deadLetterAgeMax.components.seconds * 1_000_000
        deadPage(after: after) { own, letters in
            var gone: [FoundDeadLetter] = []
            for letter in letters {
                guard letter.died < oldest || (own.deadTally?.length ?? 0) > lengthMax else { break }
                own.deadTally?.remove(letter.position)
                gone.append(FoundDeadLetter(letter))
            }
            if !gone.isEmpty { own.onInput(.deadTrimmed(gone)) }
            guard gone.count == DurableStore.deadPage, let last = letters.last else {
                own.deadTally = nil
                return
            }
            own.trimDead(after: last.number)
        }
    }

    private func deadPage(
        after: UInt64, _ done: @escaping @Sendable (DurableStore, [BusBroker.StoredDeadLetter]) -> Void
    ) {
        store.deadLetters(of: nil, after: after, countMax: DurableStore.deadPage) { [mailbox] result in
            let letters = ((try? result.get()) ?? []).map { BusBroker.StoredDeadLetter($0) }
            mailbox.put(.work { done($0, letters) })
        }
    }
}
