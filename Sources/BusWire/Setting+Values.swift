// What each setting may be: its unit, its bounds and its default, in one place for the daemon that checks them, the
// file and the command line that name them, and the tables that show them.

extension SettingKey {
    /// What a setting's number counts.
    public enum Unit: Sendable {
        /// 0 or 1.
        case flag
        /// Microseconds.
        case time
        /// Bytes.
        case length
        /// Things.
        case count
    }

    /// What is known of one setting.
    private struct Entry {
        let key: SettingKey
        let unit: Unit
        let range: ClosedRange<Int64>
        let standard: Int64
        /// How one could be written.
        let example: String
    }

    private static let second: Int64 = 1_000_000
    private static let day = 86_400 * second
    /// What nobody waits for: times stay far from where adding two of them would overflow.
    private static let century = 36_500 * day
    private static let much: Int64 = 1 << 50
    private static let payloadCeiling = Int64(Limits.payloadLengthCeiling)

    // Bounds not tuned: each is where a value begins to be a slip of the pen.
    private static let topicEntries = [
        Entry(key: .durable, unit: .flag, range: 0...1, standard: 1, example: "true"),
        Entry(key: .retain, unit: .flag, range: 0...1, standard: 0, example: "true"),
        Entry(key: .retentionAge, unit: .time, range: 0...century, standard: 7 * day, example: "7d"),
        Entry(key: .retentionLength, unit: .length, range: 0...much, standard: 0, example: "1GiB"),
        Entry(key: .retentionCount, unit: .count, range: 0...much, standard: 0, example: "1000000"),
        Entry(key: .retentionIsHard, unit: .flag, range: 0...1, standard: 0, example: "true"),
        Entry(key: .duplicateWindow, unit: .time, range: 0...century, standard: 600 * second, example: "10m"),
        Entry(key: .payloadLengthMax, unit: .length, range: 0...payloadCeiling, standard: 0, example: "64KiB"),
    ]

    private static let subscriptionEntries = [
        Entry(key: .acknowledgeWait, unit: .time, range: 100_000...day, standard: 30 * second, example: "30s"),
        Entry(key: .attemptCountMax, unit: .count, range: 1...10_000, standard: 10, example: "10"),
        Entry(key: .backoffMin, unit: .time, range: 0...day, standard: 100_000, example: "100ms"),
        Entry(key: .backoffMax, unit: .time, range: 0...day, standard: 30 * second, example: "30s"),
        Entry(key: .unattendedMax, unit: .time, range: 0...century, standard: 0, example: "30d"),
        Entry(key: .deadLetters, unit: .flag, range: 0...1, standard: 1, example: "true"),
        Entry(key: .outstandingCountMax, unit: .count, range: 1...1_000_000, standard: 1 << 16, example: "1000"),
        Entry(key: .deadLettersExpired, unit: .flag, range: 0...1, standard: 0, example: "true"),
    ]

    /// Settings of topics, in the order in which they are shown.
    public static let ofTopics = topicEntries.map(\.key)
    /// Settings of durable subscriptions, in the order in which they are shown.
    public static let ofSubscriptions = subscriptionEntries.map(\.key)

    private static let entries = Dictionary(
        uniqueKeysWithValues: (topicEntries + subscriptionEntries).map { ($0.key, $0) })

    /// Whether this version knows it.
    public var isKnown: Bool { SettingKey.entries[self] != nil }

    /// Whether it is a topic's.
    public var isOfTopic: Bool { SettingKey.ofTopics.contains(self) }

    /// What its number counts; things, of one nobody knows.
    public var unit: Unit { SettingKey.entries[self]?.unit ?? .count }

    /// What holds where nothing is said; 0 of one nobody knows. A topic that nobody declared isn't durable, though.
    public var standard: Int64 { SettingKey.entries[self]?.standard ?? 0 }

    /// Whether it is known and may have this value.
    public func allows(_ value: Int64) -> Bool { SettingKey.entries[self]?.range.contains(value) ?? false }

    /// The value that a text of a file or a command line means; nil when it isn't one it may have.
    public func value(_ text: String) -> Int64? {
        let value: Int64? =
            switch unit {
            case .flag: ["true": 1, "false": 0][text]
            case .time: text == "0" ? 0 : Quantity.microseconds(text)
            case .length: Quantity.bytes(text)
            case .count: Int64(text)
            }
        return value.flatMap { allows($0) ? $0 : nil }
    }

    /// A value as a file or a command line would say it.
    public func text(_ value: Int64) -> String {
        switch unit {
        case .flag: value == 0 ? "false" : "true"
        case .time: Quantity.text(microseconds: value)
        case .length: Quantity.text(bytes: value)
        case .count: "\(value)"
        }
    }

    /// What it may be, for what is said against other values: `a time from 1s to 36500d, such as 7d`.
    public var expectation: String {
        guard let entry = SettingKey.entries[self] else { return "nothing this version knows" }
        let bounds = "from \(text(entry.range.lowerBound)) to \(text(entry.range.upperBound))"
        return switch entry.unit {
        case .flag: "true or false"
        case .time: "a time \(bounds), such as \(entry.example)"
        case .length: "a size \(bounds), such as \(entry.example)"
        case .count: "a number \(bounds), such as \(entry.example)"
        }
    }
}
