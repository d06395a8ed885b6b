// `topics:` in busd.yaml: what is said of topics, by filter.
//
//   topics:
//     'config.>': {kind: live, retain: true}
//
// Declared topics are to be durable unless they say `kind: live`. There are no durable topics yet, so that `live` must be
// said: a file that is right today then means the same later.

import BusBroker
import BusWire

extension DaemonConfiguration {
    private enum TopicSetting: String, CaseIterable {
        case kind
        case retain
    }

    mutating func readTopics(_ section: ConfigurationNode) throws(ServerError) {
        for (name, value) in try section.entries() {
            let declaration = try readDeclaration(name, value)
            topics.removeAll { $0.filter == declaration.filter }
            topics.append(declaration)
        }
        if let (first, second) = TopicDeclaration.tie(in: topics) {
            throw section.refused(
                "topics '\(first.filter)' and '\(second.filter)' match some topic both, and neither is the more specific: "
                    + "declare what they share by itself, or narrow one of them")
        }
    }

    private func readDeclaration(_ name: String, _ value: ConfigurationNode) throws(ServerError) -> TopicDeclaration {
        let filter: TopicFilter
        do throws(NameFault) {
            filter = try TopicFilter(name)
        } catch {
            throw value.refused("topic filter `\(name)` \(error)")
        }
        guard filter.bytes[0] != UInt8(ascii: "$") else {
            throw value.refused("topic filter `\(name)` names topics of the daemon's own, which nobody declares")
        }
        var retains = false
        var isLive = false
        for (key, setting) in try value.entries() {
            switch try setting.known(key, as: TopicSetting.self) {
            case .kind:
                let kind = try setting.scalar()
                guard kind == "live" else {
                    throw setting.refused("kind `\(kind)` is not offered: this daemon has live topics only")
                }
                isLive = true
            case .retain: retains = try setting.flag()
            }
        }
        guard isLive else {
            throw value.refused(
                "topics '\(name)' would be durable, which this daemon doesn't offer yet: say `kind: live`")
        }
        return TopicDeclaration(filter, retains: retains)
    }
}
