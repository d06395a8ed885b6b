// UUIDs: event ids, correlation and causation ids, incarnations. Layout and counting after RFC 9562 version 7:
// 48 bits of Unix milliseconds, version, then a 74-bit counter that libuuid seeds, so that the ids of a batch
// count up and cost nothing each. Any valid UUID is accepted as an id; only the counting is version 7's.

/// A 128-bit UUID in network byte order, as two words.
public struct BusUUID: Hashable, Sendable {
    /// The first eight bytes, most significant first.
    public let high: UInt64
    /// The last eight bytes, most significant first.
    public let low: UInt64

    /// A UUID of these two words.
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// All bits zero: "none", never an event's id.
    public static let zero = BusUUID(high: 0, low: 0)

    /// Whether this is "none".
    public var isZero: Bool { high == 0 && low == 0 }

    private static let counterHighMask: UInt64 = 0xfff
    private static let counterLowMask: UInt64 = (1 << 62) - 1

    /// A version 7 UUID.
    ///
    /// - Parameters:
    ///   - milliseconds: since 1970; the low 48 bits are used.
    ///   - counterHigh: the counter's upper 12 bits.
    ///   - counterLow: the counter's lower 62 bits.
    public init(milliseconds: UInt64, counterHigh: UInt64, counterLow: UInt64) {
        high = (milliseconds << 16) | 0x7000 | (counterHigh & BusUUID.counterHighMask)
        low = (0b10 << 62) | (counterLow & BusUUID.counterLowMask)
    }

    /// This id with `n` added to its 74-bit counter (the 12 bits behind the version and the 62 behind the variant),
    /// or nil where the counter would overflow.
    public func advanced(by n: UInt64) -> BusUUID? {
        guard n <= BusUUID.counterLowMask else { return nil }
        let sum = (low & BusUUID.counterLowMask) + n
        let newLow = (low & ~BusUUID.counterLowMask) | (sum & BusUUID.counterLowMask)
        guard sum > BusUUID.counterLowMask else { return BusUUID(high: high, low: newLow) }
        let carried = (high & BusUUID.counterHighMask) + 1
        guard carried <= BusUUID.counterHighMask else { return nil }
        return BusUUID(high: (high & ~BusUUID.counterHighMask) | carried, low: newLow)
    }

    /// This id with `n` taken from its 74-bit counter, or with a counter of 0 where that is less.
    public func receded(by n: UInt64) -> BusUUID {
        let counter = low & BusUUID.counterLowMask
        let fixed = (high: high & ~BusUUID.counterHighMask, low: low & ~BusUUID.counterLowMask)
        if counter >= n { return BusUUID(high: high, low: fixed.low | (counter - n)) }
        let carried = high & BusUUID.counterHighMask
        guard carried > 0, n <= BusUUID.counterLowMask else { return BusUUID(high: fixed.high, low: fixed.low) }
        let borrowed = BusUUID.counterLowMask - (n - counter - 1)
        return BusUUID(high: fixed.high | (carried - 1), low: fixed.low | borrowed)
    }
}

/// Gives out event ids that count up: the time of the first, then a counter seeded by libuuid, one seed a source.
///
/// Unique across sources by the 74 seeded bits, within one by counting; the time never goes back, so that ids of one
/// source sort in the order they were given out.
public struct EventIDSource: Sendable {
    private var next: BusUUID
    private var milliseconds: UInt64 = 0
    /// How far the time in ids may be behind: as long as it stands, the ids of one batch follow those of the last, and a
    /// daemon remembers all of them as one range.
    static let lagMax: UInt64 = 100

    /// A source with a seed of its own from libuuid.
    public init() { self.init(seed: .random()) }

    /// A source that counts from `seed`'s 74 random bits; for tests and simulations.
    public init(seed: BusUUID) { next = seed }

    /// The next id.
    ///
    /// - Parameter milliseconds: since 1970.
    public mutating func make(milliseconds now: UInt64) -> BusUUID { reserve(1, milliseconds: now) }

    /// The first of `count` ids that count up from it and are given to nobody else: a batch's, which are then
    /// consecutive whatever other batches gather at the same time.
    ///
    /// - Parameters:
    ///   - count: at most 2^61.
    ///   - milliseconds: since 1970.
    public mutating func reserve(_ count: UInt64, milliseconds now: UInt64) -> BusUUID {
        if now > milliseconds, now - milliseconds > EventIDSource.lagMax { milliseconds = now }
        let id = BusUUID(milliseconds: milliseconds, counterHigh: next.high, counterLow: next.low)
        if let following = id.advanced(by: count) {
            next = following
            return id
        }
        // An exhausted counter starts over with the next millisecond, which makes the ids differ again.
        milliseconds += 1
        next = .zero
        return id.advanced(by: count - 1) == nil ? reserve(count, milliseconds: milliseconds) : id
    }
}

extension EventIDSource {
    /// Gives back what is left of ids that were reserved, where nobody was given any since.
    ///
    /// - Parameters:
    ///   - first: the first of those reserved.
    ///   - count: how many were.
    ///   - used: how many of them, from the first, may be in use.
    public mutating func giveBack(_ first: BusUUID, count: UInt64, used: UInt64) {
        guard used < count, first.advanced(by: count) == next, let unused = first.advanced(by: used) else { return }
        next = unused
    }
}

extension BusUUID: Comparable {
    /// As their bytes are, which for ids of one connection is the order in which they were made.
    public static func < (a: BusUUID, b: BusUUID) -> Bool { (a.high, a.low) < (b.high, b.low) }
}
