import BusWire
import Testing

@Suite("Frames of publishing")
struct FramePublishingTests {
    @Test("say in a flag whether a receipt is wanted")
    func receiptFlag() {
        let bytes = [true, false].map {
            Frame.publish(Publish(number: 1, wantsReceipt: $0, batch: .empty)).encoded
        }
        #expect(bytes[0][5] == 1 && bytes[1][5] == 0)
    }

    @Test("keep their flags apart")
    func flags() throws {
        for flags in 0...255 as ClosedRange<UInt8> {
            let bytes = [UInt8].frame(type: 0x13, flags: flags, fixed: .little(UInt64(1)))
            guard case .frame(.publish(let publish), _) = try decode(bytes, from: .client) else {
                Issue.record("no publish")
                return
            }
            let read = [
                publish.wantsReceipt, publish.isPatient, publish.retains, publish.isTombstone, publish.isRequest,
                publish.hasMore, publish.mustBeDurable, publish.isAgain,
            ]
            #expect(read == (0..<8).map { flags & (1 << $0) != 0 })
            #expect(Frame.publish(publish).encoded == bytes)
        }
    }

    @Test("know what they count against the window", arguments: [0, 1, 1000])
    func frameLength(_ count: Int) {
        let publish = Publish(number: 1, wantsReceipt: true, batch: SharedBytes(run(0, count)))
        #expect(publish.frameLength == Frame.publish(publish).encoded.count)
    }

    @Test("take 32 bytes for a receipt, and 24 for none")
    func receiptLength() {
        let receipt = Receipt(number: 1, firstSequence: 1, eventCount: 1, liveMatches: 1)
        for count in [0, 1, 2, 1000] {
            let receipts = Receipts(progress: 9, receipts: [Receipt](repeating: receipt, count: count))
            #expect(Frame.receipts(receipts).encoded.count == 24 + 32 * count)
        }
    }
}
