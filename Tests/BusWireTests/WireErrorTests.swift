import BusWire
import Testing

@Suite("A wire error")
struct WireErrorTests {
    @Test("has one reason and says what was wrong")
    func reasons() throws {
        let errors: [(WireError, Reason, String)] = [
            (.frameTooLong(length: 9, limit: 8), .frameTooLong, "frame of 9 bytes, at most 8 are allowed here"),
            (.unknownFrame(type: 255), .malformedFrame, "unknown frame type 255"),
            (.truncated(frame: .hello, what: "nonce"), .malformedFrame, "hello frame ends within its nonce"),
            (.invalid(frame: .gap, what: "has no topic"), .malformedFrame, "gap frame: has no topic"),
            (
                .unknownRequiredField(frame: .subscribe, tag: 9), .unknownRequiredField,
                "subscribe frame: required field 9 is unknown to this version"
            ),
            (.notThisProtocol, .malformedFrame, "the peer doesn't speak the LocalBus protocol"),
            (.badTopic(.empty), .badTopic, "topic: is empty"),
            (.badFilter(.tailNotLast), .badFilter, "filter: has a > that is not its last token"),
            (.malformedBatch("version 2"), .malformedBatch, "batch: version 2"),
        ]
        for (error, reason, text) in errors {
            #expect(error.reason == reason)
            #expect(error.description == text)
        }
    }
}
