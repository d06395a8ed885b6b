import BusTesting
import BusWire
import Testing

@testable import BusClient

/// Events that may have been published before, and what else a publish says of itself.
@Suite(.timeLimit(.minutes(1))) struct PublishingAgainTests {
    private let bus: TestBus
    private let notebook = Notebook()
    private let relay: Relay

    init() throws {
        bus = try TestBus()
        relay = try notebook.relay(bus)
    }

    private func withClient(_ body: (BusConnection) async throws -> Void) async throws {
        defer { relay.stop() }
        let client = try await bus.connect("client", through: relay.path)
        try await body(client)
        await client.close()
    }

    private func headers() throws -> [BatchHeader] { try notebook.publishes.map { try SealedBatch($0.batch).header } }

    @Test func `what had no receipt when the connection was lost says so the second time, under the same ids`()
        async throws
    {
        try await withClient { client in
            let isLost = Noted(true)
            notebook.change.change {
                $0 = { frame in
                    guard case .receipts = frame, isLost.value else { return frame }
                    return Notebook.nothing
                }
            }
            let publishing = Task { try await client.publish([OutgoingEvent("a"), OutgoingEvent("b")], to: "jobs") }
            await eventually { notebook.publishes.count == 1 }
            isLost.change { $0 = false }
            await relay.cut()
            let receipt = try await publishing.value
            try await client.publish("c", to: "jobs")
            #expect(notebook.publishes.map(\.isAgain) == [false, true, false])
            let ids = try headers().map(\.firstID)
            #expect(ids[0] == ids[1] && receipt.id == ids[0])
        }
    }

    @Test func `an event with an id of its own may have been published by anybody before`() async throws {
        try await withClient { client in
            var (own, plain) = (OutgoingEvent("own"), OutgoingEvent("plain"))
            own.id = BusUUID.random()
            #expect(try await client.publish(own, to: "jobs").id == own.id)
            own.id = BusUUID.random()
            try await client.publish([plain, own], to: "jobs")
            try await client.publish(plain, to: "jobs")
            own.id = BusUUID.random()
            plain.id = BusUUID.random()
            let publisher = try await client.publisher(for: "jobs")
            let (first, second) = (own, plain)
            _ = try await client.run { _ in
                try publisher.publish(first)
                try publisher.publish(second)
                return try await publisher.finish()
            }
            #expect(notebook.publishes.map(\.isAgain) == [true, true, false, true])
            #expect(try headers().map(\.eventCount) == [1, 2, 1, 2])
        }
    }

    @Test func `the receipt of a duplicate is that of the first time, whatever it came with then`() async throws {
        try await withClient { client in
            notebook.change.change {
                $0 = { frame in
                    guard case .receipts(var receipts) = frame else { return frame }
                    for index in receipts.receipts.indices {
                        receipts.receipts[index].isDuplicate = true
                        (receipts.receipts[index].firstSequence, receipts.receipts[index].eventCount) = (10, 3)
                    }
                    return .receipts(receipts)
                }
            }
            var event = OutgoingEvent("x")
            event.id = BusUUID.random()
            let alone = try await client.publish(event, to: "jobs")
            #expect(alone.isDuplicate && alone.firstSequence == 10 && alone.lastSequence == 12)
            let three = try await client.publish([event, OutgoingEvent("y"), OutgoingEvent("z")], to: "jobs")
            #expect(three.isDuplicate && three.firstSequence == 10 && three.lastSequence == 12)
        }
    }

    @Test func `a request is made again under its id, and is no event that was published before`() async throws {
        try await withClient { client in
            var event = OutgoingEvent("?")
            event.id = BusUUID.random()
            let request = event
            await #expect { try await client.request(request, to: "jobs", patient { _ in }) } throws: {
                isError($0, "noResponders")
            }
            #expect(notebook.publishes.map(\.isAgain) == [false])
        }
    }

    @Test func `durability is demanded by batch, by the event or for all of a publisher`() async throws {
        try await withClient { client in
            var event = OutgoingEvent("x")
            event.mustBeDurable = true
            _ = try? await client.publish(event, to: "jobs")
            _ = try? await client.publish("y", to: "jobs")
            let publisher = try await client.publisher(for: "jobs", mustBeDurable: true)
            _ = try? await client.run { _ in
                try publisher.publish("z")
                return try await publisher.finish()
            }
            #expect(notebook.publishes.map(\.mustBeDurable) == [true, false, true])
        }
    }

    @Test func `a batch of which some is known goes event by event, and who waits has one receipt`() async throws {
        let reader = try await bus.connect("reader")
        let subscription = try await reader.subscribe("jobs")
        try await withClient { client in
            try await client.publish("before", to: "jobs")
            notebook.knowsSome.change { $0 = true }
            let receipt = try await client.publish(["a", "b", "c"].map { OutgoingEvent($0) }, to: "jobs")
            #expect(receipt.firstSequence == 2 && receipt.lastSequence == 4 && receipt.liveMatches == 1)
            var arrivals = subscription.makeAsyncIterator()
            var events: [Event] = []
            while events.count < 4, case .event(let event) = try await arrivals.next() { events.append(event) }
            #expect(events.map(\.text) == ["before", "a", "b", "c"])
            #expect(events.dropFirst().map(\.id) == (0..<3).map { receipt.id.advanced(by: $0) })
            let singles = notebook.publishes.dropFirst(2)
            #expect(singles.count >= 3 && singles.allSatisfy { $0.isAgain })
            // Nothing is left of it: who waits for all to be published doesn't wait.
            await client.drain()
            #expect(try await client.publish("after", to: "jobs").firstSequence == 5)
        }
        await reader.close()
    }

    @Test func `a windowed publisher counts what went event by event`() async throws {
        try await withClient { client in
            notebook.knowsSome.change { $0 = true }
            let publisher = try await client.publisher(for: "jobs")
            let summary = try await client.run { _ in
                for text in ["a", "b", "c"] { try publisher.publish(text) }
                return try await publisher.finish()
            }
            #expect(summary.confirmedCount == 3 && summary.refusedCount == 0 && summary.lastSequence == 3)
        }
    }

    @Test func `who gives up on a batch in parts is let go at once`() async throws {
        try await withClient { client in
            notebook.knowsSome.change { $0 = true }
            notebook.change.change {
                $0 = { frame in
                    guard case .receipts(let receipts) = frame, !receipts.receipts.isEmpty else { return frame }
                    return Notebook.nothing
                }
            }
            let publishing = Task { try await client.publish(["a", "b"].map { OutgoingEvent($0) }, to: "jobs") }
            await eventually { notebook.publishes.count >= 3 }
            publishing.cancel()
            await #expect { try await publishing.value } throws: { isError($0, "cancelled") }
        }
    }

    @Test func `an ordering key over its bound is refused before anything is sent`() async throws {
        try await withClient { client in
            var event = OutgoingEvent("x")
            event.orderingKey = String(repeating: "k", count: 1025)
            let refused = event
            await #expect { try await client.publish(refused, to: "jobs") } throws: { isError($0, "tooLarge") }
            #expect(notebook.publishes.isEmpty)
        }
    }
}
