// What an administrator says of topics, by filter. The most specific declaration of a topic holds, and it alone.

public import BusWire

/// What is said of all topics that match a filter.
public struct TopicDeclaration: Sendable, Equatable {
    /// Which topics.
    public var filter: TopicFilter
    /// Whether every event becomes the topic's last value.
    public var retains: Bool

    /// A declaration of these parts.
    public init(_ filter: TopicFilter, retains: Bool) {
        self.filter = filter
        self.retains = retains
    }

    /// The declaration that holds for a topic: the one that all others of it cover.
    static func of(_ topic: Topic, in all: [TopicDeclaration]) -> TopicDeclaration? {
        all.filter { $0.filter.matches(topic) }.reduce(nil) { best, next in
            guard let best else { return next }
            return best.filter.covers(next.filter) ? next : best
        }
    }

    /// Two declarations of which neither is the more specific where both match; nil if there are none.
    public static func tie(in all: [TopicDeclaration]) -> (TopicDeclaration, TopicDeclaration)? {
        for (index, first) in all.enumerated() {
            for second in all[(index + 1)...] where first.filter.overlaps(second.filter) {
                let isOrdered = first.filter.covers(second.filter) != second.filter.covers(first.filter)
                if !isOrdered { return (first, second) }
            }
        }
        return nil
    }
}
