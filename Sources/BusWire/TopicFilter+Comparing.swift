// How two filters stand to each other, for whoever has several that say something about one topic.

extension TopicFilter {
    /// Whether every topic that `other` matches is matched by this one, too.
    public func covers(_ other: TopicFilter) -> Bool {
        let (mine, theirs) = (tokens, other.tokens)
        // A wildcard at the beginning doesn't match the daemon's own topics.
        if Kind(mine[0]) != .literal, theirs[0].first == UInt8(ascii: "$") { return false }
        for (index, token) in mine.enumerated() {
            guard index < theirs.count else { return false }
            switch (Kind(token), Kind(theirs[index])) {
            case (.tail, _): return true
            case (_, .tail): return false
            case (.star, _): continue
            case (.literal, .star): return false
            case (.literal, .literal): guard token == theirs[index] else { return false }
            }
        }
        return mine.count == theirs.count
    }

    /// Whether some topic is matched by both.
    public func overlaps(_ other: TopicFilter) -> Bool {
        let (mine, theirs) = (tokens, other.tokens)
        for (a, b) in zip(mine, theirs) {
            if Kind(a) == .tail || Kind(b) == .tail { return startsAlike(other) }
            if Kind(a) == .literal, Kind(b) == .literal, a != b { return false }
        }
        return mine.count == theirs.count && startsAlike(other)
    }

    /// Whether the daemon's own topics keep them apart.
    private func startsAlike(_ other: TopicFilter) -> Bool {
        let (a, b) = (tokens[0], other.tokens[0])
        if Kind(a) != .literal { return b.first != UInt8(ascii: "$") }
        return Kind(b) == .literal || a.first != UInt8(ascii: "$")
    }

    private enum Kind {
        case literal, star, tail

        init(_ token: ArraySlice<UInt8>) {
            if token.elementsEqual([UInt8(ascii: "*")]) {
                self = .star
            } else {
                self = token.elementsEqual([UInt8(ascii: ">")]) ? .tail : .literal
            }
        }
    }
}
