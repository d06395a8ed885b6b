import BusWire
import Testing

@Suite("The frame encoder")
struct FrameEncoderTests {
    @Test("writes behind what is there, and counts a tail it doesn't copy", arguments: Sample.all)
    func appends(_ sample: Sample) {
        var out: [UInt8] = [9, 9, 9]
        sample.frame.encode(into: &out)
        #expect(Array(out[..<3]) == [9, 9, 9])
        #expect(Array(out[3...]) + sample.frame.tail.array == sample.frame.encoded)
        let length = out[3...6].reversed().reduce(0) { $0 << 8 | Int($1) }
        #expect(length + 8 == sample.frame.encoded.count)
    }

    @Test("leaves the batch where it is")
    func tail() {
        let batch = SharedBytes(run(0, 100))
        let frame = Frame.deliver(Deliver(subscription: 1, delivery: 1, firstSequence: 1, time: 1, batch: batch))
        #expect(frame.tail.storage === batch.storage)
        #expect(Frame.goodbye.tail.isEmpty)
    }
}
