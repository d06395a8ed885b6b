// Settings of topics and durable subscriptions, read once from what was said of them: each with its default, its
// bounds, and an error that names it.

public import BusWire

/// A setting that can't be had.
public struct SettingFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// What is wrong with which setting.
    public let description: String
}

/// How a durable subscription tries, and when it gives up.
struct DurableSettings: Sendable, Equatable {
    /// How long a delivery may go unacknowledged.
    var acknowledgeWait: Moment.Nanoseconds = 30_000_000_000
    /// How often an event is tried.
    var attemptCountMax: UInt16 = 10
    /// The pause before the second attempt.
    var backoffMin: Moment.Nanoseconds = 100_000_000
    /// The longest pause.
    var backoffMax: Moment.Nanoseconds = 30_000_000_000
    /// After how many microseconds without a consumer it is removed; 0 for never.
    var unattendedMax: Int64 = 0
    /// Whether what is given up on is kept.
    var keepsDeadLetters = true
    /// Whether events that expired are kept, too.
    var keepsExpired = false
    /// How many events its consumers may hold.
    var outstandingCountMax: UInt64 = 65_536

    init() {}

    init(_ settings: [Setting]) throws(SettingFault) {
        for setting in settings {
            switch setting.key {
            case .acknowledgeWait: acknowledgeWait = try setting.nanoseconds
            case .attemptCountMax: attemptCountMax = UInt16(try setting.checked)
            case .backoffMin: backoffMin = try setting.nanoseconds
            case .backoffMax: backoffMax = try setting.nanoseconds
            case .unattendedMax: unattendedMax = try setting.checked
            case .deadLetters: keepsDeadLetters = try setting.isOn
            case .deadLettersExpired: keepsExpired = try setting.isOn
            case .outstandingCountMax: outstandingCountMax = UInt64(try setting.checked)
            default: throw SettingFault(description: "\(setting.key.name) isn't a setting of a subscription")
            }
        }
        guard backoffMin <= backoffMax else {
            throw SettingFault(description: "backoff-min is longer than backoff-max")
        }
    }

    /// The pause before an attempt: doubled for each, ±20 % by a number that differs between events, so that what failed
    /// together doesn't come back together.
    ///
    /// - Parameters:
    ///   - attempt: which attempt it will be, from 2.
    ///   - spread: any number.
    func backoff(before attempt: UInt16, spread: UInt64) -> Moment.Nanoseconds {
        let doublings = min(UInt64(attempt) - 2, 40)
        let (doubled, isOver) = backoffMin.multipliedReportingOverflow(by: 1 << doublings)
        let pause = isOver ? backoffMax : min(doubled, backoffMax)
        // A fifth either way, in thousandths.
        let factor = 800 + (spread &* 0x9e37_79b9_7f4a_7c15) >> 32 % 401
        return pause / 1000 * factor
    }
}

/// What a durable topic keeps.
struct TopicSettings: Sendable, Equatable {
    /// Whether its events are stored.
    var isDurable = true
    /// Whether its last event is its last value.
    var retains = false
    /// How long events are kept, in microseconds; 0 for as long as there is room.
    var retentionAge: Int64 = 7 * 86_400_000_000
    /// How many bytes are kept; 0 for as many as there is room for.
    var retentionLength: UInt64 = 0
    /// How many events are kept; 0 for as many as there is room for.
    var retentionCount: UInt64 = 0
    /// Whether retention removes what somebody hasn't acknowledged.
    var retentionIsHard = false
    /// How long ids are remembered, in microseconds.
    var duplicateWindow = TopicSettings.duplicateWindowDefault
    static let duplicateWindowDefault: Int64 = 600_000_000
    /// The longest payload; 0 for the bus's.
    var payloadLengthMax = 0

    /// What nobody declared is.
    static let live = TopicSettings(isDurable: false)

    private init(isDurable: Bool) { self.isDurable = isDurable }

    init(_ settings: [Setting]) throws(SettingFault) {
        for setting in settings {
            switch setting.key {
            case .durable: isDurable = try setting.isOn
            case .retain: retains = try setting.isOn
            case .retentionAge: retentionAge = try setting.checked
            case .retentionLength: retentionLength = UInt64(try setting.checked)
            case .retentionCount: retentionCount = UInt64(try setting.checked)
            case .retentionIsHard: retentionIsHard = try setting.isOn
            case .duplicateWindow: duplicateWindow = try setting.checked
            case .payloadLengthMax:
                payloadLengthMax = Int(try setting.checked)
            default: throw SettingFault(description: "\(setting.key.name) isn't a setting of a topic")
            }
        }
    }
}

extension Setting {
    /// Its value, within the bounds that the setting has.
    var checked: Int64 {
        get throws(SettingFault) {
            guard key.allows(value) else {
                throw SettingFault(description: "\(key.name) can't be \(key.text(value)); it may be \(key.expectation)")
            }
            return value
        }
    }

    var nanoseconds: UInt64 {
        get throws(SettingFault) { UInt64(try checked) * 1000 }
    }

    var isOn: Bool {
        get throws(SettingFault) { try checked == 1 }
    }

    /// One list over another: what the second says holds.
    public static func merge(_ base: [Setting], _ changes: [Setting]) -> [Setting] {
        var merged = base
        for change in changes {
            if let index = merged.firstIndex(where: { $0.key == change.key }) {
                merged[index] = change
            } else {
                merged.append(change)
            }
        }
        return merged
    }
}
