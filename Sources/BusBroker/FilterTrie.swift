// All filters. Those without wildcards, which are nearly all on most buses, are a dictionary by name; the others are a
// trie by token. A topic is matched by one look into the dictionary and a walk along every branch that fits; the result
// is cached per topic (TopicState), so that this runs when filters change and not when events flow.
//
// A million subscriptions must fit into 400 bytes each. So the trie is flat: nodes are entries of one array, edges of
// one dictionary, tokens numbered once however many nodes they lead to. Nodes, edges and tokens that lose their last use
// are given back: the trie never holds more than the filters in use.

import BusWire

final class FilterTrie {
    /// A name or token as a dictionary key, hashed in one step.
    private struct Key: Hashable {
        let bytes: [UInt8]
        static func == (a: Key, b: Key) -> Bool { a.bytes == b.bytes }
        func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
    }

    private struct Edge: Hashable {
        let from: UInt32
        let token: UInt32
    }

    private struct Node {
        /// Filters that end here.
        var ending = SubscriptionSet.none
        /// Filters that end here with `>`.
        var tails = SubscriptionSet.none
        var parent: UInt32 = 0
        var token: UInt32 = 0
        var childCount: UInt32 = 0

        var isEmpty: Bool { childCount == 0 && ending.isEmpty && tails.isEmpty }
    }

    private static let root: UInt32 = 0
    private static let star: UInt32 = 0
    private static let starToken = [UInt8(ascii: "*")]
    private static let tailToken = [UInt8(ascii: ">")]

    private var literals: [Key: SubscriptionSet] = [:]
    private var nodes = [Node()]
    private var freeNodes: [UInt32] = []
    private var edges: [Edge: UInt32] = [:]
    /// Numbers of tokens, and how many edges use each; number 0 is `*`.
    private var tokens: [Key: UInt32] = [:]
    private var tokenUses: [UInt32] = [1]
    private var freeTokens: [UInt32] = []
    /// Changes with every change of the filters; caches compare it.
    private(set) var version: UInt64 = 0
    /// How many subscriptions there are.
    private(set) var count = 0

    /// Whether nothing is left of any filter.
    var isEmpty: Bool { literals.isEmpty && edges.isEmpty && tokens.isEmpty && nodes[0].isEmpty }

    /// Routes are to be made anew although the filters stay: what subscriptions are has changed.
    func touch() { version += 1 }

    // MARK: Coming and going

    /// Adds a subscription under its filter.
    func insert(_ subscription: Subscription) {
        version += 1
        count += 1
        guard subscription.filter.hasWildcard else {
            literals[Key(bytes: subscription.filter.bytes), default: .none].insert(subscription)
            return
        }
        var node = FilterTrie.root
        for token in subscription.filter.tokens {
            if token.elementsEqual(FilterTrie.tailToken) { return nodes[Int(node)].tails.insert(subscription) }
            node = child(of: node, token)
        }
        nodes[Int(node)].ending.insert(subscription)
    }

    private func child(of node: UInt32, _ token: ArraySlice<UInt8>) -> UInt32 {
        let number = use(token)
        let edge = Edge(from: node, token: number)
        if let known = edges[edge] { return known }
        let child = makeNode(parent: node, token: number)
        edges[edge] = child
        nodes[Int(node)].childCount += 1
        tokenUses[Int(number)] += 1
        return child
    }

    /// The token's number, made if there is none; whoever adds an edge counts its use.
    private func use(_ token: ArraySlice<UInt8>) -> UInt32 {
        if token.elementsEqual(FilterTrie.starToken) { return FilterTrie.star }
        let key = Key(bytes: Array(token))
        if let known = tokens[key] { return known }
        let number = freeTokens.popLast() ?? UInt32(tokenUses.count)
        if Int(number) == tokenUses.count { tokenUses.append(0) }
        tokens[key] = number
        return number
    }

    private func makeNode(parent: UInt32, token: UInt32) -> UInt32 {
        let index = freeNodes.popLast() ?? UInt32(nodes.count)
        if Int(index) == nodes.count { nodes.append(Node()) }
        nodes[Int(index)].parent = parent
        nodes[Int(index)].token = token
        return index
    }

    /// Removes a subscription and the branches only it used.
    func remove(_ subscription: Subscription) {
        version += 1
        count -= 1
        guard subscription.filter.hasWildcard else { return removeLiteral(subscription) }
        var node = FilterTrie.root
        let path = subscription.filter.tokens
        for token in path where !token.elementsEqual(FilterTrie.tailToken) {
            guard let number = number(of: token), let next = edges[Edge(from: node, token: number)] else { return }
            node = next
        }
        if path.last?.elementsEqual(FilterTrie.tailToken) == true {
            nodes[Int(node)].tails.remove(subscription)
        } else {
            nodes[Int(node)].ending.remove(subscription)
        }
        prune(node, path[...])
    }

