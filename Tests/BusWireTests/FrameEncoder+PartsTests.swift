// The bytes of version 1, fixed. The golden files were made from docs/PROTOCOL.md by other code.

import BusWire
import Testing

@Suite("The bytes of version 1")
struct FrameEncoderPartsTests {
    @Test("are there for every sample")
    func complete() throws {
        #expect(try GoldenFile("v1.txt").lines.map(\.name) == Sample.all.map(\.name))
    }

    @Test("are what is written, and are read as what was meant", arguments: Sample.all)
    func golden(_ sample: Sample) throws {
        let bytes = try #require(try GoldenFile("v1.txt")[sample.name])
        #expect(sample.frame.encoded == bytes)
        #expect(try decode(bytes, from: sample.sender) == .frame(sample.frame, length: bytes.count))
    }
}
