// Portions of a batch, and how they are cut.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct AcceptedBatchTests {
    private let portions = Portions()

    private func places(_ portion: Portion) -> [Int] {
        (0..<Int(portion.batch.eventCount)).filter(portion.selection.contains)
    }

    @Test func aWholePortionHasEveryEventOfItsBatch() throws {
        let portion = try portions.make("a", at: 7, events: 3, payload: 100)
        #expect(portion.eventCount == 3 && portion.sequences == 7...9 && portion.selection.isAll)
        #expect(portion.batch.lastSequence == 9)
        #expect(portion.length == UInt64(portion.batch.bytes.count), "a batch travels whole")
    }

    @Test func theFirstOnesAreCutOffAndTheRestStays() throws {
        var rest = try portions.make("a", at: 1, events: 20)
        let head = rest.split(first: 3)
        #expect(places(head) == [0, 1, 2] && head.eventCount == 3 && head.sequences == 1...3)
        #expect(places(rest) == Array(3..<20) && rest.eventCount == 17 && rest.sequences == 4...20)
        let second = rest.split(first: 16)
        #expect(places(second) == Array(3..<19))
        #expect(places(rest) == [19] && rest.sequences == 20...20)
        #expect(rest.length == head.length)
    }

    @Test func aSelectionWithHolesIsCutBySelectedEvents() throws {
        let whole = try portions.make("a", at: 1, events: 10)
        let odd = try #require(Selection(of: 10) { $0 % 2 == 1 })
        var rest = Portion(whole.batch, odd, attempt: 4)
        #expect(rest.eventCount == 5 && rest.sequences == 2...10)
        let head = rest.split(first: 2)
        #expect(places(head) == [1, 3] && places(rest) == [5, 7, 9])
        #expect(head.sequences == 2...4 && rest.sequences == 6...10)
        #expect(head.attempt == 4 && rest.attempt == 4, "how often it was tried stays with both")
    }

    @Test func howeverItIsCutNothingIsLostOrDoubled() throws {
        var chance = SplitMix64(seed: 7)
        for _ in 0..<2000 {
            let count = chance.within(2...300)
            let whole = try portions.make("a", at: 1, events: UInt32(count))
            let density = chance.within(1...100)
            guard let selection = Selection(of: count, where: { _ in chance.chance(density) }) else { continue }
            var rest = Portion(whole.batch, selection)
            let expected = places(rest)
            var found: [Int] = []
            while rest.eventCount > 1, chance.chance(90) {
                let head = rest.split(first: UInt64(chance.within(1...Int(rest.eventCount) - 1)))
                #expect(head.eventCount == UInt64(places(head).count))
                found += places(head)
            }
            #expect(found + places(rest) == expected)
        }
    }

    @Test func whatIsKeptLeavesTheStorageItCameIn() throws {
        let batch = try portions.make("a", at: 1).batch
        let storage = ByteStorage(capacity: 64 << 10)
        storage.base.copyMemory(from: batch.bytes.base, byteCount: batch.bytes.count)
        let received = AcceptedBatch(
            seal: batch.seal, bytes: SharedBytes(storage: storage, offset: 0, count: batch.bytes.count),
            firstSequence: batch.firstSequence, eventCount: batch.eventCount, time: batch.time)
        let kept = received.compacted
        #expect(kept.bytes == batch.bytes && kept.bytes.storage.capacity < 1000)
        #expect(kept.firstSequence == batch.firstSequence && kept.seal === batch.seal)
    }
}
