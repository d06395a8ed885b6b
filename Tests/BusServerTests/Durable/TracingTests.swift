import BusClient
import BusTesting
import BusWire
import Testing

/// What became of an event, by its id.
@Suite(.timeLimit(.minutes(1))) struct TracingTests {
    private func withBus(_ body: (TestBus, BusConnection) async throws -> Void) async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        try await body(bus, client)
        await client.close()
    }

    private func deliveries(_ client: BusConnection, _ id: BusUUID) async throws -> [[String: String]] {
        try await client.rows(.trace, id.description).filter { $0["what"] == "delivery" }
    }

    private func states(_ client: BusConnection, _ id: BusUUID) async throws -> [String] {
        try await deliveries(client, id).compactMap { $0["state"] }
    }

    @Test func `who published it, where it lies, and what caused it`() async throws {
        try await withBus { (_, client) async throws in
            var event = OutgoingEvent("1")
            (event.correlation, event.causation) = (BusUUID.random(), BusUUID.random())
            try await client.publish(texts: ["0"], to: "jobs.a")
            let receipt = try await client.publish([OutgoingEvent("a"), event], to: "jobs.a")
            let second = try #require(receipt.id.advanced(by: 1))
            let rows = try await client.rows(.trace, second.description)
            let row = try #require(rows.first)
            #expect(rows.count == 1 && row["what"] == "published" && row["id"] == second.description)
            #expect(row["topic"] == "jobs.a" && row["sequence"] == "3" && row["name"] == "client")
            #expect(row["correlation"] == event.correlation?.description)
            #expect(row["causation"] == event.causation?.description)
        }
    }

    @Test func `where it is for each subscription, and in the end how long it took`() async throws {
        try await withBus { (bus, client) async throws in
            try await client.administer(.createSubscription, key: "later", filter: "jobs.>")
            let subscription = try await client.subscribe("jobs.>", .durable { $0.acknowledgement = .manual })
            let id = try await client.publish("1", to: "jobs.a").id
            var taking = Taking(subscription)
            let event = try await taking.event()
            var rows = try await deliveries(client, id)
            let places = rows.map { [$0["subscription"], $0["state"]] }
            #expect(Set(places) == [["later", "matched"], ["workers", "sent"]])
            #expect(rows.first { $0["subscription"] == "workers" }?["name"] == "client")
            try await event.acknowledge()
            try await eventually {
                rows = try await deliveries(client, id)
                return rows.contains { $0["subscription"] == "workers" && $0["state"] == "acknowledged" }
            }
            let row = try #require(rows.first { $0["subscription"] == "workers" })
            let time = try #require(row["after_us"].flatMap { Int($0) })
            #expect(row["attempt"] == "1" && row["name"] == "client" && time > 0)
            #expect(rows.count == 2)
        }
    }

    @Test func `each attempt has its line, also after a restart`() async throws {
        try await withBus { (bus, client) async throws in
            let options = SubscribeOptions.durable {
                ($0.acknowledgement, $0.settings) = (.manual, [Setting(.attemptCountMax, 3)])
            }
            var taking = Taking(try await client.subscribe("jobs.>", options))
            let id = try await client.publish("1", to: "jobs.a").id
            try await taking.event().retry(because: "busy")
            try await taking.event().retry(because: "busy")
            try await taking.event().reject(because: "no such job")
            let wanted = ["retried", "retried", "dead"]
            try await eventually { try await states(client, id) == wanted }
            let lines = try await deliveries(client, id)
            #expect(lines.map { $0["attempt"] } == ["1", "2", "3"])
            #expect(lines.map { $0["reason"] } == ["retried", "retried", "rejected"])
            #expect(lines.map { $0["message"] } == ["", "", "no such job"])
            bus.kill()
            try bus.start()
            let later = try await bus.connect("later")
            #expect(try await states(later, id) == wanted)
            await later.close()
        }
    }

    @Test func `what was said of an event given up twice stands with the last time, and goes with its dead letter`()
        async throws
    {
        try await withBus { (bus, client) async throws in
            var taking = Taking(try await client.subscribe("jobs.>", .durable { $0.acknowledgement = .manual }))
            // Its batch begins with another event, which is given up for another reason.
            let ids = try await client.publish([OutgoingEvent("1"), OutgoingEvent("2")], to: "jobs.a")
            let id = try #require(ids.id.advanced(by: 1))
            try await taking.event().reject(because: "the other")
            try await taking.event().reject(because: "first")
            func said() async throws -> [String?] { try await deliveries(client, id).map { $0["message"] } }
            try await eventually { try await said() == ["first"] }
            try await client.administer(.redriveDead, key: id.description)
            try await taking.event().reject(because: "second")
            try await eventually { try await said() == ["", "second"] }
            let row = try #require(try await client.rows(.trace, id.description).first)
            #expect(row["stored"] == "1" && row["durable_at"] == nil)
            try await client.administer(.dropDead, key: id.description)
            try await eventually { try await said() == ["", ""] }
        }
    }

    @Test func `a request shows who answered and with what, also after a restart; a second one that nobody did`()
        async throws
    {
        try await withBus { (bus, client) async throws in
            let other = try await bus.connect("answers")
            let responder = try await other.reply(to: "jobs.ask") { request in
                guard request.event.text == "1" else { throw CancellationError() }
                return OutgoingEvent("one")
            }
            let answer = try await client.request("1", to: "jobs.ask")
            #expect(answer.text == "one")
            let id = try #require(answer.event.causation)
            func answers(_ client: BusConnection) async throws -> [[String: String]] {
                try await client.rows(.trace, id.description).filter { $0["what"] == "answer" }
            }
            try await eventually { try await answers(client).count == 1 }
            let row = try #require(try await answers(client).first)
            #expect(row["id"] == answer.event.id.description && row["causation"] == id.description)
            #expect(row["state"] == "answered" && row["name"] == "answers" && row["reason"] == "")
            #expect(row["after_us"].flatMap { Int($0) } ?? 0 > 0)
            await responder.cancel()
            await expectNoAnswer { try await client.request("2", to: "jobs.ask") }
            bus.kill()
            try bus.start()
            let later = try await bus.connect("later")
            #expect(try await answers(later).map { $0["state"] } == ["answered"])
            #expect(try await later.rows(.topics, "jobs.ask").first?["stored_events"] == "1")
            await later.close()
            await other.close()
        }
    }

    private func expectNoAnswer(_ body: () async throws -> Reply) async {
        do {
            _ = try await body()
            Issue.record("answered")
        } catch {
            guard case .noResponders? = error as? BusError else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test func `asked twice under one id, it shows both times`() async throws {
        try await withBus { (bus, client) async throws in
            let responder = try await client.reply(to: "jobs.ask") { OutgoingEvent($0.event.text) }
            var event = OutgoingEvent("1")
            event.id = BusUUID.random()
            let id = try #require(event.id)
            for _ in 1...2 { _ = try await client.request(event, to: "jobs.ask") }
            try await eventually {
                try await client.rows(.trace, id.description).filter { $0["what"] == "answer" }.count == 2
            }
            let published = try await client.rows(.trace, id.description).filter { $0["what"] == "published" }
            #expect(published.map { $0["sequence"] } == ["1", "2"])
            await responder.cancel()
        }
    }

    @Test func `of an id that nobody used there is nothing to be told, and of no id neither`() async throws {
        try await withBus { (_, client) async throws in
            try await client.publish("1", to: "jobs.a")
            for key in [BusUUID.random().description, "no id", ""] {
                let rows = (try? await client.rows(.trace, key)) ?? []
                #expect(rows.isEmpty, "\(key)")
            }
        }
    }
}
