// Somebody who listens to what is told of dead letters: each letter is told once, in its subscription's order, in the
// round in which the broker hears that it is on disk, and nothing else is told.

import BusBroker
import BusWire

/// What is to be told of dead letters, and to whom.
struct Telling {
    struct Letter {
        let ticket: UInt64
        let stored: StoredDeadLetter
        let name: GroupName
        /// Whether somebody listened when it was made, and ever since.
        var isOwed: Bool
    }

    /// The number of the listener's subscription, which no other one gets.
    static let subscription = UInt32.max

    var listener: SessionID?
    /// Letters that weren't told yet, oldest first.
    var letters: [Letter] = []
    /// The last ticket of which the broker has heard that it is on disk.
    var heard: UInt64 = 0
    /// The daemon's own seals, and the next counter of each.
    var seals: [UInt64: (topic: Topic, counter: UInt64)] = [:]
    /// Topics without a seal, as none could be had: what is to be told there waits.
    var muted: Set<Topic> = []
}

extension DurableWorld {
    /// Has somebody listen, on some time.
    func listen() throws(Violation) {
        if let listener = telling.listener, sessions.contains(listener) { return }
        telling.listener = nil
        guard chance.chance(10) else { return }
        let session = try open(uid: chance.pick(knobs.users))
        telling.listener = session
        let request = Subscribe(
            subscription: Telling.subscription, filter: Array("$dead.>".utf8), creditEvents: 1 << 40,
            creditBytes: 1 << 40)
        try handle(.received(session, .subscribe(request)))
    }

    func noteLetter(_ ticket: UInt64, _ write: StoreWrite) {
        guard knobs.listens, case .deadLetter(let letter) = write, let record = model.records[letter.subscription],
            let name = try? GroupName(record.name)
        else { return }
        telling.letters.append(.init(ticket: ticket, stored: letter, name: name, isOwed: isListenedTo))
    }

    private var isListenedTo: Bool { telling.listener.map { sessions.contains($0) } ?? false }

    /// Whether an effect is the daemon's own publishing, which is carried out at once.
    func publishOwn(_ effect: Effect) throws(Violation) -> Bool {
        switch effect {
        case .openOwnSeal(let seal, let topic, _): try openOwn(seal, topic)
        case .closeOwnSeal(let seal):
            let closed = telling.seals.removeValue(forKey: seal)
            try expect(closed != nil, "the daemon closes its seal \(seal), which isn't open")
        case .advise(let seal, let advisories): try advise(seal, advisories)
        default: return false
        }
        return true
    }

    private func openOwn(_ seal: UInt64, _ topic: Topic) throws(Violation) {
        try expect(knobs.listens, "the daemon wants to tell something on \(topic), and nobody listens")
        lastSeal = max(lastSeal, seal)
        guard !chance.chance(10) else {
            telling.muted.insert(topic)
            return broker.handle(.ownSealFailed(seal: seal), at: model.now)
        }
        telling.muted.remove(topic)
        telling.seals[seal] = (topic, 0)
        let (salt, check) = ([UInt8](repeating: 1, count: 32), [UInt8](repeating: 2, count: 16))
        broker.handle(.ownSealOpened(seal: seal, salt: salt, keyCheck: check), at: model.now)
    }

    private func advise(_ seal: UInt64, _ advisories: [Advisory]) throws(Violation) {
        guard let (topic, counter) = telling.seals[seal] else {
            throw Violation("the daemon tells something under its seal \(seal), which isn't open")
        }
        for advisory in advisories {
            guard case .deadLetter(let word) = advisory, topic.description == "$dead.\(word.subscription)" else {
                throw Violation("\(advisory) is told on \(topic)")
            }
            try told(word)
        }
        model.tally[.advised] += advisories.count
        telling.seals[seal] = (topic, counter + 1)
        let batch = SampleBatch(seal: seal, counter: counter, eventCount: UInt32(advisories.count))
        broker.handle(.advised(seal: seal, batch: batch.bytes), at: model.now)
    }

    private func told(_ word: DeadLetterWord) throws(Violation) {
        guard let index = telling.letters.firstIndex(where: { isOf(word, $0) }) else {
            throw Violation("\(word) is told, and there is no such letter, or it was told before")
        }
        let before = telling.letters[..<index].filter {
            $0.name == word.subscription && $0.isOwed && model.records[$0.stored.subscription] != nil
        }
        try expect(before.isEmpty, "\(word) is told, before it \(before) weren't")
        try expect(telling.letters[index].ticket <= telling.heard, "\(word) is told, and isn't on disk")
        // Of the same events given up on twice one may have been made when nobody listened, and waits for nobody.
        let owed = telling.letters.firstIndex { $0.isOwed && $0.ticket <= telling.heard && isOf(word, $0) }
        telling.letters.remove(at: owed ?? index)
    }

    private func isOf(_ word: DeadLetterWord, _ letter: Telling.Letter) -> Bool {
        let stored = letter.stored
        guard letter.name == word.subscription, stored.reason == word.reason, stored.attempts == word.attempts,
            let batch = store.disk.batches.first(where: { $0.position == stored.position })
        else { return false }
        let places = (0..<UInt64(batch.eventCount)).filter { stored.holds(stored.position + $0) }
        return places.first == word.sequences.lowerBound &- batch.firstSequence
            && places.last == word.sequences.upperBound &- batch.firstSequence
            && places.count == word.eventCount && batch.firstID.advanced(by: places.first ?? 0) == word.id
    }

    /// After a round nothing is left untold that is on disk and that somebody wants to hear.
    func checkTold() throws(Violation) {
        guard !telling.letters.isEmpty else { return }
        if !isListenedTo { for index in telling.letters.indices { telling.letters[index].isOwed = false } }
        var waiting: [Telling.Letter] = []
        for letter in telling.letters {
            let isMuted = telling.muted.contains { $0.description == "$dead.\(letter.name)" }
            guard letter.ticket <= telling.heard, !isMuted else {
                waiting.append(letter)
                continue
            }
            let isGone = model.records[letter.stored.subscription] == nil
            try expect(
                !letter.isOwed || isGone, "a letter of \(letter.name) is on disk and isn't told: \(letter.stored)")
        }
        telling.letters = waiting
    }
}
