// `subscriptions:` in busd.yaml: what holds for durable subscriptions that don't say otherwise.
//
//   subscriptions:
//     ack-wait: 30s
//     attempts: 10
//     unattended: 30d

public import BusWire

/// The defaults of durable subscriptions.
public struct SubscriptionDefaults: Sendable, Equatable {
    /// What they are told, in place of what the protocol says where nothing is.
    public var settings: [Setting] = []
    /// After how long without a consumer one is reported; whether it is removed is its own setting `expire`.
    public var unattendedTime = Duration.seconds(30 * 86_400)
}

extension DaemonConfiguration {
    private enum SubscriptionKey: String, CaseIterable {
        case ackWait = "ack-wait"
        case attempts
        case backoffMin = "backoff-min"
        case backoffMax = "backoff-max"
        case expire
        case deadLetters = "dead-letters"
        case maxOutstanding = "max-outstanding"
        case deadExpired = "dead-expired"
        case unattended

        /// The setting it gives; nil for what is the daemon's alone.
        var setting: SettingKey? {
            switch self {
            case .ackWait: .acknowledgeWait
            case .attempts: .attemptCountMax
            case .backoffMin: .backoffMin
            case .backoffMax: .backoffMax
            case .expire: .unattendedMax
            case .deadLetters: .deadLetters
            case .maxOutstanding: .outstandingCountMax
            case .deadExpired: .deadLettersExpired
            case .unattended: nil
            }
        }
    }

    mutating func readSubscriptions(_ section: ConfigurationNode) throws(ServerError) {
        try requireDurableTopics(section)
        for (word, node) in try section.entries() {
            guard let key = try node.known(word, as: SubscriptionKey.self).setting else {
                subscriptions.unattendedTime = .seconds(try node.seconds(60...36_500 * 86_400))
                continue
            }
            let setting = try node.setting(key)
            subscriptions.settings.removeAll { $0.key == key }
            subscriptions.settings.append(setting)
        }
        guard value(.backoffMin) <= value(.backoffMax) else {
            let (least, most) = (
                SettingKey.backoffMin.text(value(.backoffMin)), SettingKey.backoffMax.text(value(.backoffMax))
            )
            throw section.refused("backoff-min \(least) is longer than backoff-max \(most)")
        }
    }

    private func value(_ key: SettingKey) -> Int64 {
        subscriptions.settings.first { $0.key == key }?.value ?? key.standard
    }
}
