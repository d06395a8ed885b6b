// Dead letters that the store found: given back to their subscriptions, or forgotten.

import BusWire

extension Broker {
    /// Dead letters go back to the subscriptions that gave them up, and to nobody else.
    ///
    /// - Returns: how many events that is.
    func redrive(_ letters: [FoundDeadLetter]) -> UInt64 {
        // Of a subscription that is deleted there is nobody to go back to.
        let wanted = letters.filter { storage?.numbers[$0.letter.subscription] != nil }
        // All of one subscription's at once: there may be very many.
        for (number, letters) in Dictionary(grouping: wanted, by: \.letter.subscription).sorted(by: { $0.key < $1.key })
        {
            guard let storage, let subscription = storage.numbers[number], let durable = subscription.durable else {
                continue
            }
            touch(subscription)
            // What it has to get anyway, having gone back to it, or since that it was given up on wasn't saved before a crash,
            // doesn't come twice.
            let cursor = subscription.cursor(committed: storage.committed)
            let again = PendingRange.settled(letters.flatMap(\.ranges), by: cursor)
            guard !again.isEmpty else { continue }
            durable.catchUp.readAgain(again, committed: storage.committed)
            fellBehind(subscription)
            readOn(.durable(subscription))
        }
        // Where they go back to comes first: in between they would be lost.
        if !wanted.isEmpty { save() }
        forget(wanted)
        return wanted.reduce(0) { $0 + UInt64($1.eventCount) }
    }

    /// Dead letters are kept no longer, or some events of them.
    func forget(_ letters: [FoundDeadLetter]) {
        for letter in letters {
            if let durable = storage?.numbers[letter.letter.subscription]?.durable {
                // Somebody else may have dropped the same ones while the store looked for them.
                durable.deadCount -= min(durable.deadCount, UInt64(letter.eventCount))
            }
            store(.removeDeadLetter(letter.letter.number, events: letter.letter.selection))
        }
    }
}

/// A dead letter that was found in the store.
public struct FoundDeadLetter: Sendable {
    /// The letter.
    public var letter: StoredDeadLetter

    /// A letter that was found.
    public init(_ letter: StoredDeadLetter) { self.letter = letter }

    /// How many events it is of.
    var eventCount: Int { Int(letter.eventCount) }

    /// Their positions, to be tried once more.
    var ranges: [PendingRange] {
        let places = (0..<letter.selection.count * 8).filter { letter.holds(letter.position + UInt64($0)) }
        return PendingRange.joined(
            places.map { PendingRange(first: letter.position + UInt64($0), count: 1, attempts: 0) }, before: .max)
    }
}

extension StoredDeadLetter {
    /// Whether it is of the event at a position.
    public func holds(_ place: UInt64) -> Bool {
        guard place >= position, place - position < UInt64(selection.count * 8) else { return false }
        let index = Int(place - position)
        return selection[index >> 3] & 1 << UInt8(index & 7) != 0
    }

    /// The same of these events alone; nil where it is of none of them.
    public func only(_ places: Set<UInt64>) -> StoredDeadLetter? {
        var letter = self
        for index in 0..<UInt64(selection.count * 8) where !places.contains(position + index) {
            letter.selection[Int(index >> 3)] &= ~(1 << UInt8(index & 7))
        }
        return letter.selection.contains { $0 != 0 } ? letter : nil
    }
}
