// Settings of topics and durable subscriptions: a number by key, the same on the wire, in the store and behind the
// words of the configuration file and the command line.

/// What a setting is of. Times are microseconds, lengths bytes, switches 0 or 1.
public struct SettingKey: RawRepresentable, Hashable, Sendable {
    /// The number on the wire and in the store.
    public let rawValue: UInt16
    /// A key by number.
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    // Of a topic.
    /// Whether its events are stored before anybody hears of them.
    public static let durable = SettingKey(rawValue: 1)
    /// Whether its last event is kept as its last value.
    public static let retain = SettingKey(rawValue: 2)
    /// How long its events are kept.
    public static let retentionAge = SettingKey(rawValue: 3)
    /// How many bytes of its batches are kept.
    public static let retentionLength = SettingKey(rawValue: 4)
    /// How many of its events are kept.
    public static let retentionCount = SettingKey(rawValue: 5)
    /// Whether retention removes what somebody hasn't acknowledged yet.
    public static let retentionIsHard = SettingKey(rawValue: 6)
    /// How long an event's id is remembered, so that it isn't taken twice.
    public static let duplicateWindow = SettingKey(rawValue: 7)
    /// The longest payload of one event.
    public static let payloadLengthMax = SettingKey(rawValue: 8)

    // Of a durable subscription.
    /// How long a delivery may go unacknowledged before it is tried again.
    public static let acknowledgeWait = SettingKey(rawValue: 20)
    /// How often an event is tried before it is given up on.
    public static let attemptCountMax = SettingKey(rawValue: 21)
    /// The pause before the second attempt; doubled for each one after.
    public static let backoffMin = SettingKey(rawValue: 22)
    /// The longest pause between attempts.
    public static let backoffMax = SettingKey(rawValue: 23)
    /// After how long without a consumer it is removed; 0 never, it is only reported then.
    public static let unattendedMax = SettingKey(rawValue: 24)
    /// Whether what is given up on is kept as a dead letter.
    public static let deadLetters = SettingKey(rawValue: 25)
    /// How many events its consumers may hold unacknowledged, all together.
    public static let outstandingCountMax = SettingKey(rawValue: 26)
    /// Whether events that expired become dead letters, too.
    public static let deadLettersExpired = SettingKey(rawValue: 27)

    private static let names: [SettingKey: String] = [
        .durable: "durable", .retain: "retain", .retentionAge: "max-age", .retentionLength: "max-bytes",
        .retentionCount: "max-events", .retentionIsHard: "limit-hard", .duplicateWindow: "dedup",
        .payloadLengthMax: "max-payload", .acknowledgeWait: "ack-wait", .attemptCountMax: "attempts",
        .backoffMin: "backoff-min", .backoffMax: "backoff-max", .unattendedMax: "expire",
        .deadLetters: "dead-letters", .outstandingCountMax: "max-outstanding", .deadLettersExpired: "dead-expired",
    ]

    /// The word for it in the configuration and on the command line: `max-age`.
    public var name: String { SettingKey.names[self] ?? "setting-\(rawValue)" }
}

/// One number, and what it is of.
public struct Setting: Sendable, Hashable {
    /// What of.
    public var key: SettingKey
    /// How much.
    public var value: Int64

    /// A setting of these parts.
    public init(_ key: SettingKey, _ value: Int64) {
        self.key = key
        self.value = value
    }
}

/// Where in what is stored a subscription begins.
public enum Start: Sendable, Hashable {
    /// With what comes from now on.
    case new
    /// With the oldest event that is kept.
    case all
    /// With the last event of each topic.
    case last
    /// With what was accepted at this time or later, microseconds since 1970.
    case since(Int64)
    /// With this position in its one topic.
    case sequence(UInt64)

    /// Kind and value, 9 bytes.
    var bytes: [UInt8] {
        var out: [UInt8] = []
        let (kind, value): (UInt8, UInt64) =
            switch self {
            case .new: (0, 0)
            case .all: (1, 0)
            case .last: (2, 0)
            case .since(let time): (3, UInt64(bitPattern: time))
            case .sequence(let sequence): (4, sequence)
            }
        out.put(kind)
        out.put(value)
        return out
    }

    init(_ bytes: [UInt8], _ frame: FrameType) throws(WireError) {
        guard let kind = bytes.first, bytes.count == 9 else {
            throw .invalid(frame: frame, what: "a start of \(bytes.count) bytes")
        }
        let value = bytes[1...].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        switch kind {
        case 0: self = .new
        case 1: self = .all
        case 2: self = .last
        case 3: self = .since(Int64(bitPattern: value))
        case 4 where value <= Limits.sequenceMax: self = .sequence(value)
        default: throw .invalid(frame: frame, what: "a start of kind \(kind)")
        }
    }
}

extension Fields {
    /// All settings of the frame, in their order.
    func settings() throws(WireError) -> [Setting] {
        var settings: [Setting] = []
        for (tag, value) in list where tag == .setting {
            var reader = ByteReader(value, range: 0..<value.count, frame: frame)
            let key: UInt16 = try reader.integer("setting's key")
            settings.append(Setting(SettingKey(rawValue: key), try reader.integer("setting's value")))
        }
        return settings
    }

    /// Where to begin; nil when nothing is said of it.
    func start() throws(WireError) -> Start? {
        guard list.contains(where: { $0.tag == .start }) else { return nil }
        return try Start(try bytes(.start, lengthMax: 9), frame)
    }
}

extension [UInt8] {
    mutating func putFields(_ settings: [Setting]) {
        for setting in settings {
            var bytes: [UInt8] = []
            bytes.put(setting.key.rawValue)
            bytes.put(setting.value)
            putField(.setting, required: true, bytes)
        }
    }
}
