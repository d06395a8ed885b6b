import BusWire
import Testing

@Suite("Frames of inspection")
struct FrameInspectingTests {
    private func rest(_ fields: [UInt8]...) -> [UInt8] {
        .frame(type: 0x31, fixed: [UInt8](repeating: 0, count: 8), rest: Array(fields.joined()))
    }

    @Test("refuse a value before its row")
    func valueBeforeRow() {
        #expect(throws: WireError.invalid(frame: .inspected, what: "a value before its row")) {
            try decode(rest(.field(8, [1, 0x61, 0x62])), from: .server)
        }
    }

    @Test("refuse a value that ends within its name or its number")
    func truncatedValue() {
        for value in [[], [5, 0x61], [1, 0x61, 1, 2, 3, 4, 5, 6, 7]] as [[UInt8]] {
            #expect(throws: WireError.self) { try decode(rest(.field(6, []), .field(7, value)), from: .server) }
        }
    }

    @Test("carry thousands of rows in one answer")
    func manyRows() throws {
        let rows = (0..<20_000).map { [InspectedValue("n", UInt64($0)), InspectedValue("t", "x")] }
        let frame = Frame.inspected(Inspected(request: 1, rows: rows))
        let bytes = frame.encoded
        #expect(try decode(bytes, from: .server, limit: bytes.count) == .frame(frame, length: bytes.count))
    }

    @Test("keep a text that isn't UTF-8 readable, and a name within its length")
    func texts() throws {
        let bytes = rest(.field(6, []), .field(8, [1, 0xff, 0xfe]))
        guard case .frame(.inspected(let inspected), _) = try decode(bytes, from: .server) else {
            Issue.record("no answer")
            return
        }
        #expect(inspected.rows == [[InspectedValue("\u{fffd}", "\u{fffd}")]])
        let value = InspectedValue(String(repeating: "n", count: 999), 1)
        let long = Frame.inspected(Inspected(request: 1, rows: [[value]]))
        #expect(long.encoded.count == 8 + 8 + 6 + 6 + 1 + 255 + 8)
    }
}
