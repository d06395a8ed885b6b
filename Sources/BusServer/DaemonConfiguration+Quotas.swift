// `quotas:` in busd.yaml: what one user may hold. Names are those of errors and of `bus users`.

import BusBroker

extension DaemonConfiguration {
    private enum Quota: String, CaseIterable {
        case connections
        case subscriptions
        case topics
        case seals
        case queuedBytes = "queued_bytes"
        case kernelBytes = "kernel_bytes"
        case retainedBytes = "retained_bytes"
        case parkedBytes = "parked_bytes"
        case storedBytes = "stored_bytes"
        case outstandingEvents = "outstanding_events"
        case outstandingBytes = "outstanding_bytes"
        case requests
        case scheduled
        case publishRate = "publish_rate"
        case connectRate = "connect_rate"
        case sealRate = "seal_rate"
    }

    /// More than any host has; keeps every sum within an `Int`.
    private static let countMax = 1 << 31
    private static let byteCountMax = 1 << 40

    mutating func readQuotas(_ section: ConfigurationNode) throws(ServerError) {
        for (key, value) in try section.entries() {
            switch try value.known(key, as: Quota.self) {
            case .connections: quotas.connections = try count(value)
            case .subscriptions: quotas.subscriptions = try count(value)
            case .topics: quotas.topics = try count(value)
            case .seals: quotas.seals = try count(value)
            case .queuedBytes: quotas.queuedLength = try bytes(value)
            case .kernelBytes: quotas.kernelLength = try bytes(value)
            case .retainedBytes: quotas.retainedLength = try bytes(value)
            case .parkedBytes: quotas.parkedLength = try bytes(value)
            case .storedBytes: quotas.storedLength = try value.byteCount(0...Self.byteCountMax, example: "1GiB")
            case .outstandingEvents: quotas.outstandingEvents = try count(value)
            case .outstandingBytes: quotas.outstandingLength = try bytes(value)
            case .requests: quotas.requests = try count(value)
            case .scheduled: quotas.scheduled = try count(value)
            case .publishRate: quotas.publishRate = try value.number(0...Self.countMax)
            case .connectRate: quotas.connectRate = try value.number(0...Self.countMax)
            case .sealRate: quotas.sealRate = try value.number(0...Self.countMax)
            }
        }
    }

    private func count(_ value: ConfigurationNode) throws(ServerError) -> Int { try value.number(1...Self.countMax) }

    private func bytes(_ value: ConfigurationNode) throws(ServerError) -> Int {
        try value.byteCount(1...Self.byteCountMax, example: "64MiB")
    }
}
