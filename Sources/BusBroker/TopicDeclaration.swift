// What an administrator says of topics, by filter. The most specific declaration of a topic holds, and it alone.

public import BusWire

/// What is said of all topics that match a filter.
public struct TopicDeclaration: Sendable, Equatable {
    /// Which topics.
    public let filter: TopicFilter
    /// What is said, as it was said.
    public let said: [Setting]
    let settings: TopicSettings

    /// A declaration of live topics.
    public init(_ filter: TopicFilter, retains: Bool) {
        self.filter = filter
        said = [Setting(.durable, 0), Setting(.retain, retains ? 1 : 0)]
        var settings = TopicSettings.live
        settings.retains = retains
        self.settings = settings
    }

    /// A declaration of these settings.
    ///
    /// - Parameters:
    ///   - defaults: what holds where nothing is said.
    ///   - bus: whose bounds it has to be within; nil where they aren't known yet, or were others when it was made.
    /// - Throws: `SettingFault`, which names the setting.
    public init(
        _ filter: TopicFilter, settings said: [Setting], defaults: [Setting] = [],
        within bus: BrokerConfiguration? = nil
    ) throws(SettingFault) {
        self.filter = filter
        self.said = said
        settings = try TopicSettings(Setting.merge(defaults, said))
        if let bus { try checkPayloads(lengthMax: bus.payloadLengthMax) }
    }

    /// A topic can't take longer payloads than its bus.
    public func checkPayloads(lengthMax: Int) throws(SettingFault) {
        guard settings.payloadLengthMax > lengthMax else { return }
        let (own, bus) = (Int64(settings.payloadLengthMax), Int64(lengthMax))
        throw SettingFault(
            description: "max-payload \(Quantity.text(bytes: own)) is above this bus's payload_max, "
                + Quantity.text(bytes: bus))
    }

    /// Whether every event becomes its topic's last value.
    public var retains: Bool { settings.retains }

    /// Whether its topics are durable.
    public var isDurable: Bool { settings.isDurable }

    /// The declaration that holds for a topic: the one that all others of it cover.
    static func of(_ topic: Topic, in all: [TopicDeclaration]) -> TopicDeclaration? {
        all.filter { $0.filter.matches(topic) }.reduce(nil) { best, next in
            guard let best else { return next }
            return best.filter.covers(next.filter) ? next : best
        }
    }

    /// Whether neither is the more specific where both match.
    func ties(with other: TopicFilter) -> Bool {
        filter.overlaps(other) && filter.covers(other) == other.covers(filter)
    }

    /// Two declarations of which neither is the more specific where both match; nil if there are none.
    public static func tie(in all: [TopicDeclaration]) -> (TopicDeclaration, TopicDeclaration)? {
        for (index, first) in all.enumerated() {
            for second in all[(index + 1)...] where first.ties(with: second.filter) { return (first, second) }
        }
        return nil
    }
}
