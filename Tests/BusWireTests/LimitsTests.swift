import BusWire
import Testing

@Suite("The limits")
struct LimitsTests {
    @Test("leave room in a frame for a whole batch, and for an event of the longest payload with all its headers")
    func frameLength() {
        #expect(Limits.frameLengthMax(payloadLengthMax: 0) == 512 << 10)
        #expect(Limits.frameLengthMax(payloadLengthMax: 0) >= Limits.batchLengthMax + 16)
        let headers = Limits.headerCountMax * (3 + Limits.headerLengthMax)
        let around = BatchHeader.length + Limits.columnsLengthMax + BatchHeader.tagLength + EventRecord.lengthMin
        #expect(around + headers + 16 <= Limits.batchOverheadMax)
        #expect(UInt32(exactly: Limits.frameLengthMax(payloadLengthMax: Limits.payloadLengthCeiling)) != nil)
    }
}
