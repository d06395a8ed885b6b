// Names: topics and filters, checked once where they enter, compared and hashed as bytes ever after. A Swift
// `String` would make a name in NFC and the same name in NFD one dictionary key with two secrets.

/// What is wrong with a name.
public enum NameFault: Error, Equatable, Sendable, CustomStringConvertible {
    /// No bytes at all.
    case empty
    /// Longer than the limit.
    case tooLong(Int)
    /// A group's name longer than its limit.
    case groupTooLong(Int)
    /// More tokens than the limit.
    case tooManyTokens(Int)
    /// Begins or ends with a dot.
    case edgeDot
    /// Two dots in a row.
    case emptyToken
    /// White space, a control character, or a wildcard where none may be.
    case forbidden(String)
    /// Not UTF-8.
    case notUTF8
    /// `>` that isn't the last token.
    case tailNotLast
    /// A first token beginning with `$`, which only the daemon publishes under.
    case reserved

    /// What is wrong, and where it helps, what to do.
    public var description: String {
        switch self {
        case .empty: "is empty"
        case .tooLong(let n): "has \(n) bytes, at most \(Limits.topicLengthMax) are allowed"
        case .groupTooLong(let n): "has \(n) bytes, at most \(Limits.groupLengthMax) are allowed"
        case .tooManyTokens(let n): "has \(n) tokens, at most \(Limits.tokenCountMax) are allowed"
        case .edgeDot: "begins or ends with a dot (the shell may have taken a $… or >: put the name in single quotes)"
        case .emptyToken: "has two dots in a row"
        case .forbidden(let c): "contains \(c), which is not allowed in a name"
        case .notUTF8: "is not UTF-8"
        case .tailNotLast: "has a > that is not its last token"
        case .reserved: "begins with $, which is the daemon's own"
        }
    }
}

/// A published name: tokens joined by dots, at most 255 bytes and 16 tokens. Equality and hashing are bytewise.
public struct Topic: Sendable {
    /// The name's UTF-8.
    public let bytes: [UInt8]

    /// Checks `bytes` against the rules for topics; a name of the daemon's own (`$…`) passes.
    public init(bytes: [UInt8]) throws(NameFault) {
        try checkName(bytes, wildcards: false)
        self.bytes = bytes
    }

    /// Checks `name` against the rules for topics.
    public init(_ name: String) throws(NameFault) { try self.init(bytes: [UInt8](name.utf8)) }

    /// Whether the first token begins with `$`, so that only the daemon publishes here.
    public var isReserved: Bool { bytes[0] == UInt8(ascii: "$") }

    /// The first token, whose secret the topic's secret is derived from.
    public var namespace: ArraySlice<UInt8> { bytes.prefix { $0 != dot } }

    /// The tokens, in order.
    public var tokens: [ArraySlice<UInt8>] { bytes.split(separator: dot, omittingEmptySubsequences: false) }
}

extension Topic: Hashable {
    /// Bytewise.
    public static func == (a: Topic, b: Topic) -> Bool { a.bytes == b.bytes }
    /// Bytewise, in one step rather than a byte at a time.
    public func hash(into hasher: inout Hasher) {
        bytes.withUnsafeBytes { hasher.combine(bytes: $0) }
    }
}

extension Topic: CustomStringConvertible {
    /// The name.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

/// A pattern over topics: `*` is one token, a final `>` is one or more. `*` and `>` at the beginning don't match
/// the daemon's own topics (`$…`), which must be named.
public struct TopicFilter: Sendable {
    /// The pattern's UTF-8.
    public let bytes: [UInt8]

    /// Checks `bytes` against the rules for filters.
    public init(bytes: [UInt8]) throws(NameFault) {
        try checkName(bytes, wildcards: true)
        self.bytes = bytes
    }

    /// Checks `pattern` against the rules for filters.
    public init(_ pattern: String) throws(NameFault) { try self.init(bytes: [UInt8](pattern.utf8)) }

    /// The tokens, in order.
    public var tokens: [ArraySlice<UInt8>] { bytes.split(separator: dot, omittingEmptySubsequences: false) }

    /// Whether this filter can match more than one topic.
    public var hasWildcard: Bool { tokens.contains { $0.elementsEqual([star]) || $0.elementsEqual([tail]) } }

    /// Whether `topic` matches; the plain definition that the broker's trie is tested against.
    public func matches(_ topic: Topic) -> Bool {
        let pattern = tokens
        let name = topic.tokens
        if topic.isReserved, pattern[0].first != UInt8(ascii: "$") { return false }
        for (i, token) in pattern.enumerated() {
            if token.elementsEqual([tail]) { return name.count > i }
            guard i < name.count, token.elementsEqual([star]) || token == name[i] else { return false }
        }
        return name.count == pattern.count
    }
}

extension TopicFilter: Hashable {
    /// Bytewise.
    public static func == (a: TopicFilter, b: TopicFilter) -> Bool { a.bytes == b.bytes }
    /// Bytewise.
    public func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
}

extension TopicFilter: CustomStringConvertible {
    /// The pattern.
    public var description: String { String(decoding: bytes, as: UTF8.self) }
}

private let dot = UInt8(ascii: ".")
private let star = UInt8(ascii: "*")
private let tail = UInt8(ascii: ">")

/// The rules for both kinds of name, as docs/PROTOCOL.md gives them.
private func checkName(_ bytes: [UInt8], wildcards: Bool) throws(NameFault) {
    guard let first = bytes.first, let last = bytes.last else { throw .empty }
    guard bytes.count <= Limits.topicLengthMax else { throw .tooLong(bytes.count) }
    guard first != dot, last != dot else { throw .edgeDot }
    try checkScalars(bytes)
    let count = bytes.count { $0 == dot } + 1
    guard count <= Limits.tokenCountMax else { throw .tooManyTokens(count) }
    var start = 0
    while start <= bytes.count {
        let end = bytes[start...].firstIndex(of: dot) ?? bytes.count
        try checkToken(bytes[start..<end], isLast: end == bytes.count, wildcards: wildcards)
        start = end + 1
    }
}

/// Neither white space nor control characters.
private func checkScalars(_ bytes: [UInt8]) throws(NameFault) {
    // Printable ASCII is nearly everything, and asking Unicode about each character costs more than all else here.
    if bytes.allSatisfy({ $0 > 0x20 && $0 < 0x7f }) { return }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw .notUTF8 }
    for scalar in text.unicodeScalars
    where scalar.properties.isWhitespace || scalar.properties.generalCategory == .control {
        throw .forbidden("U+" + String(scalar.value, radix: 16, uppercase: true))
    }
}

private func checkToken(_ token: ArraySlice<UInt8>, isLast: Bool, wildcards: Bool) throws(NameFault) {
    guard let first = token.first else { throw .emptyToken }
    if wildcards, token.count == 1, first == star || first == tail {
        if first == tail, !isLast { throw .tailNotLast }
    } else if token.contains(star) {
        throw .forbidden(wildcards ? "a * inside a token" : "a *")
    } else if token.contains(tail) {
        throw .forbidden(wildcards ? "a > inside a token" : "a >")
    }
}
