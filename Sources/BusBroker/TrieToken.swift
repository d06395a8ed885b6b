// A token as the trie knows it: up to fifteen bytes lie in the key itself; longer ones, which are few, are numbered.

/// One token, told apart from all others in sixteen bytes.
struct TrieToken: Hashable {
    /// Short: its first eight bytes. Long: its number.
    let low: UInt64
    /// Short: seven more bytes, and above them how many it has in all. Long: `longMark`.
    let high: UInt64

    private static let longMark: UInt64 = 0xff << 56
    private static let shortLengthMax = 15
    /// No token has no bytes, so that nothing else is written like this.
    static let star = TrieToken(low: 0, high: 0)

    private init(low: UInt64, high: UInt64) {
        self.low = low
        self.high = high
    }

    /// A short token; nil for a longer one.
    init?(short bytes: ArraySlice<UInt8>) {
        guard bytes.count <= TrieToken.shortLengthMax else { return nil }
        var words: (UInt64, UInt64) = (0, 0)
        withUnsafeMutableBytes(of: &words) { $0.copyBytes(from: bytes) }
        low = UInt64(littleEndian: words.0)
        high = UInt64(littleEndian: words.1) | UInt64(bytes.count) << 56
    }

    /// A long token of this number.
    init(number: UInt32) { self.init(low: UInt64(number), high: TrieToken.longMark) }

    /// A long token's number.
    var number: UInt32? { high == TrieToken.longMark ? UInt32(truncatingIfNeeded: low) : nil }

    enum Wildcard { case star, tail }

    /// What a filter's token stands for if it isn't itself.
    static func wildcard(_ bytes: ArraySlice<UInt8>) -> Wildcard? {
        guard bytes.count == 1 else { return nil }
        switch bytes.first {
        case UInt8(ascii: "*"): return .star
        case UInt8(ascii: ">"): return .tail
        default: return nil
        }
    }
}

/// The long tokens in use, numbered, each with how many edges use it.
struct LongTokens {
    private struct Key: Hashable {
        let bytes: [UInt8]
        static func == (a: Key, b: Key) -> Bool { a.bytes == b.bytes }
        func hash(into hasher: inout Hasher) { bytes.withUnsafeBytes { hasher.combine(bytes: $0) } }
    }

    private var numbers: [Key: UInt32] = [:]
    private var uses: [UInt32: (key: Key, count: Int)] = [:]
    private var next: UInt32 = 0

    var isEmpty: Bool { numbers.isEmpty }

    /// The token for one more edge; whoever finds the edge there already gives it back.
    mutating func use(_ bytes: ArraySlice<UInt8>) -> TrieToken {
        if TrieToken.wildcard(bytes) == .star { return .star }
        if let short = TrieToken(short: bytes) { return short }
        let key = Key(bytes: Array(bytes))
        let number = numbers[key] ?? makeNumber()
        numbers[key] = number
        uses[number, default: (key, 0)].count += 1
        return TrieToken(number: number)
    }

    private mutating func makeNumber() -> UInt32 {
        // Four billion long tokens later a number may still be in use.
        while uses[next] != nil { next &+= 1 }
        defer { next &+= 1 }
        return next
    }

    /// The token as edges have it; nil for a long one that no edge has.
    func find(_ bytes: ArraySlice<UInt8>) -> TrieToken? {
        if TrieToken.wildcard(bytes) == .star { return .star }
        if let short = TrieToken(short: bytes) { return short }
        return numbers[Key(bytes: Array(bytes))].map(TrieToken.init(number:))
    }

    /// An edge is gone.
    mutating func release(_ token: TrieToken) {
        guard let number = token.number, var use = uses[number] else { return }
        use.count -= 1
        uses[number] = use.count > 0 ? use : nil
        if use.count == 0 { numbers[use.key] = nil }
    }
}
