// `topics:` in busd.yaml: what is said of topics, by filter.
//
//   topics:
//     'orders.>': {max-age: 30d, limit: hard}
//     'config.>': {kind: live, retain: true}
//
// Declared topics are durable unless they say `kind: live`.

import BusBroker
public import BusWire

/// What is said of the topics of one filter: the settings that were given, no others.
public struct DeclaredTopics: Sendable, Equatable {
    /// Which topics.
    public var filter: TopicFilter
    /// What they are told, `durable` always among them.
    public var settings: [Setting]
}

extension DaemonConfiguration {
    private enum TopicKey: String, CaseIterable {
        case kind
        case retain
        case maxAge = "max-age"
        case maxBytes = "max-bytes"
        case maxEvents = "max-events"
        case limit
        case dedup
        case maxPayload = "max-payload"

        /// The setting it gives in its own words; nil for the two that have words of their own.
        var setting: SettingKey? {
            switch self {
            case .kind, .limit: nil
            case .retain: .retain
            case .maxAge: .retentionAge
            case .maxBytes: .retentionLength
            case .maxEvents: .retentionCount
            case .dedup: .duplicateWindow
            case .maxPayload: .payloadLengthMax
            }
        }

        /// Whether it says something of what is stored.
        var isOfStored: Bool {
            switch self {
            case .kind, .retain, .dedup, .maxPayload: false
            case .maxAge, .maxBytes, .maxEvents, .limit: true
            }
        }
    }

    mutating func readTopics(_ section: ConfigurationNode) throws(ServerError) {
        for (name, value) in try section.entries() {
            let declared = try readDeclaration(name, value)
            let declaration: TopicDeclaration
            do throws(SettingFault) {
                declaration = try TopicDeclaration(declared.filter, settings: declared.settings)
            } catch {
                throw value.refused(error.description)
            }
            declaredTopics.removeAll { $0.filter == declared.filter }
            topics.removeAll { $0.filter == declared.filter }
            declaredTopics.append(declared)
            topics.append(declaration)
            topicPlaces[declared.filter] = value.place
        }
        if let (first, second) = TopicDeclaration.tie(in: topics) {
            throw section.refused(
                "topics '\(first.filter)' and '\(second.filter)' match some topic both, and neither is the more specific: "
                    + "declare what they share by itself, or narrow one of them")
        }
    }

    private func readDeclaration(_ name: String, _ value: ConfigurationNode) throws(ServerError) -> DeclaredTopics {
        let filter = try readFilter(name, value)
        var settings: [Setting] = []
        var isDurable = true
        var ofStored: ConfigurationNode?
        for (word, node) in try value.entries() {
            let key = try node.known(word, as: TopicKey.self)
            if key.isOfStored { ofStored = node }
            switch key {
            case .kind: isDurable = try node.choice("durable", "live") == "durable"
            case .limit: settings.append(Setting(.retentionIsHard, try node.choice("hard", "soft") == "hard" ? 1 : 0))
            default: if let setting = key.setting { settings.append(try node.setting(setting)) }
            }
        }
        guard isDurable else {
            if let node = ofStored {
                throw node.refused("\(node.name) is for what is stored, and topics '\(name)' say `kind: live`")
            }
            return DeclaredTopics(filter: filter, settings: [Setting(.durable, 0)] + settings)
        }
        guard offersDurableTopics else {
            throw value.refused(
                "topics '\(name)' would be durable, which this daemon doesn't offer yet: say `kind: live`")
        }
        return DeclaredTopics(filter: filter, settings: [Setting(.durable, 1)] + settings)
    }

    private func readFilter(_ name: String, _ value: ConfigurationNode) throws(ServerError) -> TopicFilter {
        let filter: TopicFilter
        do throws(NameFault) {
            filter = try TopicFilter(name)
        } catch {
            throw value.refused("topic filter `\(name)` \(error)")
        }
        guard filter.bytes[0] != UInt8(ascii: "$") else {
            throw value.refused("topic filter `\(name)` names topics of the daemon's own, which nobody declares")
        }
        return filter
    }
}
