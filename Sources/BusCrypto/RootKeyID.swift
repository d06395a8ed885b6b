// The name of a root key: what the store remembers, to say which key it needs.

/// Eight bytes derived from a root key, written as 16 hexadecimal digits.
public struct RootKeyID: Hashable, Sendable, LosslessStringConvertible {
    /// The eight bytes read as a big-endian number.
    public let rawValue: UInt64

    /// An id by its number.
    public init(rawValue: UInt64) {
        self.rawValue = rawValue
    }

    /// Reads exactly 16 lowercase hexadecimal digits; nil for anything else.
    public init?(_ description: String) {
        guard description.utf8.count == 16, let value = UInt64(description, radix: 16) else { return nil }
        rawValue = value
        // Refuses signs and capitals: an id has one spelling, so that comparing text is enough.
        guard self.description == description else { return nil }
    }

    /// 16 lowercase hexadecimal digits.
    public var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}
