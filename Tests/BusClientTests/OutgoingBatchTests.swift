import BusCrypto
import BusWire
import Testing

@testable import BusClient

@Suite struct OutgoingBatchTests {
    static let first = BusUUID(milliseconds: 1000, counterHigh: 1, counterLow: 5)

    private func batch(_ name: String = "a.b") throws -> OutgoingBatch {
        OutgoingBatch(
            topic: TopicPublisher(try Topic(name)), traits: .wantsReceipt, reserved: OutgoingBatchTests.first, body: [])
    }

    private func add(
        _ text: String, to batch: OutgoingBatch, headers: [EventHeader] = [], id: BusUUID? = nil,
        correlation: BusUUID? = nil, causation: BusUUID? = nil, key: UInt64 = 0, expiry: Int64 = 0
    ) {
        let marks = EventMarks(
            id: id, correlation: correlation, causation: causation, orderingKey: key, expiry: expiry)
        Array(text.utf8).withUnsafeBytes { batch.append(payload: $0, headers: headers, marks: marks, time: 7) }
    }

    /// Seals a batch as a publisher, reads it as a daemon, opens it as a subscriber.
    private func throughSeal(_ batch: OutgoingBatch) throws -> (sealed: SealedBatch, events: [Event]) {
        let secret = try NamespaceSecret.random().topicSecret(topic: batch.topic.topic.bytes)
        let salt = SealSalt.random()
        let grant = try secret.sealGrant(salt: salt, topic: batch.topic.topic.bytes, epoch: 1)
        let check = grant.keyCheck
        var sealer = Sealer(grant)
        var scratch: [UInt8] = []
        let bytes = try batch.seal(&sealer, seal: 42, scratch: &scratch)
        let sealed = try SealedBatch(bytes)
        try sealed.checkColumns()
        let opener = try Opener(
            secret: secret, salt: salt, topic: batch.topic.topic.bytes, epoch: 1, keyCheck: check)
        let body = ByteStorage(capacity: Int(sealed.header.bodyLength) - BatchHeader.tagLength)
        try sealed.authenticated.withUnsafeBytes { authenticated in
            try sealed.body.withUnsafeBytes { ciphertext in
                try opener.open(
                    counter: sealed.header.counter, authenticating: authenticated, sealed: ciphertext,
                    into: UnsafeMutableRawBufferPointer(start: body.base, count: body.capacity))
            }
        }
        let deliver = Deliver(subscription: 1, delivery: 1, firstSequence: 100, time: 9, batch: bytes)
        let opened = try EventBatch(
            deliver, sealed, .all, body: SharedBytes(storage: body, offset: 0, count: body.capacity),
            topic: batch.topic.topic, publisher: Publisher(uid: 0, gid: 0, name: ""))
        return (sealed, Array(opened))
    }

    @Test func `a sealed batch says what was put in, and costs no column when ids count up`() throws {
        let batch = try batch()
        add("one", to: batch, headers: [EventHeader("k", "v")])
        add("", to: batch)
        add("three", to: batch)
        let (sealed, events) = try throughSeal(batch)
        #expect(sealed.header.columnsLength == 4)
        #expect(sealed.header.seal == 42)
        #expect(sealed.header.counter == 0)
        #expect(sealed.bytes.count == batch.sealedLength)
        #expect(events.map(\.text) == ["one", "", "three"])
        #expect(events.map(\.sequence) == [100, 101, 102])
        #expect(events[0].headers == [EventHeader("k", "v")])
        for (index, event) in events.enumerated() {
            #expect(event.id == OutgoingBatchTests.first.advanced(by: UInt64(index)))
            #expect(event.id == batch.id(at: index))
            #expect(event.correlation == event.id)
            #expect(event.causation == nil)
            #expect(event.publishedAt == 7)
        }
    }

    @Test func `ids that don't count up are carried one by one`() throws {
        let batch = try batch()
        let own = BusUUID(high: 3, low: 4)
        add("a", to: batch)
        add("b", to: batch, id: own)
        add("c", to: batch)
        let (sealed, events) = try throughSeal(batch)
        #expect(sealed.header.columnsLength == 4 + 3 * 16)
        #expect(events.map(\.id) == (0..<3).map { batch.id(at: $0) })
        #expect(events[1].id == own)
        #expect(Set(events.map(\.id)).count == 3)
    }

