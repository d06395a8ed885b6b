// Which events of dead letters one answer of a listing tells of: as many as fit in a frame, whatever letters they are of. A
// letter can have as many events as a batch, each with its message, so a page may end in the middle of one.

import BusBroker
import BusWire

/// A page of a listing of dead letters.
struct DeadLetterPage: Sendable {
    /// Letters that a page is made of, at most: as many batches may have to be read for it. Not tuned.
    static let letterCountMax = 256
    /// Bytes of a page: below the shortest limit of a frame that a daemon can have, which is two batches.
    static let lengthMax = Limits.batchLengthMax * 3 / 2
    /// What a row takes beside its message: names, numbers, an id, a topic and a subscription of 255 bytes each.
    static let rowLength = 1024

    /// The page's letters, each of the events that the page tells of.
    private(set) var letters: [BusBroker.StoredDeadLetter] = []
    /// What to ask after for the next page; 0 when this is the last.
    private(set) var next: UInt64 = 0

    /// A page's beginning.
    ///
    /// - Parameters:
    ///   - letters: ascending, from the one that `after` lies in.
    ///   - after: where the page before ended.
    ///   - isWhole: whether there are no letters behind these.
    init(of letters: [BusBroker.StoredDeadLetter], after: UInt64, isWhole: Bool) {
        var (length, last) = (0, after)
        for letter in letters {
            let rowLength = DeadLetterPage.rowLength + letter.message.utf8.count
            var part = letter
            part.selection = [UInt8](repeating: 0, count: letter.selection.count)
            for index in letter.selected where DeadLetterPage.place(letter.number, index) > after {
                guard length == 0 || length + rowLength <= DeadLetterPage.lengthMax else {
                    append(part)
                    next = last
                    return
                }
                length += rowLength
                last = DeadLetterPage.place(letter.number, index)
                part.selection[index >> 3] |= 1 << UInt8(index & 7)
            }
            append(part)
        }
        guard !isWhole, let letter = letters.last else { return }
        next = DeadLetterPage.place(letter.number, Limits.batchEventCountMax - 1)
    }

    private mutating func append(_ part: BusBroker.StoredDeadLetter) {
        if part.selection.contains(where: { $0 != 0 }) { letters.append(part) }
    }

    /// Where an event of a letter is in a listing. Letters are counted from 1, and one a microsecond wouldn't reach the
    /// end in a hundred years.
    private static func place(_ number: UInt64, _ index: Int) -> UInt64 {
        number &* UInt64(Limits.batchEventCountMax) &+ UInt64(index)
    }

    /// The number behind which a page's letters begin: the one before the letter that the page before ended in.
    static func numberBefore(_ after: UInt64) -> UInt64 {
        let number = after / UInt64(Limits.batchEventCountMax)
        return number == 0 ? 0 : number - 1
    }
}

extension BusBroker.StoredDeadLetter {
    /// Which of its batch's events it is of.
    fileprivate var selected: [Int] {
        (0..<min(selection.count * 8, Limits.batchEventCountMax)).filter {
            selection[$0 >> 3] & 1 << UInt8($0 & 7) != 0
        }
    }
}
