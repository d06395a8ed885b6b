import BusWire
import Testing

@Suite("An event record")
struct EventRecordTests {
    private func record(time: Int64 = 5, _ headers: [EventHeader] = [], _ payload: [UInt8] = []) -> [UInt8] {
        var out: [UInt8] = []
        payload.withUnsafeBytes { EventRecord.append(time: time, headers: headers, payload: $0, to: &out) }
        return out
    }

    private func refusal(_ bytes: [UInt8]) -> String? {
        var position = 0
        do {
            _ = try EventRecord.next(in: SharedBytes(bytes), at: &position)
            return nil
        } catch {
            #expect(position == 0, "moved although it refused")
            guard case .malformedBatch(let what) = error else { return "\(error.reason)" }
            return what
        }
    }

    @Test("comes back with time, headers and payload, one behind the other")
    func roundTrip() throws {
        let headers = [EventHeader("content-type", "text/plain"), EventHeader("ünï", ""), EventHeader("x", "y")]
        let body = SharedBytes(record(time: -1, headers, [1, 2, 3]) + record() + record(time: .max, [], [9]))
        var position = 0
        let first = try EventRecord.next(in: body, at: &position)
        #expect(first.time == -1 && first.headers == headers && first.headerCount == 3)
        #expect(first.payload.array == [1, 2, 3] && first.payload.storage === body.storage)
        let second = try EventRecord.next(in: body, at: &position)
        #expect(second.time == 5 && second.headers.isEmpty && second.payload.isEmpty)
        let third = try EventRecord.next(in: body, at: &position)
        #expect(third.time == .max && third.payload.array == [9])
        #expect(position == body.count)
    }

    @Test("without headers and payload is as short as any can be")
    func shortest() {
        #expect(record().count == EventRecord.lengthMin)
    }

    @Test("is as long as was foretold", arguments: [0, 1, 200])
    func length(payloadLength: Int) {
        let payload = [UInt8](repeating: 7, count: payloadLength)
        for headers in [[], [EventHeader("ünï", "")], [EventHeader("a", "bc"), EventHeader("d", "")]] {
            let foretold = EventRecord.length(ofPayload: payloadLength, headers: headers)
            #expect(record(headers, payload).count == foretold)
        }
    }

    @Test("cut anywhere is refused")
    func truncated() {
        let whole = record([EventHeader("name", "value")], [1, 2])
        for count in 0..<whole.count {
            #expect(refusal(Array(whole[..<count]))?.hasPrefix("ends within its ") == true)
        }
        for length in [0, 9, 10, 12, UInt32.max] {
            var bytes = whole
            bytes.replaceSubrange(0..<4, with: [UInt8].little(length))
            #expect(refusal(bytes)?.hasPrefix("ends within its ") == true)
        }
    }

    @Test("with too many headers is refused")
    func tooManyHeaders() {
        let header = EventHeader("a", "")
        #expect(refusal(record([EventHeader](repeating: header, count: 64))) == nil)
        #expect(
            refusal(record([EventHeader](repeating: header, count: 65)))
                == "an event with 65 headers, at most 64 are allowed")
    }

    @Test("with a header over its limit, or without a name, is refused")
    func headerLimits() {
        let value = String(repeating: "v", count: 4095)
        #expect(refusal(record([EventHeader("n", value)])) == nil)
        #expect(
            refusal(record([EventHeader("nn", value)])) == "an event header of 4097 bytes, at most 4096 are allowed")
        #expect(refusal(record([EventHeader("", "v")])) == "an event header without a name")
    }

    @Test("is checked the same way before it is written")
    func fault() {
        let value = String(repeating: "v", count: 4095)
        #expect(EventHeader.fault(in: [EventHeader("n", value)]) == nil)
        #expect(EventHeader.fault(in: [EventHeader("nn", value)])?.contains("4097 bytes") == true)
        #expect(EventHeader.fault(in: [EventHeader("", "")]) == "a header without a name")
        let name = String(repeating: "n", count: 255)
        #expect(EventHeader.fault(in: [EventHeader(name, "")]) == nil)
        #expect(EventHeader.fault(in: [EventHeader(name + "n", "")]) != nil)
        let many = [EventHeader](repeating: EventHeader("n", ""), count: 64)
        #expect(EventHeader.fault(in: many) == nil)
        #expect(EventHeader.fault(in: many + many)?.contains("128 headers") == true)
    }
}
