// What an administrator may say: busd.yaml, read strictly. Unknown keys are refused with the nearest known one,
// wrong values with file and line.

public import BusBroker
import BusWire
import Glibc
public import Logging

/// The daemon's configuration, each value with its default.
public struct DaemonConfiguration: Sendable, Equatable {
    /// Where the bus listens; nil for the place of the daemon's kind.
    public var socket: String?
    /// Where state is kept; nil for the place of the daemon's kind.
    public var state: String?
    /// What is logged.
    public var logLevel: Logger.Level = .info
    /// The longest payload of one event, in bytes.
    public var payloadLengthMax = Limits.payloadLengthMax
    /// What this bus is called in logs and `bus status`.
    public var busName: String?
    /// What one user may hold.
    public var quotas = Quotas()
    /// What is said of topics, by filter; of two files that name one filter the later holds.
    public var topics: [TopicDeclaration] = []
    /// The same with all that was said, filter for filter.
    public var declaredTopics: [DeclaredTopics] = []
    /// Where each filter was declared, for what is said against it.
    var topicPlaces: [TopicFilter: String] = [:]
    /// How much durable topics may hold.
    public var store = StoreBounds()
    /// What holds for durable subscriptions that don't say otherwise.
    public var subscriptions = SubscriptionDefaults()
    /// Whether this daemon has a store. Where it hasn't, a file that counts on one is refused rather than read as
    /// something less.
    var offersDurableTopics = true
    /// How long an idle topic is remembered.
    public var topicIdleTime = Duration.seconds(600)

    /// The defaults.
    public init() {}

    /// Takes what the file at `path` says over what was said before.
    public mutating func read(file path: String) throws(ServerError) {
        guard let (bytes, _) = try StateFile(path: path).read(lengthMax: 1 << 20, followsLinks: true) else {
            throw .configuration("\(path): no such file")
        }
        try read(yaml: String(decoding: bytes, as: UTF8.self), from: path)
    }

    /// Takes what `text` says over what was said before; `file` is named in errors.
    public mutating func read(yaml text: String, from file: String) throws(ServerError) {
        guard let root = try ConfigurationNode.root(yaml: text, file: file) else { return }
        for (key, value) in try root.entries() { try set(try value.known(key, as: Key.self), value) }
    }

    /// What only all files together can have wrong.
    public func checkAll() throws(ServerError) {
        for topic in topics {
            do throws(SettingFault) { try topic.checkPayloads(lengthMax: payloadLengthMax) } catch {
                throw .configuration(
                    "\(topicPlaces[topic.filter].map { "\($0): " } ?? "")topics '\(topic.filter)': \(error)")
            }
        }
    }

    private enum Key: String, CaseIterable {
        case socket
        case state
        case logLevel = "log_level"
        case payloadMax = "payload_max"
        case busName = "bus_name"
        case quotas
        case topics
        case store
        case subscriptions
        case topicIdleTime = "topic_idle_time"
    }

    private mutating func set(_ key: Key, _ value: ConfigurationNode) throws(ServerError) {
        switch key {
        case .socket:
            let path = try absolute(value)
            guard path.utf8.count <= 107 else {
                let length = path.utf8.count
                throw value.refused("socket path is \(length) bytes, at most 107 fit: choose a shorter one")
            }
            socket = path
        case .state: state = try absolute(value)
        case .busName: busName = try value.scalar()
        case .logLevel:
            let name = try value.scalar()
            guard let level = Logger.Level(rawValue: name) else {
                let known = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
                throw value.refused("log_level `\(name)` is none of \(known)")
            }
            logLevel = level
        case .payloadMax: payloadLengthMax = try value.byteCount(1...Limits.payloadLengthCeiling, example: "4MiB")
        case .quotas: try readQuotas(value)
        case .topics: try readTopics(value)
        case .store: try readStore(value)
        case .subscriptions: try readSubscriptions(value)
        case .topicIdleTime: topicIdleTime = .seconds(try value.seconds(1...(30 * 86_400)))
        }
    }

    func requireDurableTopics(_ section: ConfigurationNode) throws(ServerError) {
        guard offersDurableTopics else {
            throw section.refused("`\(section.name)` is for durable topics, which this daemon doesn't offer yet")
        }
    }

    private func absolute(_ value: ConfigurationNode) throws(ServerError) -> String {
        let path = try value.scalar()
        guard path.hasPrefix("/") else {
            throw value.refused("\(value.name) `\(path)` must be an absolute path")
        }
        return path
    }
}
