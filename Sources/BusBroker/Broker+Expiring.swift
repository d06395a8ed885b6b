// Events expire: their publisher says when, and who would be handed one later is told that it missed it.
//
// A publisher says a moment by the clock that people set. Of that only the time from accepting to expiring is taken, and it
// passes as things grow old (AgeClock): a clock that is set, before or afterwards, makes nothing expire early. A batch keeps
// one moment, of the last event that expires; the others follow from their columns.

import BusWire

/// When events of a batch expire, in their publisher's words.
private struct ExpiryWords {
    private let column: Column<Int64>
    private let count: Int
    /// The end of the year 9999: whoever says more means never.
    private static let ceiling: Int64 = 253_402_300_800_000_000

    init(_ batch: AcceptedBatch) {
        count = Int(batch.eventCount)
        let sealed = try? SealedBatch(batch.bytes)
        let columns = sealed.flatMap {
            $0.mayExpire ? try? BatchColumns($0.columns, eventCount: Int(batch.eventCount)) : nil
        }
        column = columns?.expiry ?? .none
    }

    /// An event's; nil for never.
    subscript(index: Int) -> Int64? {
        guard let word = column[index], word != 0, word <= ExpiryWords.ceiling else { return nil }
        return word
    }

    var bounds: (first: Int64, last: Int64)? {
        let all = (0..<count).compactMap { self[$0] }
        guard let first = all.min(), let last = all.max() else { return nil }
        return (first, last)
    }

    /// When an event expires that says one thing, where the last one says another and expires then.
    static func moment(of word: Int64, _ last: Int64, _ expiry: Int64) -> Int64 {
        let (earlier, isOver) = last.subtractingReportingOverflow(word)
        guard !isOver else { return .min }
        let (moment, isUnder) = expiry.subtractingReportingOverflow(earlier)
        return isUnder ? .min : moment
    }
}

extension AcceptedBatch {
    /// Takes note of when its events expire, of a batch that is accepted now.
    ///
    /// - Parameters:
    ///   - wall: what the clock says by which its publisher reckons.
    ///   - time: what time it is for things that grow old.
    func expires(by wall: Int64, _ time: Int64) {
        guard let (first, last) = ExpiryWords(self).bounds else { return }
        let (left, isOver) = last.subtractingReportingOverflow(wall)
        expiry = time + (isOver ? 0 : max(left, 0))
        firstExpiry = ExpiryWords.moment(of: first, last, expiry ?? time)
    }

    /// Takes note of when its events expire, of a batch from the store.
    func expires(last expiry: Int64) {
        guard let (first, last) = ExpiryWords(self).bounds else { return }
        self.expiry = expiry
        firstExpiry = ExpiryWords.moment(of: first, last, expiry)
    }

    /// The events of a selection that haven't expired; nil where all have.
    func unexpired(_ selection: Selection, at time: Int64) -> Selection? {
        let words = ExpiryWords(self)
        guard let expiry, let last = words.bounds?.last else { return selection }
        return Selection(of: Int(eventCount)) { index in
            guard selection.contains(index) else { return false }
            return words[index].map { ExpiryWords.moment(of: $0, last, expiry) > time } ?? true
        }
    }
}

extension SealedBatch {
    /// Whether it has the column, by the bitmap that leads the columns; nearly always not, and then nothing is read.
    var mayExpire: Bool {
        guard header.columnsLength > 4 else { return false }
        let columns = columns
        return columns.count > 4 && columns[1] & 0b1100 != 0
    }
}

extension Broker {
    /// What of a portion may still be handed over. Of the rest its consumer is told, unless it is kept as a dead letter.
    func unexpired(_ portion: Portion, for consumer: Consumer) -> Portion? {
        guard portion.batch.expiry != nil, portion.batch.firstExpiry <= ageTime else { return portion }
        let (batch, subscription) = (portion.batch, consumer.subscription)
        let fresh = batch.unexpired(portion.selection, at: ageTime)
        guard fresh != portion.selection else { return portion }
        let late = Selection(of: Int(batch.eventCount)) {
            portion.selection.contains($0) && fresh?.contains($0) != true
        }
        if let late {
            let expired = portion.of(late)
            var missed = MissedEvents()
            if let durable = subscription.durable {
                bury(expired, subscription, nil, nil, .expired, "")
                missed = durable.missed.take()
            } else {
                lose(expired, of: subscription, .expired) { missed.note($0, $1) }
            }
            tell(missed, to: consumer)
        }
        return fresh.map(portion.of)
    }
}
