// All filters, by token. A topic is matched by walking its tokens once along every branch that fits; the result is
// cached per topic (TopicState), so that this runs when filters change and not when events flow. Branches that lose
// their last subscription are removed: the trie never holds more than the filters in use.

import BusWire

final class FilterTrie {
    /// A token as a dictionary key, hashed in one step.
    private struct Token: Hashable {
        let bytes: ArraySlice<UInt8>
        static func == (a: Token, b: Token) -> Bool { a.bytes == b.bytes }
        func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
    }

    private final class Node {
        var literals: [Token: Node] = [:]
        var star: Node?
        /// Filters that end here, by serial: thousands may share one filter and go one by one.
        var ending: [UInt64: Subscription] = [:]
        /// Filters that end here with `>`.
        var tails: [UInt64: Subscription] = [:]

        var isEmpty: Bool { literals.isEmpty && star == nil && ending.isEmpty && tails.isEmpty }
    }

    private let root = Node()
    /// Changes with every change of the filters; caches compare it.
    private(set) var version: UInt64 = 0
    /// How many subscriptions there are.
    private(set) var count = 0

    /// Whether no branch is left.
    var isEmpty: Bool { root.isEmpty }

    private static let star = Token(bytes: [UInt8(ascii: "*")])
    private static let tail = Token(bytes: [UInt8(ascii: ">")])

    /// Adds a subscription under its filter.
    func insert(_ subscription: Subscription) {
        version += 1
        count += 1
        var node = root
        for token in subscription.filter.tokens.map(Token.init) {
            if token == FilterTrie.tail {
                node.tails[subscription.serial] = subscription
                return
            }
            node = FilterTrie.child(of: node, token)
        }
        node.ending[subscription.serial] = subscription
    }

    private static func child(of node: Node, _ token: Token) -> Node {
        if token == star {
            if let child = node.star { return child }
            let child = Node()
            node.star = child
            return child
        }
        if let child = node.literals[token] { return child }
        let child = Node()
        // A copy of the token alone, so that the node doesn't keep the first filter that came by.
        node.literals[Token(bytes: ArraySlice(Array(token.bytes)))] = child
        return child
    }

    /// Removes a subscription and the branches only it used.
    func remove(_ subscription: Subscription) {
        version += 1
        count -= 1
        _ = remove(subscription, subscription.filter.tokens.map(Token.init)[...], from: root)
    }

    /// Whether `node` is empty afterwards. As deep as a filter has tokens, 16 at most.
    private func remove(_ subscription: Subscription, _ tokens: ArraySlice<Token>, from node: Node) -> Bool {
        guard let token = tokens.first else {
            node.ending[subscription.serial] = nil
            return node.isEmpty
        }
        if token == FilterTrie.tail {
            node.tails[subscription.serial] = nil
        } else if token == FilterTrie.star {
            if let child = node.star, remove(subscription, tokens.dropFirst(), from: child) { node.star = nil }
        } else if let child = node.literals[token], remove(subscription, tokens.dropFirst(), from: child) {
            node.literals[token] = nil
        }
        return node.isEmpty
    }

    /// All subscriptions whose filter matches `topic`, in the order in which they were made.
    func matches(_ topic: Topic) -> [Subscription] {
        var found: [Subscription] = []
        collect(topic.tokens.map(Token.init)[...], at: root, wildcards: !topic.isReserved, into: &found)
        return found.sorted { $0.serial < $1.serial }
    }

    private func collect(
        _ tokens: ArraySlice<Token>, at node: Node, wildcards: Bool, into found: inout [Subscription]
    ) {
        guard let token = tokens.first else {
            found += node.ending.values
            return
        }
        if wildcards {
            found += node.tails.values
            if let child = node.star { collect(tokens.dropFirst(), at: child, wildcards: true, into: &found) }
        }
        if let child = node.literals[token] {
            collect(tokens.dropFirst(), at: child, wildcards: true, into: &found)
        }
    }
}