    @Test func `a correlation that all share is carried once, others one by one`() throws {
        let (shared, other, cause) = (BusUUID(high: 1, low: 1), BusUUID(high: 2, low: 2), BusUUID(high: 3, low: 3))
        let alike = try batch()
        for text in ["a", "b"] { add(text, to: alike, correlation: shared) }
        let (sealedAlike, eventsAlike) = try throughSeal(alike)
        #expect(sealedAlike.header.columnsLength == 4 + 16)
        #expect(eventsAlike.map(\.correlation) == [shared, shared])

        let mixed = try batch()
        add("a", to: mixed)
        add("b", to: mixed, correlation: other, causation: cause)
        add("c", to: mixed)
        let (sealedMixed, eventsMixed) = try throughSeal(mixed)
        #expect(sealedMixed.header.columnsLength == 4 + 2 * 3 * 16)
        #expect(eventsMixed.map(\.correlation) == [mixed.id(at: 0), other, mixed.id(at: 2)])
        #expect(eventsMixed.map(\.causation) == [nil, cause, nil])
    }

    @Test func `ordering keys and expiries stand in their columns, once where they are all alike`() throws {
        let alike = try batch()
        for text in ["a", "b"] { add(text, to: alike, key: 5, expiry: 8) }
        let sealedAlike = try throughSeal(alike).sealed
        #expect(sealedAlike.header.columnsLength == 4 + 8 + 8)
        let columnsAlike = try BatchColumns(sealedAlike.columns, eventCount: 2)
        #expect(columnsAlike.orderingKey == .all(5) && columnsAlike.expiry == .all(8))

        let mixed = try batch()
        add("a", to: mixed)
        add("b", to: mixed, key: 5)
        add("c", to: mixed, expiry: 8)
        let columns = try BatchColumns(try throughSeal(mixed).sealed.columns, eventCount: 3)
        #expect(columns.orderingKey == .each([0, 5, 0]) && columns.expiry == .each([0, 0, 8]))
    }

    @Test func `what the application says becomes marks: a key's hash, an end of time from now on`() throws {
        var event = OutgoingEvent("x")
        let topic = try Topic("orders.placed")
        #expect(EventMarks(event, on: topic, at: 1000, wantsReceipt: true).columns == [])
        event.orderingKey = "customer-7"
        event.expiresAfter = .milliseconds(3)
        event.mustBeDurable = true
        event.id = OutgoingBatchTests.first
        let marks = EventMarks(event, on: topic, at: 1000, wantsReceipt: true)
        #expect(marks.columns == [.id, .orderingKey, .expiry] && marks.columns.width == 32)
        #expect(try marks.orderingKey == OrderingKey.hash(Array("customer-7".utf8), topic: topic.bytes))
        #expect(marks.expiry == 4000)
        #expect(marks.traits == [.wantsReceipt, .mustBeDurable, .isAgain])
        event.expiresAfter = .seconds(Int64.max)
        #expect(EventMarks(event, on: topic, at: 1000, wantsReceipt: true).expiry == .max)
        event.expiresAfter = .seconds(Int64.min)
        #expect(EventMarks(event, on: topic, at: 1000, wantsReceipt: true).expiry == 1)
    }

    @Test func `whatever hasRoom says yes to stays within the daemon's bounds`() throws {
        var generator = SystemRandomNumberGenerator()
        for round in 0..<60 {
            let batch = try batch()
            let length = [0, 40, 200, 3000][round % 4]
            while true {
                let roll = Int.random(in: 0..<(round % 3 == 0 ? 6 : 400), using: &generator)
                let id = roll == 1 ? BusUUID.random() : nil
                let correlation = roll == 2 ? BusUUID.random() : nil
                let causation = roll == 3 ? BusUUID.random() : nil
                let (key, expiry) = (roll == 4 ? UInt64(9) : 0, roll == 5 ? Int64(9) : 0)
                let marks = EventMarks(
                    id: id, correlation: correlation, causation: causation, orderingKey: key, expiry: expiry)
                guard batch.hasRoom(for: EventRecord.lengthMin + length, marks.columns) else { break }
                add(
                    String(repeating: "x", count: length), to: batch, id: id, correlation: correlation,
                    causation: causation, key: key, expiry: expiry)
            }
            let (sealed, events) = try throughSeal(batch)
            #expect(sealed.bytes.count <= Limits.batchLengthMax)
            #expect(events.count <= Limits.batchEventCountMax)
            #expect(Int(sealed.header.columnsLength) <= Limits.columnsLengthMax)
            #expect(batch.sealedLength >= sealed.bytes.count)
        }
    }

    @Test func `the first event always has room, however long`() throws {
        #expect(try batch().hasRoom(for: 10 << 20, .id))
    }

    @Test func `a buffer that is given back is empty and keeps its room`() throws {
        let batch = try batch()
        add(String(repeating: "x", count: 5000), to: batch)
        let body = batch.takeBody()
        #expect(body.isEmpty && body.capacity >= 5000)
    }
}
