// All filters. Those without wildcards, which are nearly all on most buses, are a dictionary by name; the others are a
// trie by token. A topic is matched by one look into the dictionary and a walk along every branch that fits; the result
// is cached per topic (TopicState), so that this runs when filters change and not when events flow.
//
// A million subscriptions must fit into 400 bytes each. So the trie is flat: nodes are entries of one array, edges of
// one dictionary whose keys hold short tokens in place, and a filter's last `*` or `>` is no node of its own. Nodes and
// edges that lose their last use are given back: the trie never holds more than the filters in use.

import BusWire

final class FilterTrie {
    /// A name as a dictionary key, hashed in one step.
    private struct Name: Hashable {
        let bytes: [UInt8]
        static func == (a: Name, b: Name) -> Bool { a.bytes == b.bytes }
        func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
    }

    private struct Edge: Hashable {
        let token: TrieToken
        let from: UInt32
    }

    private struct Node {
        /// Filters that end here.
        var ending = SubscriptionSet.none
        /// Filters that end here with `*`.
        var stars = SubscriptionSet.none
        /// Filters that end here with `>`.
        var tails = SubscriptionSet.none
        var parent: UInt32 = 0
        var childCount: UInt32 = 0

        var isEmpty: Bool { childCount == 0 && ending.isEmpty && stars.isEmpty && tails.isEmpty }
    }

    private enum End { case literal, star, tail }

    private static let root: UInt32 = 0

    private var literals: [Name: SubscriptionSet] = [:]
    private var nodes = [Node()]
    private var freeNodes: [UInt32] = []
    private var edges: [Edge: UInt32] = [:]
    private var longTokens = LongTokens()
    /// Changes with every change of the filters; caches compare it.
    private(set) var version: UInt64 = 0
    /// How many nodes were looked at by all matching so far. It is a tree, so one topic never costs more than its
    /// nodes; but filters can be made so that one costs nearly all of them.
    private(set) var visitCount: UInt64 = 0
    /// How many subscriptions there are.
    private(set) var count = 0

    /// How many nodes there are.
    var nodeCount: Int { nodes.count - freeNodes.count }

    /// Whether nothing is left of any filter.
    var isEmpty: Bool { literals.isEmpty && edges.isEmpty && longTokens.isEmpty && nodes[0].isEmpty }

    // MARK: Coming and going

    /// Has every topic be matched anew.
    func touch() { version += 1 }

    /// Adds a subscription under its filter.
    func insert(_ subscription: Subscription) {
        version += 1
        count += 1
        guard subscription.filter.hasWildcard else {
            literals[Name(bytes: subscription.filter.bytes), default: .none].insert(subscription)
            return
        }
        let (path, end) = FilterTrie.parts(of: subscription.filter)
        var node = FilterTrie.root
        for token in path { node = child(of: node, longTokens.use(token)) }
        change(node, end) { $0.insert(subscription) }
    }

    /// A filter's tokens, and what it ends with where that is a wildcard.
    private static func parts(of filter: TopicFilter) -> (path: ArraySlice<ArraySlice<UInt8>>, end: End) {
        let tokens = filter.tokens
        switch tokens.last.map({ TrieToken.wildcard($0) }) {
        case .star?: return (tokens.dropLast(), .star)
        case .tail?: return (tokens.dropLast(), .tail)
        default: return (tokens[...], .literal)
        }
    }

    private func change(_ node: UInt32, _ end: End, _ body: (inout SubscriptionSet) -> Void) {
        switch end {
        case .literal: body(&nodes[Int(node)].ending)
        case .star: body(&nodes[Int(node)].stars)
        case .tail: body(&nodes[Int(node)].tails)
        }
    }

    private func child(of node: UInt32, _ token: TrieToken) -> UInt32 {
        let edge = Edge(token: token, from: node)
        if let known = edges[edge] {
            longTokens.release(token)
            return known
        }
        let child = freeNodes.popLast() ?? UInt32(nodes.count)
        if Int(child) == nodes.count { nodes.append(Node()) }
        nodes[Int(child)].parent = node
        nodes[Int(node)].childCount += 1
        edges[edge] = child
        return child
    }

    /// Removes a subscription and the branches only it used.
    func remove(_ subscription: Subscription) {
        version += 1
        count -= 1
        guard subscription.filter.hasWildcard else { return removeLiteral(subscription) }
        let (path, end) = FilterTrie.parts(of: subscription.filter)
        var node = FilterTrie.root
        var tokens: [TrieToken] = []
        for bytes in path {
            guard let token = longTokens.find(bytes), let next = edges[Edge(token: token, from: node)] else { return }
            tokens.append(token)
            node = next
        }
        change(node, end) { $0.remove(subscription) }
        prune(node, &tokens)
    }

    private func removeLiteral(_ subscription: Subscription) {
        let name = Name(bytes: subscription.filter.bytes)
        literals[name]?.remove(subscription)
        if literals[name]?.isEmpty == true { literals[name] = nil }
    }

    /// Gives back a node and those above it that nobody needs any more. As deep as a filter has tokens, 16 at most.
    private func prune(_ leaf: UInt32, _ path: inout [TrieToken]) {
        var node = leaf
        while node != FilterTrie.root, nodes[Int(node)].isEmpty, let token = path.popLast() {
            let parent = nodes[Int(node)].parent
            edges[Edge(token: token, from: parent)] = nil
            longTokens.release(token)
            nodes[Int(parent)].childCount -= 1
            nodes[Int(node)] = Node()
            freeNodes.append(node)
            node = parent
        }
        guard edges.isEmpty else { return }
        // Arrays don't shrink by themselves: the last edge takes them with it.
        nodes.removeSubrange(1...)
        freeNodes = []
    }

    // MARK: Matching

    /// All subscriptions whose filter matches `topic`, in the order in which they were made.
    func matches(_ topic: Topic) -> [Subscription] {
        var found: [Subscription] = []
        literals[Name(bytes: topic.bytes)]?.append(to: &found)
        if !nodes[0].isEmpty {
            let path = topic.tokens.map { longTokens.find($0) }
            collect(path[...], at: FilterTrie.root, wildcards: !topic.isReserved, into: &found)
        }
        return found.sorted { $0.serial < $1.serial }
    }

    /// - Parameters:
    ///   - path: the topic's tokens; nil for one that no filter names.
    ///   - wildcards: false where the daemon's own topics begin, which `*` and `>` don't match there.
    private func collect(
        _ path: ArraySlice<TrieToken?>, at node: UInt32, wildcards: Bool, into found: inout [Subscription]
    ) {
        visitCount &+= 1
        guard let token = path.first else { return nodes[Int(node)].ending.append(to: &found) }
        if wildcards {
            nodes[Int(node)].tails.append(to: &found)
            if path.count == 1 { nodes[Int(node)].stars.append(to: &found) }
            if let child = edges[Edge(token: .star, from: node)] {
                collect(path.dropFirst(), at: child, wildcards: true, into: &found)
            }
        }
        if let token, let child = edges[Edge(token: token, from: node)] {
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
