import BusCrypto
import BusWire
import Testing

@testable import BusClient

@Suite struct SplitBatchTests {
    static let first = BusUUID(milliseconds: 1000, counterHigh: 1, counterLow: 5)

    private func batch(
        _ texts: [String], _ traits: BatchTraits = .wantsReceipt, isTogether: Bool = false
    ) throws -> OutgoingBatch {
        let batch = OutgoingBatch(
            topic: TopicPublisher(try Topic("a")), traits: traits, reserved: SplitBatchTests.first, body: [],
            isTogether: isTogether)
        for (index, text) in texts.enumerated() {
            let marks = EventMarks(
                correlation: index == 1 ? BusUUID(high: 1, low: 2) : nil, orderingKey: UInt64(index),
                expiry: index == 2 ? 7 : 0)
            Array(text.utf8).withUnsafeBytes { batch.append(payload: $0, headers: [], marks: marks, time: 7) }
        }
        return batch
    }

    private func receipt(_ sequence: UInt64, isDuplicate: Bool = false, isDurable: Bool = true) -> Receipt {
        Receipt(
            number: 1, firstSequence: sequence, eventCount: 1, liveMatches: UInt32(sequence), durableMatches: 2,
            isDurable: isDurable, isDuplicate: isDuplicate)
    }

    @Test func `each part is one event as it was in the whole: id, columns, record`() throws {
        let whole = try batch(["one", "", "three"])
        let parts = SplitBatch(whole).parts()
        #expect(parts.map(\.eventCount) == [1, 1, 1])
        #expect(parts.flatMap(\.body) == whole.body)
        #expect(parts.map { $0.id(at: 0) } == (0..<3).map { whole.id(at: $0) })
        #expect(parts.allSatisfy { $0.traits == [.wantsReceipt, .isAgain] })
        var scratch: [UInt8] = []
        let secret = try NamespaceSecret.random().topicSecret(topic: Array("a".utf8))
        var sealer = Sealer(try secret.sealGrant(salt: .random(), topic: Array("a".utf8), epoch: 1))
        var columns: [BatchColumns] = []
        for part in parts {
            let sealed = try SealedBatch(part.seal(&sealer, seal: 1, scratch: &scratch))
            try sealed.checkColumns()
            columns.append(try BatchColumns(sealed.columns, eventCount: 1))
        }
        #expect(columns.map { $0.correlation[0] ?? .zero } == [.zero, BusUUID(high: 1, low: 2), .zero])
        #expect(columns.map { $0.orderingKey[0] ?? 0 } == [0, 1, 2])
        #expect(columns.map { $0.expiry[0] ?? 0 } == [0, 0, 7])
    }

    @Test func `each part becomes the last value or clears it; of events that go together only the last`() throws {
        for isTogether in [false, true] {
            let whole = try batch(["one", "", "three", ""], [.wantsReceipt, .retains], isTogether: isTogether)
            let parts = SplitBatch(whole).parts()
            #expect(parts.map { $0.traits.contains(.retains) } == [!isTogether, !isTogether, !isTogether, true])
            #expect(parts.map(\.isTombstone) == [false, true, false, true])
            #expect(whole.mayBeSplit == !isTogether)
        }
    }

    @Test func `it is over with its last part, and a run has one receipt from the lowest to the highest place`() throws
    {
        let split = SplitBatch(try batch(["a", "b", "c"]))
        #expect(!split.finished(2, .success(receipt(90))))
        #expect(!split.finished(0, .success(receipt(10, isDuplicate: true))))
        #expect(!split.finished(0, .success(receipt(11))))
        #expect(split.finished(1, .success(receipt(12, isDuplicate: true, isDurable: false))))
        let all = try #require(try split.outcome(0..<3).get())
        #expect(all.firstSequence == 10 && all.eventCount == 81)
        #expect(!all.isDuplicate && !all.isDurable && all.liveMatches == 90 && all.durableMatches == 2)
        let known = try #require(try split.outcome(0..<2).get())
        #expect(known.firstSequence == 10 && known.eventCount == 3 && known.isDuplicate)
        #expect(split.refusedCount == 0)
    }

    @Test func `a refusal of one is the answer for the runs it is in`() throws {
        let split = SplitBatch(try batch(["a", "b"]))
        _ = split.finished(0, .success(receipt(1)))
        #expect(split.finished(1, .failure(.refused(.storeFull, "full"))))
        #expect(try split.outcome(0..<1).get()?.firstSequence == 1)
        #expect { try split.outcome(0..<2).get() } throws: { isError($0, "refused") }
        #expect(split.refusedCount == 1)
    }

    @Test func `without receipts there is none`() throws {
        let split = SplitBatch(try batch(["a"]))
        #expect(split.finished(0, .success(nil)))
        #expect(try split.outcome(0..<1).get() == nil)
    }
}
