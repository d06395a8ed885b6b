import BusWire
import Testing

@Suite("Two filters")
struct TopicFilterComparingTests {
    /// Every filter of up to three tokens of a few, and every topic of up to four that tell them apart.
    private static let filters: [TopicFilter] = names(["a", "b", "$a", "*"], upTo: 3, last: [">"]).compactMap {
        try? TopicFilter($0)
    }
    private static let topics: [Topic] = names(["a", "b", "c", "$a"], upTo: 4, last: []).compactMap { try? Topic($0) }

    private static func names(_ tokens: [String], upTo count: Int, last: [String]) -> [String] {
        var all: [String] = []
        var prefixes = [""]
        for _ in 0..<count {
            all += prefixes.flatMap { prefix in (tokens + last).map { prefix + $0 } }
            prefixes = prefixes.flatMap { prefix in tokens.map { prefix + $0 + "." } }
        }
        return all
    }

    @Test("cover and overlap each other as the topics say that they match")
    func byDefinition() {
        let matches = Self.filters.map { filter in Set(Self.topics.indices.filter { filter.matches(Self.topics[$0]) }) }
        #expect(matches.allSatisfy { !$0.isEmpty })
        for (filter, mine) in zip(Self.filters, matches) {
            for (other, theirs) in zip(Self.filters, matches) {
                if filter.overlaps(other) == mine.isDisjoint(with: theirs) { Issue.record("\(filter) and \(other)") }
                if filter.covers(other) != theirs.isSubset(of: mine) { Issue.record("\(filter) of \(other)") }
            }
        }
    }

    @Test("of more tokens than a tail has cover nothing of it")
    func tails() throws {
        #expect(try TopicFilter("a.>").covers(TopicFilter("a.*.>")))
        #expect(try !TopicFilter("a.*.>").covers(TopicFilter("a.>")))
        #expect(try !TopicFilter("a.*").covers(TopicFilter("a.>")))
        #expect(try TopicFilter("a.*").overlaps(TopicFilter("a.>")))
        #expect(try !TopicFilter("a").overlaps(TopicFilter("a.>")))
    }
}