    private func removeLiteral(_ subscription: Subscription) {
        let key = Key(bytes: subscription.filter.bytes)
        literals[key]?.remove(subscription)
        if literals[key]?.isEmpty == true { literals[key] = nil }
    }

    private func number(of token: ArraySlice<UInt8>) -> UInt32? {
        token.elementsEqual(FilterTrie.starToken) ? FilterTrie.star : tokens[Key(bytes: Array(token))]
    }

    /// Gives back a node and those above it that nobody needs any more. As deep as a filter has tokens, 16 at most.
    private func prune(_ leaf: UInt32, _ path: ArraySlice<ArraySlice<UInt8>>) {
        var node = leaf
        var path = path
        if path.last?.elementsEqual(FilterTrie.tailToken) == true { path.removeLast() }
        while node != FilterTrie.root, nodes[Int(node)].isEmpty, let token = path.popLast() {
            let (parent, number) = (nodes[Int(node)].parent, nodes[Int(node)].token)
            edges[Edge(from: parent, token: number)] = nil
            nodes[Int(parent)].childCount -= 1
            nodes[Int(node)] = Node()
            freeNodes.append(node)
            tokenUses[Int(number)] -= 1
            if tokenUses[Int(number)] == 0 {
                tokens[Key(bytes: Array(token))] = nil
                freeTokens.append(number)
            }
            node = parent
        }
        if edges.isEmpty { giveBackStorage() }
    }

    /// Arrays don't shrink by themselves: the last filter with a wildcard takes them with it.
    private func giveBackStorage() {
        nodes.removeSubrange(1...)
        (freeNodes, freeTokens, tokenUses) = ([], [], [1])
    }

    // MARK: Matching

    /// All subscriptions whose filter matches `topic`, in the order in which they were made.
    func matches(_ topic: Topic) -> [Subscription] {
        var found: [Subscription] = []
        literals[Key(bytes: topic.bytes)]?.append(to: &found)
        if !nodes[0].isEmpty {
            let path = topic.tokens.map { tokens[Key(bytes: Array($0))] }
            collect(path[...], at: FilterTrie.root, wildcards: !topic.isReserved, into: &found)
        }
        return found.sorted { $0.serial < $1.serial }
    }

    /// - Parameters:
    ///   - path: the tokens' numbers; nil for one that no filter names.
    ///   - wildcards: false where the daemon's own topics begin, which `*` and `>` don't match there.
    private func collect(
        _ path: ArraySlice<UInt32?>, at node: UInt32, wildcards: Bool, into found: inout [Subscription]
    ) {
        guard let token = path.first else { return nodes[Int(node)].ending.append(to: &found) }
        if wildcards {
            nodes[Int(node)].tails.append(to: &found)
            if let child = edges[Edge(from: node, token: FilterTrie.star)] {
                collect(path.dropFirst(), at: child, wildcards: true, into: &found)
            }
        }
        if let token, let child = edges[Edge(from: node, token: token)] {
            collect(path.dropFirst(), at: child, wildcards: true, into: &found)
        }
    }
}

/// Subscriptions of one filter: nearly always one, which needs no dictionary; thousands may share one and go one by one.
enum SubscriptionSet {
    case none
    case one(Subscription)
    /// By serial.
    case many([UInt64: Subscription])

    var isEmpty: Bool { if case .none = self { true } else { false } }

    mutating func insert(_ subscription: Subscription) {
        switch self {
        case .none: self = .one(subscription)
        case .one(let first): self = .many([first.serial: first, subscription.serial: subscription])
        case .many(var all):
            // Moved out and in again, so that the dictionary is changed in place.
            self = .none
            all[subscription.serial] = subscription
            self = .many(all)
        }
    }

    mutating func remove(_ subscription: Subscription) {
        switch self {
        case .none: break
        case .one(let first): if first === subscription { self = .none }
        case .many(var all):
            self = .none
            all[subscription.serial] = nil
            if let last = all.first, all.count == 1 { self = .one(last.value) } else { self = .many(all) }
        }
    }

    func append(to found: inout [Subscription]) {
        switch self {
        case .none: break
        case .one(let subscription): found.append(subscription)
        case .many(let all): found += all.values
        }
    }
}
