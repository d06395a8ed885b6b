// Which declaration holds for a topic, and when two can't be told apart.

import BusWire
import Testing

@testable import BusBroker

@Suite struct TopicDeclarationTests {
    private func declarations(_ filters: String...) throws -> [TopicDeclaration] {
        try filters.map { TopicDeclaration(try TopicFilter($0), retains: true) }
    }

    private func holding(_ topic: String, _ all: [TopicDeclaration]) throws -> String? {
        TopicDeclaration.of(try Topic(topic), in: all)?.filter.description
    }

    @Test(arguments: [
        ("a.b.c", "a.b.c"), ("a.b.d", "a.b.*"), ("a.b.c.d", "a.b.>"), ("a.c", "a.*"), ("a.c.d", "a.>"), ("b", nil),
        ("a", nil),
    ])
    func theMostSpecificHoldsInWhateverOrderTheyStand(topic: String, expected: String?) throws {
        let all = try declarations("a.>", "a.b.>", "a.b.*", "a.b.c", "a.*")
        for turn in all.indices {
            let turned = Array(all[turn...] + all[..<turn])
            #expect(try holding(topic, turned) == expected)
            #expect(try holding(topic, turned.reversed()) == expected)
        }
    }

    @Test func whereNothingIsDeclaredNothingHolds() throws {
        #expect(try holding("a", []) == nil)
        #expect(TopicDeclaration.tie(in: []) == nil)
    }

    @Test func oneMoreTokenIsMoreSpecificThanATail() throws {
        #expect(TopicDeclaration.tie(in: try declarations("a.>", "a.*", "a.b", "a.*.>", ">")) == nil)
    }

    @Test(arguments: [("a.*", "*.b"), ("a.>", "*.b"), ("a.*.c", "a.b.*"), ("a.>", "a.>"), ("a", "a")])
    func ofTwoThatOverlapWithoutOneCoveringTheOtherNeitherHolds(first: String, second: String) throws {
        for pair in try [declarations(first, "x", second), declarations(second, first)] {
            let tie = TopicDeclaration.tie(in: pair)
            #expect(tie.map { Set([$0.0.filter.description, $0.1.filter.description]) } == [first, second])
        }
    }

    @Test(arguments: [("a.b", "a.c"), ("a.*", "b.*"), ("a", "a.b"), ("*", "$bus")])
    func whatNeverMatchesTheSameTopicIsNoTie(first: String, second: String) throws {
        #expect(TopicDeclaration.tie(in: try declarations(first, second)) == nil)
    }

    /// A third that is the more specific of both doesn't help where it doesn't match.
    @Test func aTieStaysOneWhereAThirdCoversOnlyPartOfIt() throws {
        #expect(TopicDeclaration.tie(in: try declarations("a.*", "*.b", "a.b")) != nil)
    }
}
