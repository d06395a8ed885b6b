import BusWire
import Testing

@Suite("The frame decoder")
struct FrameDecoderTests {
    @Test("says what is missing until the last byte is there", arguments: Sample.all)
    func oneByteAtATime(_ sample: Sample) throws {
        let bytes = sample.frame.encoded
        for count in 0..<bytes.count {
            let step = try decode(Array(bytes[..<count]), from: sample.sender)
            #expect(step == .incomplete(needed: count < Limits.frameHeaderLength ? 0 : bytes.count))
        }
        #expect(try decode(bytes, from: sample.sender) == .frame(sample.frame, length: bytes.count))
    }

    @Test(
        "takes any frame that fits before the welcome one byte at a time too",
        arguments: Sample.all.filter { $0.frame.encoded.count <= Limits.helloLengthMax })
    func oneByteAtATimeBeforeTheWelcome(_ sample: Sample) throws {
        let bytes = sample.frame.encoded
        for count in 0..<bytes.count {
            let step = try decode(Array(bytes[..<count]), from: sample.sender, limit: Limits.helloLengthMax)
            #expect(step == .incomplete(needed: count < Limits.frameHeaderLength ? 0 : bytes.count))
        }
        let step = try decode(bytes, from: sample.sender, limit: Limits.helloLengthMax)
        #expect(step == .frame(sample.frame, length: bytes.count))
    }

    @Test("skips an optional field it doesn't know")
    func unknownOptionalField() throws {
        let bytes = [UInt8].frame(
            type: 0x21, fixed: .little(UInt32(9)), rest: .field(0x7abc, [1, 2, 3]) + .field(0, []))
        #expect(try decode(bytes, from: .server) == .frame(.subscribed(subscription: 9), length: bytes.count))
    }

