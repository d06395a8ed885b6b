// The worked example of docs/PROTOCOL.md: test vectors, made by other code. Here only their layout is checked;
// whoever holds the keys can check the rest.

import BusWire
import Testing

@Suite("The worked example")
struct ExampleTests {
    private let vectors: GoldenFile
    private let seal: UInt64 = 42
    private let topic = Array("demo.greeting".utf8)

    init() throws { vectors = try GoldenFile("example.txt") }

    private func bytes(_ name: String) throws -> [UInt8] { try #require(vectors[name], "\(name)") }

    private func frame(_ name: String, from sender: Role) throws -> Frame? {
        let bytes = try bytes(name)
        guard case .frame(let frame, let length) = try decode(bytes, from: sender) else { return nil }
        #expect(length == bytes.count && frame.encoded == bytes, "\(name) is written as it was read")
        return frame
    }

    @Test("says hello and welcome")
    func connection() throws {
        guard case .hello(let hello) = try frame("hello", from: .client) else { throw Missing() }
        #expect(hello.commonVersion() == 1 && hello.name == "example" && hello.nonce == run(0x80, 32))
        guard case .welcome(let welcome) = try frame("welcome", from: .server) else { throw Missing() }
        #expect(welcome.version == 1 && welcome.session == 7 && welcome.server == "busd 1")
        #expect(welcome.incarnation.description == "11111111-2222-4333-8444-555555555555")
        #expect(Int(welcome.payloadLengthMax) == Limits.payloadLengthMax)
        #expect(Int(welcome.publishWindow) == Limits.publishWindow)
        #expect(Int(welcome.frameLengthMax) == Limits.frameLengthMax(payloadLengthMax: Limits.payloadLengthMax))
    }

    @Test("opens a seal")
    func sealOpening() throws {
        guard case .openSeal(let open) = try frame("openSeal", from: .client) else { throw Missing() }
        #expect(try open == OpenSeal(request: 1, salt: bytes("salt"), topic: topic))
        guard case .sealOpened(let opened) = try frame("sealOpened", from: .server) else { throw Missing() }
        #expect(opened.seal == seal && opened.epoch == 3 && opened.grant.count == 76)
        #expect(opened.grantIncarnation == 1 && opened.grantCounter == 0)
    }

    @Test("publishes a batch of one event")
    func publishing() throws {
        guard case .publish(let publish) = try frame("publish", from: .client) else { throw Missing() }
        #expect(try publish.number == 1 && publish.wantsReceipt && publish.batch.array == bytes("batch"))
        let batch = try SealedBatch(publish.batch)
        try batch.checkColumns()
        #expect(try batch.authenticated.array == bytes("batchHeader") + bytes("batchColumns"))
        #expect(batch.header.seal == seal && batch.header.counter == 0 && batch.header.eventCount == 1)
        #expect(batch.header.firstID.description == "018bcfe5-6800-7123-8045-6789abcdef01")
        guard case .receipts(let receipts) = try frame("receipts", from: .server) else { throw Missing() }
        #expect(receipts.receipts == [Receipt(number: 1, firstSequence: 1, eventCount: 1, liveMatches: 1)])
        #expect(receipts.progress == 1)
    }

    @Test("has this plaintext")
    func plaintext() throws {
        let body = SharedBytes(try bytes("plaintext"))
        var position = 0
        let record = try EventRecord.next(in: body, at: &position)
        #expect(position == body.count && record.time == 1_700_000_000_000_000)
        #expect(record.headers == [EventHeader("content-type", "text/plain")])
        #expect(record.payload.array == Array("hello".utf8))
        var written: [UInt8] = []
        record.payload.withUnsafeBytes {
            EventRecord.append(time: record.time, headers: record.headers, payload: $0, to: &written)
        }
        #expect(written == body.array)
    }

    @Test("reaches its subscriber")
    func delivering() throws {
        guard case .subscribe(let subscribe) = try frame("subscribe", from: .client) else { throw Missing() }
        #expect(
            subscribe
                == Subscribe(subscription: 1, filter: Array("demo.>".utf8), creditEvents: 1024, creditBytes: 4 << 20))
        guard case .announce(let announcement) = try frame("announce", from: .server) else { throw Missing() }
        #expect(
            try announcement
                == Announcement(
                    seal: seal, epoch: 3, uid: 1000, gid: 1000, salt: bytes("salt"), keyCheck: bytes("keyCheck"),
                    topic: topic, publisher: "example"))
        guard case .grant(let grant) = try frame("grant", from: .server) else { throw Missing() }
        #expect(grant.topic == topic && grant.epoch == 3 && grant.sealed.count == 48)
        #expect(grant.incarnation == 1 && grant.counter == 1)
        guard case .deliver(let deliver) = try frame("deliver", from: .server) else { throw Missing() }
        #expect(try deliver.batch.array == bytes("batch"))
        #expect(deliver.time == 1_700_000_000_000_250 && deliver.selection.isEmpty)
    }

    @Test("has a second batch, with columns")
    func secondBatch() throws {
        let batch = try SealedBatch(SharedBytes(bytes("batch2")))
        try batch.checkColumns()
        let columns = try BatchColumns(batch.columns, eventCount: Int(batch.header.eventCount))
        #expect(batch.header.counter == 1 && batch.header.eventCount == 2)
        #expect(columns.correlation[1]?.description == "01234567-89ab-7cde-f012-3456789abcde")
        #expect(columns.replyTo == .all(Array("$reply.".utf8)))
        #expect(columns.orderingKey == .each([0x1122_3344_5566_7788, 0]))
        let body = SharedBytes(try bytes("plaintext2"))
        var position = 0
        let payloads = try (0..<2).map { _ in try EventRecord.next(in: body, at: &position).payload.array }
        #expect(payloads == [Array("one".utf8), Array("two".utf8)] && position == body.count)
        #expect(batch.body.count == body.count + BatchHeader.tagLength)
    }

    private struct Missing: Error {}
}
