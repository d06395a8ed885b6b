// The name of a group: one token, so that it can stand in a topic.

/// A group's name, checked once where it enters. Equality and hashing are bytewise.
public struct GroupName: Sendable {
    /// The name's UTF-8.
    public let bytes: [UInt8]

    /// Checks `bytes` against the rules: one token of a topic, at most 64 bytes, not beginning with `$`.
    public init(bytes: [UInt8]) throws(NameFault) {
        guard bytes.count <= Limits.groupLengthMax else { throw .groupTooLong(bytes.count) }
        let topic = try Topic(bytes: bytes)
        guard !bytes.contains(UInt8(ascii: ".")) else { throw .forbidden("a dot") }
        guard !topic.isReserved else { throw .reserved }
        self.bytes = bytes
    }

    /// Checks `name` against the rules.
    public init(_ name: String) throws(NameFault) { try self.init(bytes: Array(name.utf8)) }
}

extension GroupName: Hashable {
    /// Bytewise.
    public static func == (a: GroupName, b: GroupName) -> Bool { a.bytes == b.bytes }
    /// Bytewise.
    public func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
}

extension GroupName: CustomStringConvertible {
    /// The name.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}
