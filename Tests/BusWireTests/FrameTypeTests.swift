import Testing

@testable import BusWire

@Suite("A frame type")
struct FrameTypeTests {
    @Test("keeps its number for ever")
    func numbers() {
        let numbers = FrameType.allCases.map { "\($0.name) \(String($0.rawValue, radix: 16))" }
        #expect(
            numbers == [
                "hello 1", "welcome 2", "error 3", "goodbye 4", "closing 5", "done 6",
                "openSeal 10", "sealOpened 11", "closeSeal 12", "publish 13", "receipts 14", "sync 15", "will 16",
                "cancelRequest 17", "circuit 18", "publishLater 19", "sealLimits 1a", "unanswered 1b",
                "subscribe 20", "subscribed 21", "unsubscribe 22", "unsubscribed 23", "credit 24", "acknowledge 25",
                "settle 26",
                "announce 28", "grant 29", "deliver 2a", "gap 2b", "caughtUp 2c", "requestCancelled 2d",
                "inspect 30", "inspected 31", "administer 32", "administered 33",
            ])
    }

    @Test("writes a fixed part of the length it says", arguments: Sample.all)
    func fixedLength(_ sample: Sample) {
        let bytes = sample.frame.encoded
        #expect(Int(bytes[6]) | Int(bytes[7]) << 8 == sample.frame.type.fixedLength)
    }

    @Test("belongs to one side")
    func sides() {
        let client = FrameType.allCases.filter(\.isFromClient)
        #expect(
            client == [
                .hello, .goodbye, .openSeal, .closeSeal, .publish, .sync, .will, .cancelRequest, .circuit,
                .publishLater,
                .subscribe, .unsubscribe, .credit, .acknowledge, .settle, .inspect, .administer,
            ])
    }
}
