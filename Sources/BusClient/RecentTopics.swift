// Which topics were used recently, so that what is kept for them has a bound. Pure.

import BusWire

/// Topics by their last use.
struct RecentTopics {
    /// How many are kept.
    let countMax: Int
    private var uses: [Topic: UInt64] = [:]
    private var clock: UInt64 = 0

    init(countMax: Int) { self.countMax = countMax }

    /// A topic is used now. Returns those that leave for it: when the bound is passed, the eighth that was used longest
    /// ago at once, so that the search for them is paid once in so many uses.
    mutating func use(_ topic: Topic, mayLeave: (Topic) -> Bool) -> [Topic] {
        clock += 1
        uses[topic] = clock
        guard uses.count > countMax else { return [] }
        let oldest = uses.filter { $0.key != topic && mayLeave($0.key) }.sorted { $0.value < $1.value }
        let leaving = oldest.prefix(max(1, countMax / 8)).map(\.key)
        for old in leaving { uses[old] = nil }
        return leaving
    }

    /// Forgets all and returns them.
    mutating func removeAll() -> [Topic] {
        defer { uses = [:] }
        return Array(uses.keys)
    }
}