    @Test("refuses a required field it doesn't know, by its number")
    func unknownRequiredField() {
        let bytes = [UInt8].frame(type: 0x21, fixed: .little(UInt32(9)), rest: .field(0x8abc, [1]))
        #expect(throws: WireError.unknownRequiredField(frame: .subscribed, tag: 0x0abc)) {
            try decode(bytes, from: .server)
        }
    }

    @Test("skips what a later version adds to a fixed part", arguments: Sample.all)
    func longerFixedPart(_ sample: Sample) throws {
        let bytes = sample.frame.encoded
        let fixed = Int(bytes[6]) | Int(bytes[7]) << 8
        let rest = Array(bytes[(8 + fixed)...])
        let longer = [UInt8].frame(
            type: bytes[4], flags: bytes[5], fixed: Array(bytes[8..<8 + fixed]) + run(0xa0, 11), rest: rest)
        #expect(try decode(longer, from: sample.sender) == .frame(sample.frame, length: longer.count))
    }

    @Test(
        "refuses a fixed part shorter than version 1's",
        arguments: Sample.all.filter { $0.frame != .goodbye && $0.frame != .sync })
    func shorterFixedPart(_ sample: Sample) {
        let bytes = sample.frame.encoded
        let fixed = Int(bytes[6]) | Int(bytes[7]) << 8
        let shorter = [UInt8].frame(type: bytes[4], fixed: Array(bytes[8..<8 + fixed - 1]))
        #expect(throws: WireError.truncated(frame: sample.frame.type, what: "fixed part")) {
            try decode(shorter, from: sample.sender)
        }
    }

    @Test("refuses a fixed part longer than its frame")
    func fixedPartOverTheEnd() {
        let bytes: [UInt8] = [4, 0, 0, 0, 0x21, 0, 5, 0, 1, 2, 3, 4, 5, 6]
        #expect(throws: WireError.truncated(frame: .subscribed, what: "fixed part")) {
            try decode(bytes, from: .server)
        }
    }

    @Test("ignores flags it doesn't know", arguments: Sample.all)
    func unknownFlags(_ sample: Sample) throws {
        let known: [FrameType: UInt8] = [
            .publish: 0xff, .publishLater: 0xff, .will: 0x0c, .announce: 0x01, .deliver: 0x0f,
        ]
        var bytes = sample.frame.encoded
        bytes[5] |= ~(known[sample.frame.type] ?? 0)
        #expect(try decode(bytes, from: sample.sender) == .frame(sample.frame, length: bytes.count))
    }

    @Test("refuses a type it doesn't know", arguments: [0x00, 0x07, 0x1c, 0x27, 0x2e, 0x34, 0x7f, 0xff] as [UInt8])
    func unknownType(_ type: UInt8) {
        #expect(throws: WireError.unknownFrame(type: type)) {
            try decode(.frame(type: type, fixed: [1, 2]), from: .client)
        }
    }

    @Test("skips a type it doesn't know when its flags allow it, once it is whole")
    func skippableType() throws {
        let bytes = [UInt8].frame(type: 0x7f, flags: 0x80, fixed: [1, 2], rest: [3])
        for count in 8..<bytes.count {
            #expect(try decode(Array(bytes[..<count]), from: .client) == .incomplete(needed: 11))
        }
        #expect(try decode(bytes + [9, 9], from: .client) == .skipped(length: 11))
    }

    @Test("refuses a frame from the wrong side", arguments: Sample.all)
    func wrongSide(_ sample: Sample) {
        let other: Role = sample.frame.type.isFromClient ? .server : .client
        #expect(throws: WireError.invalid(frame: sample.frame.type, what: "comes from the wrong side")) {
            try decode(sample.frame.encoded, from: other)
        }
    }

    @Test("refuses a length over the limit before the body is there", arguments: [1018, 1 << 20, UInt32.max])
    func tooLong(_ body: UInt32) throws {
        let header = [UInt8].little(body) + [0x13, 0, 8, 0]
        let length = Int(body) + 8
        #expect(try decode(header, from: .client, limit: length) == .incomplete(needed: length))
        #expect(throws: WireError.frameTooLong(length: length, limit: length - 1)) {
            try decode(header, from: .client, limit: length - 1)
        }
    }

    @Test("finds out at the fifth byte, or with the header, that a peer speaks something else", arguments: Foreign.all)
    func foreignProtocols(_ foreign: Foreign) throws {
        for count in 0...4 {
            let step = try decode(Array(foreign.bytes[..<count]), from: .client, limit: Limits.helloLengthMax)
            #expect(step == .incomplete(needed: 0))
        }
        for count in 5...foreign.bytes.count {
            let error = #expect(throws: WireError.self) {
                try decode(Array(foreign.bytes[..<count]), from: .client, limit: Limits.helloLengthMax)
            }
            #expect(error == .notThisProtocol)
        }
    }

    @Test("calls a first frame over the limit too long when it does look like a hello")
    func longHello() {
        #expect(throws: WireError.frameTooLong(length: 1025, limit: 1024)) {
            try decode(.little(UInt32(1017)) + [1, 0, 72, 0], from: .client, limit: Limits.helloLengthMax)
        }
    }

    @Test("takes a hello without the magic for another protocol")
    func wrongMagic() {
        var bytes = Sample.all[0].frame.encoded
        bytes[8] = UInt8(ascii: "X")
        #expect(throws: WireError.notThisProtocol) { try decode(bytes, from: .client) }
    }
}

/// How other protocols begin.
struct Foreign: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let bytes: [UInt8]

    static let all = [
        Foreign(testDescription: "HTTP", bytes: Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8)),
        Foreign(testDescription: "D-Bus", bytes: [0] + Array("AUTH EXTERNAL 31303030\r\n".utf8)),
        Foreign(testDescription: "D-Bus without its NUL", bytes: Array("AUTH EXTERNAL 31303030\r\n".utf8)),
        Foreign(testDescription: "TLS", bytes: [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xfc, 0x03, 0x03]),
        Foreign(testDescription: "Redis", bytes: Array("*1\r\n$4\r\nPING\r\n".utf8)),
        Foreign(testDescription: "NATS", bytes: Array("CONNECT {}\r\n".utf8)),
        Foreign(testDescription: "MQTT", bytes: [0x10, 0x1d, 0x00, 0x04] + Array("MQTT".utf8) + [5, 2, 0, 60]),
    ]
}
