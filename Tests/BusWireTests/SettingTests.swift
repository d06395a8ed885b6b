import Testing

@testable import BusWire

@Suite("A setting")
struct SettingTests {
    /// A subscribe frame of a filter and these fields.
    private func subscribe(_ fields: [UInt8]...) throws(WireError) -> Subscribe? {
        let fixed = [UInt8](repeating: 0, count: 40)
        let rest = [UInt8].field(0x8004, [0x61]) + fields.joined()
        let step = try decode(.frame(type: 0x20, fixed: fixed, rest: rest), from: .client)
        guard case .frame(.subscribe(let subscribe), _) = step else { return nil }
        return subscribe
    }

    @Test("has a number and a word for ever, both its own")
    func names() {
        let keys: [SettingKey] = [
            .durable, .retain, .retentionAge, .retentionLength, .retentionCount, .retentionIsHard, .duplicateWindow,
            .payloadLengthMax, .acknowledgeWait, .attemptCountMax, .backoffMin, .backoffMax, .unattendedMax,
            .deadLetters, .outstandingCountMax, .deadLettersExpired,
        ]
        #expect(
            keys.map { "\($0.rawValue) \($0.name)" } == [
                "1 durable", "2 retain", "3 max-age", "4 max-bytes", "5 max-events", "6 limit-hard", "7 dedup",
                "8 max-payload", "20 ack-wait", "21 attempts", "22 backoff-min", "23 backoff-max", "24 expire",
                "25 dead-letters", "26 max-outstanding", "27 dead-expired",
            ])
        #expect(Set(keys.map(\.name)).count == keys.count)
    }

    @Test("of a later version is named by its number")
    func unknown() {
        #expect(SettingKey(rawValue: 999).name == "setting-999")
    }

    @Test("is read with every other of its frame, in their order, also twice and of an unknown key")
    func several() throws {
        let pairs: [(UInt16, Int64)] = [(20, 5), (20, -6), (0xffff, .max), (3, .min)]
        let fields = pairs.map { [UInt8].field(0x8010, .little($0.0) + .little($0.1)) }
        let read = try subscribe([UInt8](fields.joined()))
        #expect(read?.settings == pairs.map { Setting(SettingKey(rawValue: $0.0), $0.1) })
        #expect(try subscribe()?.settings == [])
    }

    @Test("cut short anywhere is refused, and one that is longer is read", arguments: 0..<10)
    func cut(_ length: Int) throws {
        let whole = [UInt8].little(UInt16(20)) + .little(Int64(5))
        let error = #expect(throws: WireError.self) { try subscribe(.field(0x8010, Array(whole[..<length]))) }
        #expect(error?.reason == .malformedFrame)
        #expect(try subscribe(.field(0x8010, whole + run(9, length)))?.settings == [Setting(.acknowledgeWait, 5)])
    }

    @Test("more than a frame may have fields is refused before anything is kept")
    func tooMany() {
        let one = [UInt8].field(0x8010, .little(UInt16(20)) + .little(Int64(5)))
        #expect(throws: WireError.invalid(frame: .subscribe, what: "more than 64 fields")) {
            try subscribe([UInt8]([[UInt8]](repeating: one, count: 64).joined()))
        }
    }
}

@Suite("A start")
struct StartTests {
    private static let all: [Start] = [
        .new, .all, .last, .since(0), .since(-2), .since(.max), .since(.min), .sequence(0), .sequence(1 << 63),
    ]

    @Test("comes back as it was written", arguments: all)
    func roundTrip(_ start: Start) throws {
        #expect(start.bytes.count == 9)
        #expect(try Start(start.bytes, .administer) == start)
    }

    @Test("has a kind and a number of 8 bytes, in little-endian order, for ever")
    func layout() {
        #expect(StartTests.all.map { $0.bytes[0] } == [0, 1, 2, 3, 3, 3, 3, 4, 4])
        #expect(Start.since(0x0102_0304_0506_0708).bytes == [3, 8, 7, 6, 5, 4, 3, 2, 1])
        #expect(Start.sequence(7).bytes == [4, 7, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test("of a kind without a number means the same whatever stands there", arguments: 0...2 as ClosedRange<UInt8>)
    func unusedNumber(_ kind: UInt8) throws {
        #expect(try Start([kind] + run(1, 8), .subscribe) == Start([kind] + run(0, 8), .subscribe))
    }

    @Test("of another length is refused", arguments: [0, 1, 8, 10, 64])
    func wrongLength(_ length: Int) {
        for frame in [FrameType.subscribe, .administer] {
            let fixed = [UInt8](repeating: 0, count: frame == .subscribe ? 40 : 8)
            let rest = [UInt8].field(0x8004, [0x61]) + .field(0x800f, [UInt8](repeating: 0, count: length))
            let error = #expect(throws: WireError.self) {
                try decode(.frame(type: frame.rawValue, fixed: fixed, rest: rest), from: .client)
            }
            #expect(error?.reason == .malformedFrame)
        }
    }

    @Test("of a kind nobody knows is refused by its number", arguments: [5, 0x7f, 0xff] as [UInt8])
    func unknownKind(_ kind: UInt8) {
        #expect(throws: WireError.invalid(frame: .subscribe, what: "a start of kind \(kind)")) {
            try Start([kind] + run(0, 8), .subscribe)
        }
    }

    @Test("at a position that could not be counted on from is refused")
    func sequenceOutOfRange() {
        for value in [Limits.sequenceMax + 1, .max] {
            #expect(throws: WireError.self) { try Start([4] + .little(value), .subscribe) }
        }
    }

    @Test("said twice is the first of the two")
    func twice() throws {
        let bytes = [UInt8].field(0x800f, Start.all.bytes) + .field(0x800f, [9])
        var reader = ByteReader(SharedBytes(bytes), range: 0..<bytes.count, frame: .subscribe)
        #expect(try Fields(reading: &reader, frame: .subscribe).start() == .all)
    }
}
