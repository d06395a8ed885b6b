import BusBroker
import BusWire
import Testing

@testable import BusServer

/// Which events of dead letters one answer tells of.
@Suite struct DeadLetterPageTests {
    private func letter(_ number: UInt64, events: Int = 1, message: String = "") -> StoredDeadLetter {
        let selection = (0..<(events + 7) / 8).map { UInt8(truncatingIfNeeded: 1 << min(8, events - $0 * 8) - 1) }
        return StoredDeadLetter(
            number: number, subscription: 1, position: number * 10_000, selection: selection, reason: .rejected,
            message: message, attempts: 1, died: 0, accepted: 0)
    }

    private func positions(_ page: DeadLetterPage) -> [UInt64] {
        page.letters.flatMap { letter in
            (0..<UInt64(letter.selection.count * 8)).map { letter.position + $0 }.filter(letter.holds)
        }
    }

    /// All pages of letters, as somebody reads them that asks on.
    private func pages(of letters: [StoredDeadLetter], letterCountMax: Int = .max) -> [DeadLetterPage] {
        var pages: [DeadLetterPage] = []
        var after: UInt64 = 0
        repeat {
            let rest = letters.filter { $0.number > DeadLetterPage.numberBefore(after) }
            let some = Array(rest.prefix(letterCountMax))
            let page = DeadLetterPage(of: some, after: after, isWhole: some.count == rest.count)
            pages.append(page)
            #expect(page.next == 0 || page.next > after)
            after = page.next
        } while after != 0 && pages.count < 10_000
        return pages
    }

    @Test func `few letters are one page, the last`() {
        let page = DeadLetterPage(of: [letter(1), letter(2, events: 3)], after: 0, isWhole: true)
        #expect(page.next == 0 && positions(page) == [10_000, 20_000, 20_001, 20_002])
    }

    @Test
    func `one letter of a whole batch with the longest messages comes in several pages that fit, each event once`() {
        let message = String(repeating: "x", count: Limits.messageLengthMax)
        let letters = [letter(1, events: 3), letter(2, events: Limits.batchEventCountMax, message: message), letter(3)]
        let pages = pages(of: letters)
        #expect(pages.count > 1)
        #expect(
            pages.flatMap(positions)
                == Array(10_000..<10_003) + Array(20_000..<20_000 + UInt64(Limits.batchEventCountMax)) + [30_000])
        for page in pages {
            let length = page.letters.reduce(0) { sum, letter in
                let events = letter.selection.reduce(0) { $0 + $1.nonzeroBitCount }
                return sum + events * (DeadLetterPage.rowLength + letter.message.utf8.count)
            }
            #expect(length <= DeadLetterPage.lengthMax)
        }
    }

    @Test func `where there are more letters than were looked at, the next page goes on behind them`() {
        let letters = (1...10).map { letter($0, events: 2) }
        let pages = pages(of: letters, letterCountMax: 3)
        #expect(pages.flatMap(positions) == letters.flatMap { [$0.position, $0.position + 1] })
    }

    @Test(arguments: [1, 4095, 4096, UInt64.max])
    func `whatever is asked after, nothing before it is told`(after: UInt64) {
        let page = DeadLetterPage(of: [letter(1, events: 2)], after: after, isWhole: true)
        #expect(positions(page) == (after < 4096 ? [10_000, 10_001] : after == 4096 ? [10_001] : []))
        #expect(page.next == 0)
    }
}
