import BusWire
import Testing

@Suite("A UUID")
struct BusUUIDTests {
    private let low62: UInt64 = (1 << 62) - 1

    @Test("of version 7 has its milliseconds, version, variant and counter in their places")
    func layout() {
        let id = BusUUID(milliseconds: 0x018b_cfe5_6800, counterHigh: 0x123, counterLow: 0x0045_6789_abcd_ef01)
        #expect(id.description == "018bcfe5-6800-7123-8045-6789abcdef01")
        let full = BusUUID(milliseconds: .max, counterHigh: .max, counterLow: .max)
        #expect(full.description == "ffffffff-ffff-7fff-bfff-ffffffffffff")
        let empty = BusUUID(milliseconds: 0, counterHigh: 0, counterLow: 0)
        #expect(empty.description == "00000000-0000-7000-8000-000000000000")
    }

    @Test("is ordered as its bytes are, and so as it counts")
    func order() {
        let id = BusUUID(milliseconds: 9, counterHigh: 1, counterLow: low62)
        let later = [
            id.advanced(by: 1), BusUUID(milliseconds: 10, counterHigh: 0, counterLow: 0), BusUUID(high: .max, low: 0),
        ]
        for other in later.compactMap(\.self) { #expect(id < other && !(other < id)) }
        #expect(!(id < id) && BusUUID.zero < id)
        #expect(BusUUID(high: 1, low: 0) < BusUUID(high: 1, low: 1 << 63))
    }

    @Test("counts up in its lower 62 bits")
    func counting() {
        let id = BusUUID(milliseconds: 9, counterHigh: 1, counterLow: 5)
        #expect(id.advanced(by: 0) == id)
        #expect(id.advanced(by: 3) == BusUUID(milliseconds: 9, counterHigh: 1, counterLow: 8))
        #expect(id.advanced(by: low62 - 5) == BusUUID(milliseconds: 9, counterHigh: 1, counterLow: low62))
    }

    @Test("carries from its lower 62 bits into its upper 12, past version and variant")
    func carry() {
        let id = BusUUID(milliseconds: 9, counterHigh: 1, counterLow: low62 - 1)
        #expect(id.advanced(by: 1) == BusUUID(milliseconds: 9, counterHigh: 1, counterLow: low62))
        #expect(id.advanced(by: 2) == BusUUID(milliseconds: 9, counterHigh: 2, counterLow: 0))
        #expect(id.advanced(by: 4095) == BusUUID(milliseconds: 9, counterHigh: 2, counterLow: 4093))
        #expect(id.advanced(by: low62) == BusUUID(milliseconds: 9, counterHigh: 2, counterLow: low62 - 2))
    }

    @Test("doesn't count over the end of its 74 bits, nor by more than 62 bits at once")
    func overflow() {
        let last = BusUUID(milliseconds: 9, counterHigh: 0xfff, counterLow: low62)
        #expect(last.advanced(by: 0) == last)
        #expect(last.advanced(by: 1) == nil)
        #expect(last.advanced(by: low62) == nil)
        #expect(BusUUID.zero.advanced(by: low62 + 1) == nil)
        #expect(BusUUID.zero.advanced(by: .max) == nil)
    }

    @Test("of another version counts in the same 74 bits and keeps the others")
    func otherVersions() throws {
        let id = try #require(BusUUID("ffffffff-ffff-4fff-ffff-ffffffffffff"))
        #expect(id.advanced(by: 1) == nil)
        let carried = try #require(BusUUID("01234567-89ab-4cde-ffff-ffffffffffff")?.advanced(by: 1))
        #expect(carried.description == "01234567-89ab-4cdf-c000-000000000000")
    }

    @Test("is zero or not")
    func zero() {
        #expect(BusUUID.zero.isZero)
        #expect(!BusUUID(high: 0, low: 1).isZero && !BusUUID(high: 1, low: 0).isZero)
    }
}

@Suite("A source of event ids")
struct EventIDSourceTests {
    private func number(_ id: BusUUID) -> [UInt64] { [id.high, id.low] }

