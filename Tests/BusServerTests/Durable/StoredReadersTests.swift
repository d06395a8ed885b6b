import BusClient
import BusTesting
import BusWire
import Testing

/// Subscriptions that begin with what is stored and go on with what is new.
@Suite(.timeLimit(.minutes(1))) struct StoredReadersTests {
    private func withStored(_ body: (TestBus, BusConnection, [PublishReceipt]) async throws -> Void) async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        var receipts: [PublishReceipt] = []
        for number in 1...6 {
            receipts.append(try await client.publish("\(number)", to: number % 2 == 0 ? "jobs.even" : "jobs.odd"))
        }
        try await body(bus, client, receipts)
        await client.close()
    }

    private func read(
        _ client: BusConnection, _ filter: String, from start: Start
    ) async throws -> (events: [Event], count: UInt64) {
        var taking = Taking(try await client.subscribe(filter, .reading(from: start)))
        let stored = try await taking.untilCaughtUp()
        try await client.publish("new", to: "jobs.odd")
        try await client.publish("new", to: "jobs.even")
        let new = try await taking.event()
        #expect(new.text == "new" && !new.isStored)
        #expect(stored.events.allSatisfy { $0.isStored })
        #expect(stored.count == UInt64(stored.events.count))
        return stored
    }

    @Test func `from the beginning, over several topics in the order of publishing`() async throws {
        try await withStored { (_, client, _) async throws in
            #expect(try await read(client, "jobs.>", from: .all).events.map(\.text) == ["1", "2", "3", "4", "5", "6"])
        }
    }

    @Test func `the last of each topic`() async throws {
        try await withStored { (_, client, _) async throws in
            let all = try await read(client, "jobs.>", from: .last).events.map(\.text)
            #expect(all == ["5", "6"])
            let odd = try await read(client, "jobs.odd", from: .last).events.map(\.text)
            #expect(odd == ["new"])
        }
    }

    @Test func `from a sequence of one topic, and not of several`() async throws {
        try await withStored { (_, client, _) async throws in
            #expect(try await read(client, "jobs.even", from: .sequence(2)).events.map(\.text) == ["4", "6"])
            await expectRefusal(.badFilter, naming: "jobs.>", "--since") {
                _ = try await client.subscribe("jobs.>", .reading(from: .sequence(2)))
            }
            await expectRefusal(.badFilter, naming: "jobs.*", "--since") {
                _ = try await client.subscribe("jobs.*", .durable("w") { $0.start = .sequence(2) })
            }
            #expect(try await client.rows(.durableSubscriptions).isEmpty)
        }
    }

    @Test func `beyond the end there is only what is new`() async throws {
        try await withStored { (_, client, _) async throws in
            #expect(try await read(client, "jobs.even", from: .sequence(1000)).events.isEmpty)
            #expect(try await read(client, "jobs.>", from: .since(Int64.max / 2)).events.isEmpty)
            var taking = Taking(try await client.subscribe("jobs.none", .reading(from: .last)))
            #expect(try await taking.untilCaughtUp().count == 0)
            try await client.publish("new", to: "jobs.none")
            #expect(try await taking.texts(1) == ["new"])
        }
    }

    @Test func `since a time`() async throws {
        try await withStored { (_, client, _) async throws in
            var taking = Taking(try await client.subscribe("jobs.>", .reading(from: .all)))
            let stored = try await taking.untilCaughtUp().events
            let times = stored.map(\.time)
            let since = times[3]
            let wanted = stored.filter { $0.time >= since }.map(\.text)
            let found = try await read(client, "jobs.>", from: .since(since)).events.map(\.text)
            #expect(found == wanted)
        }
    }

    @Test func `from a live topic nothing is stored, and the marker says so at once`() async throws {
        try await withStored { (_, client, _) async throws in
            var taking = Taking(try await client.subscribe("live", .reading(from: .all)))
            #expect(try await taking.untilCaughtUp().count == 0)
            try await client.publish("new", to: "live")
            #expect(try await taking.texts(1) == ["new"])
        }
    }

    @Test func `while others publish there is no gap and no duplicate between stored and new`() async throws {
        let bus = try TestBus.durable()
        let writer = try await bus.connect("writer")
        let reader = try await bus.connect("reader")
        for number in 0..<500 {
            try await writer.publishWithoutReceipt(OutgoingEvent("\(number)"), to: "jobs.a")
        }
        let rest = Task {
            for number in 500..<3000 {
                try await writer.publishWithoutReceipt(OutgoingEvent("\(number)"), to: "jobs.a")
                if number % 50 == 0 { try await writer.publish("mark", to: "other") }
            }
        }
        for _ in 0..<5 {
            let subscription = try await reader.subscribe("jobs.>", .reading(from: .all))
            var taking = Taking(subscription)
            #expect(try await taking.texts(3000) == (0..<3000).map { "\($0)" })
            await subscription.cancel()
        }
        try await rest.value
        await reader.close()
        await writer.close()
    }

    @Test func `a reader far behind gets everything, page by page`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        let payload = [UInt8](repeating: 1, count: 20_000)
        let publisher = try await client.publisher(for: "jobs.a")
        _ = try await client.run { _ in
            for _ in 0..<1000 { try publisher.publish(OutgoingEvent(payload)) }
            return try await publisher.finish()
        }
        var taking = Taking(try await client.subscribe("jobs.>", .reading(from: .all)))
        let stored = try await taking.untilCaughtUp()
        #expect(stored.events.map(\.sequence) == Array(1...1000))
        var durable = Taking(try await client.subscribe("jobs.>", .durable { $0.start = .all }))
        #expect(try await durable.untilCaughtUp().events.map(\.sequence) == Array(1...1000))
        await client.close()
    }
}
