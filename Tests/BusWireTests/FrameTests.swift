import BusWire
import Testing

@Suite("A frame")
struct FrameTests {
    @Test("of every type is among the samples")
    func samplesAreComplete() {
        #expect(Set(Sample.all.map(\.frame.type)) == Set(FrameType.allCases))
    }

    @Test("comes back as it was written", arguments: Sample.all)
    func roundTrip(_ sample: Sample) throws {
        let bytes = sample.frame.encoded
        #expect(try decode(bytes, from: sample.sender) == .frame(sample.frame, length: bytes.count))
    }

    @Test("comes back from the middle of other bytes", arguments: Sample.all)
    func roundTripBehindOthers(_ sample: Sample) throws {
        let bytes = sample.frame.encoded
        let decoder = FrameDecoder(from: sample.sender, frameLengthMax: 1 << 20)
        let step = try decoder.next(in: SharedBytes([1, 2, 3] + bytes + [4, 5, 6]), at: 3)
        #expect(step == .frame(sample.frame, length: bytes.count))
    }
}
