import BusWire
import Testing

@Suite("The decoder of parts")
struct FrameDecoderPartsTests {
    @Test("refuses a frame cut anywhere, or reads what is left of it", arguments: Sample.all)
    func truncation(_ sample: Sample) throws {
        let bytes = sample.frame.encoded
        let fixed = Int(bytes[6]) | Int(bytes[7]) << 8
        for body in 0..<bytes.count - 8 {
            let cut = [UInt8].little(UInt32(body)) + bytes[4..<8 + body]
            do {
                let step = try decode(cut, from: sample.sender)
                #expect(body >= fixed, "read a fixed part that isn't whole")
                guard case .frame(let frame, let length) = step else {
                    Issue.record("\(step)")
                    continue
                }
                #expect(length == cut.count && frame.type == sample.frame.type && frame != sample.frame)
            } catch {
                if body < fixed { #expect(error == .truncated(frame: sample.frame.type, what: "fixed part")) }
            }
        }
    }

    @Test("refuses a field whose length reaches over the end", arguments: [1, 0x7fff_ffff, UInt32.max])
    func fieldOverTheEnd(_ length: UInt32) {
        let bytes = [UInt8].frame(
            type: 0x20, fixed: [UInt8](repeating: 0, count: 40), rest: [4, 0x80] + .little(length))
        #expect(throws: WireError.truncated(frame: .subscribe, what: "field value")) {
            try decode(bytes, from: .client)
        }
    }

    @Test("refuses more receipts than there are bytes for", arguments: [1, 0x0800_0000, UInt32.max])
    func receiptsOverTheEnd(_ count: UInt32) {
        let fixed = [UInt8].little(UInt64(1)) + .little(count) + .little(UInt16(32)) + [0, 0]
        #expect(throws: WireError.truncated(frame: .receipts, what: "entries")) {
            try decode(.frame(type: 0x14, fixed: fixed, rest: run(0, 31)), from: .server)
        }
    }

    @Test("refuses receipts shorter than version 1's, and skips what is longer")
    func receiptEntryLength() throws {
        let receipt = run(1, 28) + [3, 0, 0, 0]
        func frame(_ entry: UInt16, _ rest: [UInt8]) -> [UInt8] {
            .frame(type: 0x14, fixed: .little(UInt64(9)) + .little(UInt32(2)) + .little(entry) + [0, 0], rest: rest)
        }
        #expect(throws: WireError.invalid(frame: .receipts, what: "entries of 31 bytes")) {
            try decode(frame(31, run(1, 62)), from: .server)
        }
        let longer = frame(35, receipt + [7, 7, 7] + receipt + [7, 7, 7])
        guard case .frame(.receipts(let receipts), _) = try decode(longer, from: .server) else {
            Issue.record("no receipts")
            return
        }
        #expect(receipts.receipts.count == 2)
        #expect(receipts.receipts[0] == receipts.receipts[1])
        #expect(receipts.receipts[0].isDurable && receipts.receipts[0].isDuplicate)
    }

    @Test("refuses a selection longer than its frame", arguments: [5, UInt32.max])
    func selectionOverTheEnd(_ length: UInt32) {
        let fixed = [UInt8](repeating: 0, count: 32) + .little(length)
        #expect(throws: WireError.truncated(frame: .deliver, what: "selection")) {
            try decode(.frame(type: 0x2a, fixed: fixed, rest: [1, 2, 3, 4]), from: .server)
        }
    }

    @Test("refuses a frame without a field it must have")
    func missingField() {
        let fixed = [UInt8](repeating: 0, count: 40)
        #expect(throws: WireError.invalid(frame: .subscribe, what: "has no filter")) {
            try decode(.frame(type: 0x20, fixed: fixed), from: .client)
        }
    }

    @Test(
        "refuses a field of a number that is too short for it, and skips what is longer",
        arguments: [(0x20, 40, 4, 10, 4), (0x28, 68, 3, 11, 8), (0x30, 8, 12, 13, 8), (0x31, 8, 6, 13, 8)]
            as [(UInt8, Int, UInt16, UInt16, Int)])
    func numberFields(_ type: UInt8, _ fixed: Int, _ needed: UInt16, _ tag: UInt16, _ length: Int) throws {
        func bytes(_ value: [UInt8]) -> [UInt8] {
            .frame(
                type: type, fixed: [UInt8](repeating: 0, count: fixed),
                rest: .field(needed, []) + .field(tag | 0x8000, value))
        }
        let sender: Role = type == 0x20 || type == 0x30 ? .client : .server
        for short in 0..<length {
            let error = #expect(throws: WireError.self) { try decode(bytes(run(1, short)), from: sender) }
            #expect(error?.reason == .malformedFrame)
        }
        guard case .frame(let exact, _) = try decode(bytes(run(1, length)), from: sender),
            case .frame(let longer, _) = try decode(bytes(run(1, length) + [9, 9]), from: sender)
        else {
            Issue.record("no frame")
            return
        }
        #expect(exact == longer)
    }

    @Test("reads a group's name up to 1,024 bytes, so that it can be refused by name, and an empty one as none")
    func groupField() throws {
        func subscribe(_ group: [UInt8]) throws(WireError) -> Subscribe? {
            let fixed = [UInt8](repeating: 0, count: 40)
            let bytes = [UInt8].frame(type: 0x20, fixed: fixed, rest: .field(4, [0x61]) + .field(0x8009, group))
            guard case .frame(.subscribe(let subscribe), _) = try decode(bytes, from: .client) else { return nil }
            return subscribe
        }
        #expect(try subscribe([])?.group == [])
        #expect(try subscribe(run(0, 1024))?.group.count == 1024)
        #expect(throws: WireError.invalid(frame: .subscribe, what: "group has 1025 bytes, at most 1024 are allowed")) {
            try subscribe(run(0, 1025))
        }
    }

    @Test("refuses a group and a mode where no frame has them")
    func fieldsElsewhere() {
        for tag in [9, 10, 11, 12, 13, 14, 15, 16, 17] as [UInt16] {
            #expect(throws: WireError.unknownRequiredField(frame: .subscribed, tag: tag)) {
                try decode(
                    .frame(type: 0x21, fixed: .little(UInt32(9)), rest: .field(tag | 0x8000, [1])), from: .server)
            }
        }
    }

    @Test("refuses positions that could not be counted on from", arguments: [0x2a, 0x2b, 0x14] as [UInt8])
    func sequenceOutOfRange(_ type: UInt8) {
        var fixed = [UInt8](repeating: 0, count: type == 0x2a ? 36 : type == 0x2b ? 32 : 16)
        var rest: [UInt8] = []
        let beyond = [UInt8].little(Limits.sequenceMax + 1)
        if type == 0x14 {
            fixed[8] = 1
            fixed[12] = 32
            rest = .little(UInt64(1)) + beyond + [UInt8](repeating: 0, count: 16)
        } else {
            fixed.replaceSubrange(16..<24, with: beyond)
        }
        let error = #expect(throws: WireError.self) {
            try decode(.frame(type: type, fixed: fixed, rest: rest), from: .server)
        }
        #expect(error?.description.hasSuffix("first sequence is out of range") == true)
    }

    @Test("windows the batch instead of copying it")
    func batchIsShared() throws {
        let bytes = SharedBytes(Frame.publish(Publish(number: 1, wantsReceipt: false, batch: SharedBytes([1]))).encoded)
        let step = try FrameDecoder(from: .client, frameLengthMax: 1024).next(in: bytes)
        guard case .frame(.publish(let publish), _) = step else {
            Issue.record("no publish")
            return
        }
        #expect(publish.batch.storage === bytes.storage)
    }
}
