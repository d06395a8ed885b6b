// The trie against the plain definition of a match, over everything that three tokens can say.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct FilterTrieTests {
    private static let words = ["a", "b", "$x"]
    private let bench = Bench()

    /// Every sequence of one to three of `words`.
    private static func names(of words: [String]) -> [String] {
        let two = words.flatMap { a in words.map { "\(a).\($0)" } }
        return words + two + two.flatMap { a in words.map { "\(a).\($0)" } }
    }

    private static let topics = names(of: words).compactMap { try? Topic($0) }
    /// `>` in front of others is no filter and falls out.
    private static let filters = names(of: words + ["*", ">"]).compactMap { try? TopicFilter($0) }

    private func subscriptions(_ session: Session) -> [Subscription] {
        FilterTrieTests.filters.enumerated().map { serial, filter in
            let request = Subscribe(
                subscription: UInt32(serial), filter: filter.bytes, creditEvents: 0, creditBytes: 0)
            return Subscription(
                request, filter: filter, group: nil, policy: .dropOldest, serial: UInt64(serial),
                account: session.account)
        }
    }

    private func check(_ trie: FilterTrie, _ subscriptions: [Subscription]) {
        for topic in FilterTrieTests.topics {
            let expected = subscriptions.filter { $0.filter.matches(topic) }.map(\.serial)
            let found = trie.matches(topic).map(\.serial)
            #expect(found == expected, "\(topic)")
        }
    }

    @Test func itFindsExactlyWhatMatchesInOrder() throws {
        let session = try #require(bench.open(1).session)
        let all = subscriptions(session)
        #expect(FilterTrieTests.topics.count == 39 && all.count == 5 + 4 * 5 + 4 * 4 * 5)
        let trie = FilterTrie()
        for subscription in all { trie.insert(subscription) }
        #expect(trie.count == all.count)
        check(trie, all)
    }

    @Test func itShrinksWithEveryRemovalToNothing() throws {
        let session = try #require(bench.open(1).session)
        var rest = subscriptions(session)
        let trie = FilterTrie()
        for subscription in rest { trie.insert(subscription) }
        var chance = SystemRandomNumberGenerator()
        rest.shuffle(using: &chance)
        while let last = rest.popLast() {
            trie.remove(last)
            if rest.count % 10 == 0 { check(trie, rest.sorted { $0.serial < $1.serial }) }
        }
        #expect(trie.isEmpty && trie.count == 0)
    }

    @Test func eachFilterAloneMatchesAndLeavesNothing() throws {
        let session = try #require(bench.open(1).session)
        let trie = FilterTrie()
        for subscription in subscriptions(session) {
            trie.insert(subscription)
            check(trie, [subscription])
            trie.remove(subscription)
            #expect(trie.isEmpty)
        }
    }

    @Test func manyMayShareOneFilter() {
        let (a, b) = (bench.open(1), bench.open(2))
        for number in 1...3 as ClosedRange<UInt32> {
            a.subscribe(number, "a.>")
            b.subscribe(number, "a.>")
        }
        let seal = a.seal("a.x")
        #expect(a.publish(seal).receipts.first?.receipts.first?.liveMatches == 6)
        b.leave()
        #expect(a.publish(seal).deliveries.map(\.subscription) == [1, 2, 3])
    }

    @Test func everyChangeIsAnotherVersion() {
        let peer = bench.open(1)
        let before = bench.broker.filters.version
        peer.subscribe(1, "a")
        peer.send(.unsubscribe(subscription: 1))
        #expect(bench.broker.filters.version == before + 2)
    }

    // MARK: By chance

    /// Names of up to sixteen tokens out of few words, so that much of them is alike.
    private func name(_ chance: inout SplitMix64, wildcards: Bool) -> String {
        var tokens: [String] = []
        for _ in 0..<(chance.chance(10) ? chance.within(1...16) : chance.within(1...4)) {
            tokens.append(wildcards && chance.chance(25) ? "*" : chance.pick(["a", "b", "cc", "d", "é"]))
        }
        if chance.chance(5) { tokens[0] = chance.pick(["$bus", "$reply"]) }
        if wildcards, chance.chance(25) { tokens[tokens.count - 1] = ">" }
        return tokens.joined(separator: ".")
    }

    @Test func itMatchesByTheDefinitionWhateverComesAndGoes() throws {
        let account = Account(uid: 1, Quotas())
        for seed in 1...40 as ClosedRange<UInt64> {
            var chance = SplitMix64(seed: seed)
            let trie = FilterTrie()
            var all: [Subscription] = []
            for serial in 0..<300 as Range<UInt64> {
                if chance.chance(35), !all.isEmpty {
                    trie.remove(all.remove(at: chance.below(all.count)))
                } else {
                    let filter = try TopicFilter(name(&chance, wildcards: true))
                    let request = Subscribe(subscription: 1, filter: filter.bytes, creditEvents: 0, creditBytes: 0)
                    let subscription = Subscription(
                        request, filter: filter, group: nil, policy: .dropOldest, serial: serial, account: account)
                    all.append(subscription)
                    trie.insert(subscription)
                }
                let topic = try Topic(name(&chance, wildcards: false))
                let expected = all.filter { $0.filter.matches(topic) }.map(\.serial)
                #expect(trie.matches(topic).map(\.serial) == expected, "seed \(seed): \(topic)")
            }
            #expect(trie.count == all.count)
            for subscription in all { trie.remove(subscription) }
            #expect(trie.isEmpty && trie.count == 0, "seed \(seed)")
        }
    }

    @Test func aFilterAsDeepAsFiltersGetLeavesNothing() throws {
        let account = Account(uid: 1, Quotas())
        let trie = FilterTrie()
        let filter = try TopicFilter([String](repeating: "*", count: 15).joined(separator: ".") + ".>")
        let request = Subscribe(subscription: 1, filter: filter.bytes, creditEvents: 0, creditBytes: 0)
        let subscription = Subscription(
            request, filter: filter, group: nil, policy: .dropOldest, serial: 1, account: account)
        trie.insert(subscription)
        let topic = try Topic([String](repeating: "x", count: 16).joined(separator: "."))
        #expect(trie.matches(topic).count == 1)
        trie.remove(subscription)
        #expect(trie.isEmpty && trie.matches(topic).isEmpty)
    }

    @Test func filtersMadeToBeDearCostNoMoreThanTheirNodes() throws {
        let account = Account(uid: 1, Quotas())
        let trie = FilterTrie()
        // Every way to write eleven tokens as `a` or `*`, and none of them matches.
        for choice in 0..<2048 as Range<UInt64> {
            let tokens = (0..<11).map { choice >> UInt64($0) & 1 == 0 ? "a" : "*" }
            let filter = try TopicFilter(tokens.joined(separator: ".") + ".z")
            let request = Subscribe(subscription: 1, filter: filter.bytes, creditEvents: 0, creditBytes: 0)
            trie.insert(
                Subscription(
                    request, filter: filter, group: nil, policy: .dropOldest, serial: choice, account: account))
        }
        let topic = try Topic([String](repeating: "a", count: 12).joined(separator: "."))
        #expect(trie.matches(topic).isEmpty)
        #expect(trie.nodeCount == 4095 + 2048 - 2, "a tree of both words, and leaves; one filter names a single topic")
        #expect(trie.visitCount <= trie.nodeCount)
        let before = trie.visitCount
        #expect(trie.matches(try Topic("a.a.a")).isEmpty)
        #expect(trie.visitCount - before == 15, "no deeper than the topic")
    }
}
