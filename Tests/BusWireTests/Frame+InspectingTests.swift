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

    @Test("say where the page ends, wherever among the rows it stands, the first time it is said")
    func pageEnd() throws {
        let after: (UInt64) -> [UInt8] = { .field(0x800d, .little($0)) }
        let row = [UInt8].field(6, []) + .field(7, [1, 0x6e] + .little(UInt64(3)))
        for bytes in [rest(after(9), row), rest(row, after(9)), rest(row, after(9), after(8))] {
            guard case .frame(.inspected(let inspected), _) = try decode(bytes, from: .server) else {
                Issue.record("no answer")
                return
            }
            #expect(inspected.after == 9 && inspected.rows == [[InspectedValue("n", 3)]])
        }
    }

    @Test("ask for one thing by a key of at most 255 bytes")
    func keys() throws {
        func inspect(_ key: [UInt8]) throws(WireError) -> FrameDecoder.Step {
            try decode(
                .frame(type: 0x30, fixed: [1, 0, 0, 0, 3, 0, 0, 0], rest: .field(0x800c, key)), from: .client)
        }
        let longest = String(repeating: "k", count: 255)
        guard case .frame(.inspect(let question), _) = try inspect(Array(longest.utf8)) else {
            Issue.record("no question")
            return
        }
        #expect(question.key == longest && question.kind == .topics && question.after == 0)
        #expect(throws: WireError.invalid(frame: .inspect, what: "key has 256 bytes, at most 255 are allowed")) {
            try inspect(Array((longest + "k").utf8))
        }
    }

    @Test("have a number for each kind, for ever")
    func kinds() {
        let kinds: [InspectionKind] = [
            .status, .sessions, .topics, .subscriptions, .users, .deadLetters, .declarations, .durableSubscriptions,
            .trace, .scheduled,
        ]
        #expect(kinds.map(\.rawValue) == Array(1...10))
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