    @Test("counts up within a millisecond")
    func counting() {
        var source = EventIDSource(seed: BusUUID(high: 0x7, low: 0x9))
        let ids = (0..<4).map { _ in source.make(milliseconds: 1000) }
        for (i, id) in ids.enumerated() { #expect(id == ids[0].advanced(by: UInt64(i))) }
        #expect(ids[0] == BusUUID(milliseconds: 1000, counterHigh: 7, counterLow: 9))
    }

    @Test("never goes back when the clock does")
    func clockGoesBack() {
        var source = EventIDSource()
        var last = source.make(milliseconds: 5000)
        for now in [5001, 4000, 0, 5001, 5002, 17, 6000] as [UInt64] {
            let id = source.make(milliseconds: now)
            #expect(number(last).lexicographicallyPrecedes(number(id)))
            last = id
        }
        #expect(last.high >> 16 == 6000)
    }

    @Test("goes on with the next millisecond when its counter is used up")
    func exhausted() {
        var source = EventIDSource(seed: BusUUID(high: 0xfff, low: .max))
        let last = source.make(milliseconds: 1000)
        #expect(last == BusUUID(milliseconds: 1000, counterHigh: 0xfff, counterLow: .max))
        #expect(source.make(milliseconds: 1000) == BusUUID(milliseconds: 1001, counterHigh: 0, counterLow: 0))
        #expect(source.make(milliseconds: 1000) == BusUUID(milliseconds: 1001, counterHigh: 0, counterLow: 1))
    }

    @Test("keeps its time for a tenth of a second, so that the ids of one batch follow those of the last")
    func lag() {
        var source = EventIDSource(seed: BusUUID(high: 0x7, low: 0x9))
        let first = source.reserve(10, milliseconds: 1000)
        #expect(source.reserve(10, milliseconds: 1100) == first.advanced(by: 10))
        let later = source.reserve(10, milliseconds: 1101)
        #expect(later == BusUUID(milliseconds: 1101, counterHigh: 7, counterLow: 29))
    }

    @Test("takes back what wasn't used, unless somebody was given ids since")
    func givingBack() {
        var source = EventIDSource(seed: BusUUID(high: 0x7, low: 0x9))
        let first = source.reserve(10, milliseconds: 1000)
        source.giveBack(first, count: 10, used: 3)
        let second = source.reserve(10, milliseconds: 1000)
        #expect(second == first.advanced(by: 3))
        let third = source.make(milliseconds: 1000)
        source.giveBack(second, count: 10, used: 1)
        #expect(source.make(milliseconds: 1000) == third.advanced(by: 1))
        let all = source.reserve(4, milliseconds: 1000)
        source.giveBack(all, count: 4, used: 4)
        #expect(source.make(milliseconds: 1000) == all.advanced(by: 4))
    }

    @Test("gives nothing twice where its counter began anew meanwhile")
    func givingBackTheLast() {
        var source = EventIDSource(seed: BusUUID(high: 0xfff, low: .max))
        let last = source.reserve(1, milliseconds: 1000)
        source.giveBack(last, count: 1, used: 0)
        #expect(source.make(milliseconds: 1000) != last)
    }

    @Test("is gone back from by its counter, over both its parts, and not below 0")
    func receding() {
        let id = BusUUID(milliseconds: 1000, counterHigh: 5, counterLow: 10)
        #expect(id.receded(by: 10) == BusUUID(milliseconds: 1000, counterHigh: 5, counterLow: 0))
        for n: UInt64 in [0, 1, 11, 4095, 1 << 61] { #expect(id.receded(by: n).advanced(by: n) == id) }
        let low = BusUUID(milliseconds: 1000, counterHigh: 0, counterLow: 10)
        #expect(low.receded(by: 11) == BusUUID(milliseconds: 1000, counterHigh: 0, counterLow: 0))
    }

    @Test("has a seed of its own")
    func seeds() {
        var (a, b) = (EventIDSource(), EventIDSource())
        #expect(a.make(milliseconds: 1) != b.make(milliseconds: 1))
    }
}
