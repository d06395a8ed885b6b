import BusTesting
import BusWire
import Testing

@testable import BusClient

/// How long payloads may be on one topic: the client's to check, since the daemon sees none.
@Suite(.timeLimit(.minutes(1))) struct PayloadLimitTests {
    private let bus: TestBus

    init() throws {
        bus = try TestBus(
            configuration: "topics: {'small.>': {max-payload: 10}, 'live': {kind: live, max-payload: 10}}")
    }

    private func text(_ count: Int) -> String { String(repeating: "x", count: count) }

    /// Expects the refusal that names length, limit and topic.
    private func expectTooLong(
        _ length: Int, on topic: String, location: SourceLocation = #_sourceLocation, _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            Issue.record("\(length) bytes were taken", sourceLocation: location)
        } catch {
            let expected = "a payload of \(length) bytes, at most 10 are allowed on topic \(topic)"
            guard case .tooLarge(expected)? = error as? BusError else {
                Issue.record("another error: \(error)", sourceLocation: location)
                return
            }
        }
    }

    @Test(arguments: ["small.a", "live"])
    func `holds to the byte, before the seal is there and after`(topic: String) async throws {
        let client = try await bus.connect()
        await expectTooLong(11, on: topic) { try await client.publish(text(11), to: topic) }
        try await client.publish(text(10), to: topic)
        await expectTooLong(11, on: topic) { try await client.publish(text(11), to: topic) }
        await expectTooLong(11, on: topic) {
            try await client.publish([OutgoingEvent("a"), OutgoingEvent(text(11))], to: topic)
        }
        await expectTooLong(12, on: topic) {
            try await client.publishWithoutReceipt(OutgoingEvent(text(12)), to: topic)
        }
        let receipt = try await client.publish("end", to: topic)
        #expect(receipt.firstSequence == 2, "nothing of what was refused has a place")
        try await client.publish(text(5000), to: "elsewhere")
        await client.close()
    }

    @Test func `takes nothing with it that waits for the same seal`() async throws {
        let client = try await bus.connect()
        let lengths = [1, 11, 2, 5000, 3]
        let taken = await withTaskGroup(of: Int?.self) { group in
            for length in lengths {
                let text = text(length)
                group.addTask { (try? await client.publish(text, to: "small.b")) != nil ? length : nil }
            }
            return await group.reduce(into: [Int]()) { if let length = $1 { $0.append(length) } }
        }
        #expect(taken.sorted() == [1, 2, 3])
        await expectTooLong(11, on: "small.c") {
            try await client.publish([OutgoingEvent("whole"), OutgoingEvent(text(11))], to: "small.c")
        }
        #expect(
            try await client.publish("x", to: "small.c").firstSequence == 1, "events that go together fail together")
        await client.close()
    }

    @Test func `what is published together is a batch of its own, and nobody else's fault is its`() async throws {
        let client = try await bus.connect()
        let events = [OutgoingEvent("a"), OutgoingEvent("b")]
        try await client.run { client in
            let publishing = client.core.publishing
            let topic = publishing.topic(try Topic("small.d"))
            let together = publishing.gatherTogether(events, on: topic)
            let alone = publishing.gather(OutgoingEvent(text(11)), on: topic, wantsReceipt: true)
            #expect(together !== alone && together.eventCount == 2 && !together.mayBeSplit)
        }
        await client.drain()
        #expect(try await client.publish("c", to: "small.d").firstSequence == 3)
        await client.close()
    }

    @Test func `whether anybody still waits or not, what is published together fails together`() async throws {
        let client = try await bus.connect()
        let events = [OutgoingEvent("a"), OutgoingEvent(text(11))]
        try await client.run { client in
            let publishing = client.core.publishing
            _ = publishing.gatherTogether(events, on: publishing.topic(try Topic("small.e")))
        }
        await client.drain()
        #expect(try await client.publish("c", to: "small.e").firstSequence == 1)
        await client.close()
    }

    @Test(arguments: [(["a", "b", nil], "b"), (["a", "", nil], nil), ([nil, "a", "b"], "b"), (["a", nil, ""], nil)])
    func `the last value is the last of those that were taken; nil is too long`(
        texts: [String?], last: String?
    ) async throws {
        let client = try await bus.connect()
        let events = texts.map { OutgoingEvent($0 ?? text(11)) }
        try await client.run { client in
            let publishing = client.core.publishing
            let topic = publishing.topic(try Topic("small.f"))
            for var event in events {
                event.retains = true
                _ = publishing.gather(event, on: topic, wantsReceipt: true)
            }
        }
        await client.drain()
        var options = SubscribeOptions()
        options.beginsWithLast = true
        var arrivals = try await client.subscribe("small.f", options).makeAsyncIterator()
        var values: [String] = []
        while case .event(let event) = try await arrivals.next() { values.append(event.text) }
        #expect(values == [last].compactMap(\.self))
        await client.close()
    }

    @Test func `what one publisher was refused is no other's fault`() async throws {
        let client = try await bus.connect()
        let (short, long) = (text(1), text(11))
        let counts = try await client.run { client in
            let innocent = try client.publisher(for: "small.h")
            let guilty = try client.publisher(for: "small.h")
            try innocent.publish(short)
            try guilty.publish(long)
            try innocent.publish(short)
            try guilty.publish(short)
            let summary = try await innocent.finish()
            _ = try? await guilty.finish()
            return [summary.confirmedCount, guilty.summary.confirmedCount, guilty.summary.refusedCount]
        }
        #expect(counts == [2, 1, 1])
        await client.close()
    }

    @Test func `requests go each alone where one of them is too long, each with who asked`() throws {
        let batch = OutgoingBatch(
            topic: TopicPublisher(try Topic("a")), traits: [.wantsReceipt, .isRequest], reserved: .random(), body: [])
        for text in ["a", "bc"] {
            Array(text.utf8).withUnsafeBytes {
                batch.append(payload: $0, headers: [], marks: EventMarks(), time: 0)
            }
        }
        #expect(batch.mayBeSplit)
        let alone = batch.split(for: nil)
        #expect(alone.map(\.payloadLengthLongest) == [1, 2])
        #expect(alone.allSatisfy { $0.traits == batch.traits && $0.part == nil })
    }

    @Test func `a new one holds at once, for those who publish, too`() async throws {
        let client = try await bus.connect()
        let other = try await bus.connect()
        try await client.administer(.createTopic, filter: "mine", settings: [Setting(.payloadLengthMax, 10)])
        try await other.publish(text(10), to: "mine")
        await expectTooLong(20, on: "mine") { try await other.publish(text(20), to: "mine") }
        try await client.administer(.alterTopic, filter: "mine", settings: [Setting(.payloadLengthMax, 20)])
        await eventually { (try? await other.publish(text(20), to: "mine")) != nil }
        await client.close()
        await other.close()
    }
}
