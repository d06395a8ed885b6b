// How long something takes, as quantiles: counted by size, sixteen steps to each doubling, so that what is told is at
// most a sixteenth too much, however long it was, in 8 KB.

struct DurationHistogram {
    /// Half of what was counted is forgotten when there is so much of it: quantiles are of about the last that many.
    static let countMax: UInt64 = 16_384
    private static let steps = 16

    private var counts = [UInt64](repeating: 0, count: DurationHistogram.steps * 61)
    private(set) var count: UInt64 = 0

    /// Counts one.
    mutating func note(_ value: UInt64) {
        counts[DurationHistogram.place(of: value)] += 1
        count += 1
        guard count >= DurationHistogram.countMax else { return }
        count = 0
        for place in counts.indices {
            counts[place] /= 2
            count += counts[place]
        }
    }

    /// What this share of them took at most; 0 for none.
    func quantile(_ share: Double) -> UInt64 {
        let wanted = max(1, UInt64((Double(count) * share).rounded(.up)))
        var sum: UInt64 = 0
        for (place, here) in counts.enumerated() where here > 0 {
            sum += here
            if sum >= wanted { return DurationHistogram.most(at: place) }
        }
        return 0
    }

    private static func place(of value: UInt64) -> Int {
        guard value >= UInt64(steps) else { return Int(value) }
        let exponent = UInt64.bitWidth - 1 - value.leadingZeroBitCount
        return steps * (exponent - 3) + Int(value >> UInt64(exponent - 4)) - steps
    }

    /// The greatest value that is counted in a place.
    private static func most(at place: Int) -> UInt64 {
        guard place >= steps else { return UInt64(place) }
        let (exponent, step) = (place / steps + 3, UInt64(place % steps))
        // The last place's is the greatest there is: adding comes after taking away.
        return (UInt64(steps) + step) << UInt64(exponent - 4) + (1 << UInt64(exponent - 4) - 1)
    }
}
