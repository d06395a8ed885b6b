// What the store keeps for us in bytes of our own: settings, and what a durable subscription is beside its place. A
// version leads, lengths come before what they are of, and what isn't whole is nil, never a guess.

import BusWire

/// Bytes written and read in one order.
struct OptionBytes {
    private(set) var bytes: [UInt8]
    private var position = 0

    init() { bytes = [] }
    init(_ bytes: [UInt8]) { self.bytes = bytes }

    mutating func put<T: FixedWidthInteger>(_ value: T) {
        withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
    }

    mutating func put(_ value: [UInt8]) {
        put(UInt16(clamping: value.count))
        bytes.append(contentsOf: value.prefix(Int(UInt16.max)))
    }

    mutating func put(_ settings: [Setting]) {
        put(UInt16(clamping: settings.count))
        for setting in settings {
            put(setting.key.rawValue)
            put(setting.value)
        }
    }

    mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T? {
        let size = MemoryLayout<T>.size
        guard bytes.count - position >= size else { return nil }
        defer { position += size }
        var value: T = 0
        withUnsafeMutableBytes(of: &value) { $0.copyBytes(from: bytes[position..<position + size]) }
        return T(littleEndian: value)
    }

    mutating func array() -> [UInt8]? {
        guard let count = integer(UInt16.self).map(Int.init), bytes.count - position >= count else { return nil }
        defer { position += count }
        return Array(bytes[position..<position + count])
    }

    mutating func settings() -> [Setting]? {
        guard let count = integer(UInt16.self) else { return nil }
        var settings: [Setting] = []
        for _ in 0..<count {
            guard let key = integer(UInt16.self), let value = integer(Int64.self) else { return nil }
            settings.append(Setting(SettingKey(rawValue: key), value))
        }
        return settings
    }

    /// Whether everything was read.
    var isAtEnd: Bool { position == bytes.count }
}

/// What a durable subscription is beside its name and its place.
struct SubscriptionOptions: Equatable {
    var filter: [UInt8]
    var mode: UInt32
    var settings: [Setting]
    var uid: UInt32
    var created: Int64
    var attended: Int64

    private static let version: UInt8 = 1

    var encoded: [UInt8] {
        var out = OptionBytes()
        out.put(SubscriptionOptions.version)
        out.put(filter)
        out.put(mode)
        out.put(uid)
        out.put(created)
        out.put(attended)
        out.put(settings)
        return out.bytes
    }
}

extension SubscriptionOptions {
    init?(_ bytes: [UInt8]) {
        var reader = OptionBytes(bytes)
        guard reader.integer(UInt8.self) == SubscriptionOptions.version, let filter = reader.array(),
            let mode = reader.integer(UInt32.self), let uid = reader.integer(UInt32.self),
            let created = reader.integer(Int64.self), let attended = reader.integer(Int64.self),
            let settings = reader.settings(), reader.isAtEnd
        else { return nil }
        self.init(filter: filter, mode: mode, settings: settings, uid: uid, created: created, attended: attended)
    }
}

/// Settings alone, as a declaration has them.
enum DeclarationOptions {
    private static let version: UInt8 = 1

    static func encode(_ settings: [Setting]) -> [UInt8] {
        var out = OptionBytes()
        out.put(version)
        out.put(settings)
        return out.bytes
    }

    static func decode(_ bytes: [UInt8]) -> [Setting]? {
        var reader = OptionBytes(bytes)
        guard reader.integer(UInt8.self) == version, let settings = reader.settings(), reader.isAtEnd else {
            return nil
        }
        return settings
    }
}
