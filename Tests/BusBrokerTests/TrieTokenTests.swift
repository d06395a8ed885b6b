// Tokens in sixteen bytes: no two are taken for each other, and long ones are numbered only as long as they are used.

import Testing

@testable import BusBroker

@Suite struct TrieTokenTests {
    private func bytes(_ text: String) -> ArraySlice<UInt8> { Array(text.utf8)[...] }

    @Test func upToFifteenBytesLieInTheKeyItself() {
        for count in 0...15 { #expect(TrieToken(short: bytes(String(repeating: "x", count: count)))?.number == nil) }
        #expect(TrieToken(short: bytes(String(repeating: "x", count: 15))) != nil)
        #expect(TrieToken(short: bytes(String(repeating: "x", count: 16))) == nil)
    }

    @Test func noTwoShortOnesAreTakenForEachOther() {
        // Of the same beginning, of other lengths, with zeros where others end, and the one byte that marks long ones.
        var all: [[UInt8]] = []
        for byte in [0, 1, 0x78, 0xff] as [UInt8] {
            for count in 1...15 {
                all.append([UInt8](repeating: byte, count: count))
                for place in 0..<count {
                    var other = [UInt8](repeating: byte, count: count)
                    other[place] ^= 0x80
                    all.append(other)
                }
            }
        }
        let distinct = Set(all)
        let tokens = Set(distinct.compactMap { TrieToken(short: $0[...]) })
        #expect(tokens.count == distinct.count)
        #expect(!tokens.contains(.star) && tokens.allSatisfy { $0.number == nil })
    }

    @Test func aSliceIsItsBytesWhereverItBegins() {
        let whole = Array("orders.created".utf8)
        #expect(TrieToken(short: whole[7...]) == TrieToken(short: bytes("created")))
        #expect(TrieToken(short: whole[..<6]) == TrieToken(short: bytes("orders")))
    }

    @Test func onlyAWholeTokenIsAWildcard() {
        #expect(TrieToken.wildcard(bytes("*")) == .star)
        #expect(TrieToken.wildcard(bytes(">")) == .tail)
        for text in ["", "**", "a*", "*a", ">>", "a"] { #expect(TrieToken.wildcard(bytes(text)) == nil) }
    }

    // MARK: Long tokens

    private let long = ["long.token.number.one", "long.token.number.two", "long token number thr"]

    @Test func aLongOneHasOneNumberForAllWhoUseItAndNoneAfterwards() {
        var tokens = LongTokens()
        let first = tokens.use(bytes(long[0]))
        #expect(first.number != nil)
        #expect(tokens.use(bytes(long[0])) == first && tokens.find(bytes(long[0])) == first)
        tokens.release(first)
        #expect(tokens.find(bytes(long[0])) == first, "one edge still has it")
        tokens.release(first)
        #expect(tokens.find(bytes(long[0])) == nil && tokens.isEmpty)
    }

    @Test func longOnesAreToldApartByAllTheirBytes() {
        var tokens = LongTokens()
        #expect(Set(long.map { tokens.use(bytes($0)) }).count == 3)
        #expect(tokens.find(bytes(long[0] + "x")) == nil)
        // Composed and decomposed: one text, two names.
        let (composed, decomposed) = (long[0] + "\u{e9}", long[0] + "e\u{301}")
        #expect(tokens.use(bytes(composed)) != tokens.use(bytes(decomposed)))
    }

    @Test func aNumberIsNotGivenAgainWhileItIsUsed() {
        var tokens = LongTokens()
        let kept = tokens.use(bytes(long[0]))
        for round in 0..<100 {
            let other = tokens.use(bytes(long[1] + "\(round)"))
            #expect(other != kept)
            tokens.release(other)
        }
        #expect(tokens.find(bytes(long[0])) == kept)
    }

    @Test func shortOnesAndTheStarCostNothing() {
        var tokens = LongTokens()
        #expect(tokens.use(bytes("*")) == .star && tokens.find(bytes("*")) == .star)
        #expect(tokens.use(bytes("short")) == TrieToken(short: bytes("short")))
        tokens.release(.star)
        if let short = TrieToken(short: bytes("short")) { tokens.release(short) }
        #expect(tokens.isEmpty)
    }
}
