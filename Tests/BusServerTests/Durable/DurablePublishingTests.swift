import BusClient
import BusTesting
import BusWire
import Testing

/// What a publisher of durable topics is told, and what that is worth.
@Suite(.timeLimit(.minutes(1))) struct DurablePublishingTests {
    private func withClient(
        _ more: String = "", _ body: (TestBus, BusConnection) async throws -> Void
    ) async throws {
        let bus = try TestBus.durable(more)
        let client = try await bus.connect("client")
        try await body(bus, client)
        await client.close()
    }

    private func event(_ text: String, id: BusUUID? = nil) -> OutgoingEvent {
        var event = OutgoingEvent(text)
        event.id = id
        return event
    }

    @Test func `a receipt says that it is on disk, and whom it is for`() async throws {
        try await withClient { (_, client) async throws in
            _ = try await client.subscribe("jobs.>")
            _ = try await client.subscribe("jobs.a", .durable())
            let receipt = try await client.publish([OutgoingEvent("1"), OutgoingEvent("2")], to: "jobs.a")
            #expect(receipt.isDurable && !receipt.isDuplicate)
            #expect(receipt.firstSequence == 1 && receipt.lastSequence == 2)
            #expect(receipt.liveMatches == 1 && receipt.durableMatches == 1)
            let live = try await client.publish("1", to: "other")
            #expect(!live.isDurable && live.durableMatches == 0)
        }
    }

    @Test func `what must be durable is refused on a live topic, and nobody gets it`() async throws {
        try await withClient { (_, client) async throws in
            let subscription = try await client.subscribe("other")
            var event = OutgoingEvent("1")
            event.mustBeDurable = true
            await expectRefusal(.notDurable, naming: "other") { _ = try await client.publish(event, to: "other") }
            #expect(try await client.publish(event, to: "jobs.a").isDurable)
            try await client.publish("2", to: "other")
            var taking = Taking(subscription)
            #expect(try await taking.texts(1) == ["2"])
        }
    }

    @Test func `an id that is known is no new event, before and after the daemon was killed`() async throws {
        try await withClient { (bus, client) async throws in
            let id = BusUUID.random()
            let first = try await client.publish(event("1", id: id), to: "jobs.a")
            let again = try await client.publish(event("1", id: id), to: "jobs.a")
            #expect(!first.isDuplicate && again.isDuplicate && again.isDurable)
            #expect(again.firstSequence == first.firstSequence && again.id == id)
            bus.kill()
            try bus.start()
            let later = try await client.publish(event("1", id: id), to: "jobs.a")
            #expect(later.isDuplicate && later.firstSequence == first.firstSequence)
            #expect(try await client.publish("2", to: "jobs.a").firstSequence == 2)
            #expect(try await client.rows(.topics).first { $0["topic"] == "jobs.a" }?["stored_events"] == "2")
        }
    }

    @Test func `of a batch that is known in part only the rest becomes events`() async throws {
        try await withClient { (_, client) async throws in
            let ids = (0..<4).map { _ in BusUUID.random() }
            try await client.publish([event("b", id: ids[1]), event("c", id: ids[2])], to: "jobs.a")
            _ = try await client.publish(zip(["a", "b", "c", "d"], ids).map { event($0, id: $1) }, to: "jobs.a")
            let subscription = try await client.subscribe("jobs.a", .reading(from: .all))
            var taking = Taking(subscription)
            #expect(try await taking.untilCaughtUp().events.map(\.text) == ["b", "c", "a", "d"])
        }
    }

    @Test func `what is too long for its topic is refused, and says how long it may be`() async throws {
        try await withClient { (_, client) async throws in
            try await client.administer(
                .createTopic, filter: "small.>", settings: [Setting(.durable, 1), Setting(.payloadLengthMax, 100)])
            try await client.publish(OutgoingEvent([UInt8](repeating: 1, count: 100)), to: "small.a")
            do {
                _ = try await client.publish(OutgoingEvent([UInt8](repeating: 1, count: 101)), to: "small.a")
                Issue.record("101 bytes were taken")
            } catch {
                #expect("\(error)".contains("101 bytes, at most 100 are allowed on topic small.a"), "\(error)")
            }
        }
    }

    @Test func `without receipts, too, each topic keeps its order, and nothing is lost`() async throws {
        try await withClient { (bus, client) async throws in
            let reader = try await bus.connect("reader")
            var taking = Taking(try await reader.subscribe(">"))
            let topics = ["jobs.a", "live", "jobs.b"]
            for number in 0..<300 {
                try await client.publishWithoutReceipt(OutgoingEvent("\(number)"), to: topics[number % 3])
            }
            let events = try await taking.events(300)
            for (place, topic) in topics.enumerated() {
                let texts = events.filter { $0.topic.description == topic }.map(\.text)
                #expect(texts == stride(from: place, to: 300, by: 3).map { "\($0)" })
            }
            await reader.close()
        }
    }

    @Test func `a retained value of a durable topic is there after a restart`() async throws {
        let bus = try TestBus(configuration: "topics: {'config.>': {kind: durable, retain: true}}")
        let client = try await bus.connect("client")
        var event = OutgoingEvent("on")
        event.retains = true
        try await client.publish(event, to: "config.lamp")
        bus.kill()
        try bus.start()
        var options = SubscribeOptions()
        options.beginsWithLast = true
        // The client may still be on its way back.
        let reader = try await bus.connect("reader")
        var taking = Taking(try await reader.subscribe("config.>", options))
        #expect(try await taking.texts(1) == ["on"])
        await client.close()
        await reader.close()
    }
}
