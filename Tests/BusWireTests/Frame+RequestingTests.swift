import BusWire
import Testing

@Suite("Frames of requests, wills and circuits")
struct FrameRequestingTests {
    private let correlation = [UInt8](run(0x50, 16))

    @Test("name a session's reply topic")
    func replyTopics() throws {
        #expect(Topic.reply(ofSession: 7).description == "$reply.7")
        #expect(Topic.reply(ofSession: .max).description == "$reply.18446744073709551615")
        #expect(Topic.reply(ofSession: 7).isReply && Topic.reply(ofSession: 7).isReserved)
        for other in ["$reply", "$replyx.7", "reply.7", "$bus.reply.7"] { #expect(try !Topic(other).isReply) }
        #expect(try Topic("$reply.7.x").isReply)
    }

    @Test("say whose a reply topic is, in the one spelling it has")
    func replySessions() throws {
        for session in [0, 7, .max] as [UInt64] { #expect(Topic.reply(ofSession: session).replySession == session) }
        for other in ["$reply.07", "$reply.+7", "$reply.-1", "$reply.7.x", "$reply.x", "$reply.18446744073709551616"] {
            #expect(try Topic(other).isReply && Topic(other).replySession == nil)
        }
        #expect(try Topic("demo.7").replySession == nil)
    }

    @Test("know a filter for answers by its first token")
    func replyFilters() throws {
        for filter in ["$reply", "$reply.7", "$reply.*", "$reply.>"] { #expect(try TopicFilter(filter).isReply) }
        for filter in [">", "*.7", "$replyx.7", "$bus.>", "reply.7"] { #expect(try !TopicFilter(filter).isReply) }
    }

    @Test("leave a circuit's state of a later version for others to judge")
    func circuitState() throws {
        let bytes = [UInt8].frame(type: 0x18, fixed: [9, 0, 0, 0], rest: .field(0x8003, [0x61]))
        guard case .frame(.circuit(let circuit), _) = try decode(bytes, from: .client) else {
            Issue.record("no circuit")
            return
        }
        #expect(circuit.state == 9 && circuit.topic == [0x61])
        #expect(Circuit.State(rawValue: circuit.state) == nil)
    }

    @Test("read a circuit's topic up to 1,024 bytes, so that it can be refused by name")
    func circuitTopic() throws {
        func circuit(_ topic: [UInt8]?) -> [UInt8] {
            .frame(type: 0x18, fixed: [1, 0, 0, 0], rest: topic.map { .field(0x8003, $0) } ?? [])
        }
        guard case .frame(.circuit(let read), _) = try decode(circuit(run(0, 1024)), from: .client) else {
            Issue.record("no circuit")
            return
        }
        #expect(read.topic.count == 1024)
        #expect(throws: WireError.invalid(frame: .circuit, what: "topic has 1025 bytes, at most 1024 are allowed")) {
            try decode(circuit(run(0, 1025)), from: .client)
        }
        #expect(throws: WireError.invalid(frame: .circuit, what: "has no topic")) {
            try decode(circuit(nil), from: .client)
        }
    }

    @Test("say which request was cancelled by its correlation and its reply topic, neither of them alone")
    func requestCancelled() {
        #expect(throws: WireError.invalid(frame: .requestCancelled, what: "has no topic")) {
            try decode(.frame(type: 0x2d, fixed: correlation), from: .server)
        }
        #expect(
            throws: WireError.invalid(frame: .requestCancelled, what: "topic has 256 bytes, at most 255 are allowed")
        ) {
            try decode(.frame(type: 0x2d, fixed: correlation, rest: .field(3, run(0, 256))), from: .server)
        }
    }

    @Test("keep the reason of a later version")
    func unknownReason() throws {
        let bytes = [UInt8].frame(type: 0x1b, fixed: correlation + [0xe7, 0x03, 0, 0])
        guard case .frame(.unanswered(let unanswered), _) = try decode(bytes, from: .server) else {
            Issue.record("no unanswered")
            return
        }
        #expect(unanswered.reason.name == "reason-999")
    }

    @Test("leave a will's batch where it is, and take it back with none")
    func willIsShared() throws {
        let bytes = SharedBytes(Frame.will(Will(request: 1, retains: true, batch: SharedBytes([1, 2]))).encoded)
        let decoder = FrameDecoder(from: .client, frameLengthMax: 1024)
        guard case .frame(.will(let will), let length) = try decoder.next(in: bytes) else {
            Issue.record("no will")
            return
        }
        #expect(will.batch.storage === bytes.storage && will.batch.array == [1, 2] && length == 18)
        #expect(will.retains && !will.isTombstone)
        let none = Frame.will(Will(request: 1, batch: .empty))
        #expect(none.tail.isEmpty && none.encoded.count == 16)
    }

    @Test("have flags of a will where a publish has them, and none of the others")
    func willFlags() throws {
        for flags in 0...255 as ClosedRange<UInt8> {
            let bytes = [UInt8].frame(type: 0x16, flags: flags, fixed: .little(UInt64(1)))
            guard case .frame(.will(let will), _) = try decode(bytes, from: .client) else {
                Issue.record("no will")
                return
            }
            #expect(will.retains == (flags & 0x04 != 0) && will.isTombstone == (flags & 0x08 != 0))
        }
    }

    @Test("keep the number of a frame type they don't know in what is done")
    func doneForUnknownType() throws {
        let bytes = [UInt8].frame(type: 0x06, fixed: [0xee, 0, 0, 0, 0, 0, 0, 0] + .little(UInt64(9)))
        #expect(try decode(bytes, from: .server) == .frame(.done(inReplyTo: 0xee, request: 9), length: bytes.count))
    }
}
