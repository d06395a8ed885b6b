// Chance that repeats: SplitMix64 (Steele, Lea, Flood 2014). Eight lines, no state but a counter, the same numbers on
// every machine, which the standard library doesn't promise of its own generator or of its ways to use one.

/// A generator whose numbers follow from its seed.
public struct SplitMix64: Sendable {
    private var state: UInt64

    /// A generator that begins at `seed`.
    public init(seed: UInt64) { state = seed }

    /// The next 64 bits.
    public mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }

    /// A number from 0 up to, not including, `bound`, which is at least 1. The modulo's bias doesn't matter here.
    public mutating func below(_ bound: Int) -> Int { Int(next() % UInt64(bound)) }

    /// A number of `range`.
    public mutating func within(_ range: ClosedRange<Int>) -> Int { range.lowerBound + below(range.count) }

    /// True in `percent` of a hundred cases.
    public mutating func chance(_ percent: Int) -> Bool { below(100) < percent }

    /// One of `choices`, which aren't empty.
    public mutating func pick<T>(_ choices: [T]) -> T { choices[below(choices.count)] }

    /// One of `choices`, or nil when there are none.
    public mutating func pickAny<T>(_ choices: [T]) -> T? { choices.isEmpty ? nil : pick(choices) }
}
