import BusWire
import Testing

@Suite("Frames of the connection")
struct FrameConnectionTests {
    private func hello(_ versions: ClosedRange<UInt16>) -> Hello {
        Hello(versions: versions, publicKey: run(0, 32), nonce: run(0, 32), name: "")
    }

    @Test("settle on the newest version both sides speak")
    func negotiation() {
        #expect(hello(1...1).commonVersion(with: 1...1) == 1)
        #expect(hello(1...9).commonVersion(with: 2...3) == 3)
        #expect(hello(2...3).commonVersion(with: 1...9) == 3)
        #expect(hello(1...2).commonVersion(with: 2...3) == 2)
        #expect(hello(1...1).commonVersion(with: 2...3) == nil)
        #expect(hello(4...4).commonVersion(with: 2...3) == nil)
    }

    @Test("settle on nothing when a client's oldest version is above its newest")
    func invertedVersions() {
        var hello = hello(1...1)
        hello.versionMin = 9
        #expect(hello.commonVersion(with: 1...20) == nil)
    }

    @Test("fit before the welcome, with names and messages as long as they may be")
    func fitBeforeTheWelcome() {
        let long = String(repeating: "x", count: 5000)
        let hello = Frame.hello(Hello(publicKey: run(0, 32), nonce: run(0, 32), name: long))
        let welcome = Frame.welcome(
            Welcome(
                version: 1, publicKey: run(0, 32), nonce: run(0, 32), incarnation: .zero, session: 1,
                frameLengthMax: 1, payloadLengthMax: 1, publishWindow: 1, server: long))
        let error = Frame.error(ErrorFrame(reason: .denied, inReplyTo: .hello, message: long))
        for frame in [hello, welcome, error, .closing(reason: .denied, message: long)] {
            #expect(frame.encoded.count <= Limits.helloLengthMax)
        }
    }

    @Test("keep the number of a frame type they don't know in what an error answers")
    func errorToUnknownType() throws {
        var bytes = Frame.error(ErrorFrame(reason: .malformedFrame, inReplyTo: nil, message: "")).encoded
        bytes[8 + 2] = 0xee
        guard case .frame(.error(let error), _) = try decode(bytes, from: .server) else {
            Issue.record("no error")
            return
        }
        #expect(error.inReplyTo == 0xee && !error.isFatal)
    }
}
