import BusClient
import BusTesting
import BusWire
import Testing

/// Durable subscriptions, from the outside: who gets what, how often, and what becomes of what can't be handled.
@Suite(.timeLimit(.minutes(1))) struct DurableSubscriptionTests {
    private struct Busy: Error, CustomStringConvertible { let description = "busy" }

    private func withClients(
        _ body: (_ bus: TestBus, _ reader: BusConnection, _ writer: BusConnection) async throws -> Void
    ) async throws {
        let bus = try TestBus.durable()
        let reader = try await bus.connect("reader")
        let writer = try await bus.connect("writer")
        try await body(bus, reader, writer)
        await reader.close()
        await writer.close()
    }

    private func standing(_ client: BusConnection, _ name: String = "workers") async throws -> [String: String] {
        try await client.row(.durableSubscriptions, name)
    }

    @Test func `it begins with what comes from then on, and what is acknowledged doesn't come again`() async throws {
        try await withClients { (bus, reader, writer) async throws in
            try await writer.publish(texts: ["before"], to: "jobs.a")
            let subscription = try await reader.subscribe("jobs.>", .durable())
            try await writer.publish(texts: ["1", "2", "3"], to: "jobs.a")
            var taking = Taking(subscription)
            #expect(try await taking.texts(3) == ["1", "2", "3"])
            await subscription.acknowledge()
            await reader.close()
            try await writer.publish(texts: ["4"], to: "jobs.b")
            let other = try await bus.connect("other")
            taking = Taking(try await other.subscribe("", .durable()))
            let event = try await taking.event()
            #expect(event.text == "4" && event.attempt == 1)
            await other.close()
        }
    }

    @Test func `made with everything it begins with what was stored, and the marker says how much that was`()
        async throws
    {
        try await withClients { (_, reader, writer) async throws in
            try await writer.publish(texts: ["1", "2", "3"], to: "jobs.a")
            var taking = Taking(try await reader.subscribe("jobs.>", .durable { $0.start = .all }))
            let stored = try await taking.untilCaughtUp()
            #expect(stored.events.map(\.text) == ["1", "2", "3"] && stored.count == 3)
            try await writer.publish(texts: ["4"], to: "jobs.a")
            #expect(try await taking.texts(1) == ["4"])
        }
    }

    @Test func `alone it has one consumer: a second is refused by name, until the first has left`() async throws {
        try await withClients { (_, reader, writer) async throws in
            let first = try await reader.subscribe("jobs.>", .durable())
            await expectRefusal(.consumerExists, naming: "workers", "reader") {
                _ = try await writer.subscribe("jobs.>", .durable())
            }
            await first.cancel()
            _ = try await writer.subscribe("jobs.>", .durable())
        }
    }

    @Test func `shared each event goes to one consumer`() async throws {
        try await withClients { (bus, reader, writer) async throws in
            let other = try await bus.connect("other")
            let counts = Noted([String: [String]]())
            for (name, client) in [("reader", reader), ("other", other)] {
                _ = try await client.consume("jobs.>", .durable { $0.isShared = true }) { event in
                    counts.change { $0[name, default: []].append(event.text) }
                }
            }
            let texts = (0..<200).map { "\($0)" }
            try await writer.publish(texts: texts, to: "jobs.a")
            await eventually { counts.value.values.reduce(0) { $0 + $1.count } == 200 }
            #expect(Set(counts.value.values.joined()) == Set(texts))
            #expect(counts.value.count == 2 && counts.value.values.allSatisfy { $0.count > 20 })
            try await eventually { try await standing(writer)["pending"] == "0" }
            #expect(try await standing(writer)["redelivered"] == "0")
            await other.close()
        }
    }

    @Test func `exclusive the oldest consumer gets everything, and when it goes the next one goes on`() async throws {
        try await withClients { (bus, reader, writer) async throws in
            let standby = try await bus.connect("standby")
            let first = try await reader.subscribe("jobs.>", .durable { $0.isExclusive = true })
            let second = try await standby.subscribe("jobs.>", .durable { $0.isExclusive = true })
            try await writer.publish(texts: ["1", "2"], to: "jobs.a")
            var taking = Taking(first)
            #expect(try await taking.texts(2) == ["1", "2"])
            // The second is at work: asking for it acknowledged the first alone.
            await reader.close()
            try await writer.publish(texts: ["3"], to: "jobs.a")
            taking = Taking(second)
            #expect(try await taking.texts(2) == ["2", "3"])
            await standby.close()
        }
    }

    @Test func `without acknowledgement what was sent is done with`() async throws {
        try await withClients { (bus, reader, writer) async throws in
            var taking = Taking(try await reader.subscribe("jobs.>", .durable { $0.acknowledgement = .none }))
            try await writer.publish(texts: ["1", "2"], to: "jobs.a")
            #expect(try await taking.texts(2) == ["1", "2"])
            await reader.close()
            try await eventually { try await standing(writer)["consumers"] == "0" }
            #expect(try await standing(writer)["pending"] == "0")
            try await writer.publish(texts: ["3"], to: "jobs.a")
            let other = try await bus.connect("other")
            taking = Taking(try await other.subscribe("", .durable { $0.acknowledgement = .none }))
            #expect(try await taking.texts(1) == ["3"])
            await other.close()
        }
    }

    @Test func `a handler that throws gets the event again, as the next attempt, and no other`() async throws {
        try await withClients { (_, reader, writer) async throws in
            let seen = Noted([String]())
            _ = try await reader.consume("jobs.>", .durable()) { event in
                seen.change { $0.append("\(event.text)/\(event.attempt)") }
                if event.text == "2", event.attempt < 3 { throw Busy() }
            }
            try await writer.publish([OutgoingEvent("1"), OutgoingEvent("2"), OutgoingEvent("3")], to: "jobs.a")
            await eventually { seen.value.count == 5 }
            #expect(seen.value.sorted() == ["1/1", "2/1", "2/2", "2/3", "3/1"])
            try await eventually { try await standing(writer)["pending"] == "0" }
            let row = try await standing(writer)
            #expect(row["acknowledged"] == "3" && row["redelivered"] == "2" && row["dead"] == "0")
        }
    }

    @Test func `what was tried often enough is a dead letter, with the last word of who tried`() async throws {
        try await withClients { (_, reader, writer) async throws in
            let attempts = Noted(0)
            let settings = [Setting(.attemptCountMax, 3)]
            _ = try await reader.consume("jobs.>", .durable { $0.settings = settings }) { _ in
                attempts.change { $0 += 1 }
                throw Busy()
            }
            let id = try await writer.publish("1", to: "jobs.a").id
            // It is counted at once, and shown when it is on disk.
            try await eventually { try await writer.rows(.deadLetters).count == 1 }
            let letter = try #require(try await writer.rows(.deadLetters).first)
            #expect(attempts.value == 3 && letter["id"] == id.description && letter["attempts"] == "3")
            #expect(letter["reason"] == "attempts-exhausted" && letter["message"] == "busy")
            #expect(letter["topic"] == "jobs.a" && letter["sequence"] == "1" && letter["subscription"] == "workers")
            #expect(try await standing(writer)["pending"] == "0")
        }
    }

    @Test func `a consumer that vanishes loses nothing: the others get at once what it held`() async throws {
        try await withClients { (bus, reader, writer) async throws in
            let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
            defer { relay.stop() }
            let doomed = try await bus.connect("doomed", through: relay.path) { $0.reconnects = false }
            let shared = SubscribeOptions.durable { ($0.isShared, $0.acknowledgement) = (true, .manual) }
            let held = try await doomed.subscribe("jobs.>", shared)
            try await writer.publish(texts: ["1", "2", "3"], to: "jobs.a")
            var taking = Taking(held)
            #expect(try await taking.texts(3) == ["1", "2", "3"])
            var others = Taking(try await reader.subscribe("jobs.>", shared))
            try await eventually { try await standing(writer)["outstanding"] == "3" }
            await relay.cut()
            let again = try await others.events(3)
            #expect(again.map(\.text) == ["1", "2", "3"] && again.allSatisfy { $0.attempt == 2 })
            for event in again { try await event.acknowledge() }
            try await eventually { try await standing(writer)["pending"] == "0" }
            await doomed.close()
        }
    }

    @Test func `what isn't acknowledged in time comes again, and late word of it changes nothing`() async throws {
        try await withClients { (_, reader, writer) async throws in
            let options = SubscribeOptions.durable {
                $0.acknowledgement = .manual
                $0.settings = [Setting(.acknowledgeWait, 100_000), Setting(.attemptCountMax, 10_000)]
            }
            var taking = Taking(try await reader.subscribe("jobs.>", options))
            try await writer.publish(texts: ["1"], to: "jobs.a")
            let first = try await taking.event()
            let second = try await taking.event()
            #expect(first.attempt == 1 && second.attempt == 2 && second.id == first.id)
            try await first.acknowledge()
            #expect(try await standing(writer)["pending"] == "1")
            let rest = taking
            let acknowledging = Task {
                var taking = rest
                while true { try await taking.event().acknowledge() }
            }
            try await eventually { try await standing(writer)["pending"] == "0" }
            acknowledging.cancel()
            _ = try? await acknowledging.value
        }
    }

    @Test func `events of one key are handled one after the other by whoever has the first`() async throws {
        try await withClients { (bus, reader, writer) async throws in
            let other = try await bus.connect("other")
            let (working, overlaps, order) = (Noted([String: Int]()), Noted(0), Noted([String: [String]]()))
            for client in [reader, other] {
                _ = try await client.consume("jobs.>", .durable { $0.isShared = true }) { event in
                    let key = String(event.text.prefix(1))
                    let before = working.change { all in
                        all[key, default: 0] += 1
                        return all[key] ?? 0
                    }
                    if before > 1 { overlaps.change { $0 += 1 } }
                    order.change { $0[key, default: []].append(event.text) }
                    for _ in 0..<3 { await Task.yield() }
                    working.change { $0[key, default: 0] -= 1 }
                }
            }
            for number in 0..<60 {
                var event = OutgoingEvent("\(number % 3)-\(number)")
                event.orderingKey = "\(number % 3)"
                try await writer.publish(event, to: "jobs.a")
            }
            await eventually { order.value.values.reduce(0) { $0 + $1.count } == 60 }
            #expect(overlaps.value == 0)
            for key in 0..<3 {
                #expect(order.value["\(key)"] == stride(from: key, to: 60, by: 3).map { "\(key)-\($0)" })
            }
            await other.close()
        }
    }

    @Test func `what a member can't handle comes again before what follows it of its key`() async throws {
        try await withClients { (bus, reader, writer) async throws in
            let other = try await bus.connect("other")
            let (failed, handled) = (Noted(Set<String>()), Noted([String: [String]]()))
            for client in [reader, other] {
                _ = try await client.consume("jobs.>", .durable { $0.isShared = true }) { event in
                    let isFailing = event.text.hasSuffix("3") && failed.change { $0.insert(event.text).inserted }
                    if isFailing { throw Busy() }
                    handled.change { $0[String(event.text.prefix(1)), default: []].append(event.text) }
                }
            }
            for number in 0..<60 {
                var event = OutgoingEvent("\(number % 4)-\(number)")
                event.orderingKey = "\(number % 4)"
                try await writer.publish(event, to: "jobs.a")
            }
            try await eventually {
                let standing = try await standing(writer)
                return standing["pending"] == "0" && standing["acknowledged"] == "60"
            }
            #expect(failed.value.count == 6)
            for key in 0..<4 {
                // Some were handled more than once: what follows one that failed comes again behind it.
                let all = handled.value["\(key)"] ?? []
                let last = Dictionary(all.enumerated().map { ($1, $0) }) { max($0, $1) }
                let order = last.sorted { $0.value < $1.value }.map(\.key)
                #expect(order == stride(from: key, to: 60, by: 4).map { "\(key)-\($0)" })
            }
            await other.close()
        }
    }

    @Test func `what expired before it was handled isn't delivered any more`() async throws {
        try await withClients { (_, reader, writer) async throws in
            await (try await reader.subscribe("jobs.>", .durable())).cancel()
            var event = OutgoingEvent("short")
            event.expiresAfter = .milliseconds(1)
            try await writer.publish(event, to: "jobs.a")
            let begin = ContinuousClock.now
            await eventually { ContinuousClock.now - begin > .milliseconds(5) }
            try await writer.publish(texts: ["long"], to: "jobs.a")
            var taking = Taking(try await reader.subscribe("jobs.>", .durable()))
            guard case .missed(let missed) = try await taking.next() else {
                Issue.record("nothing was said of what expired")
                return
            }
            #expect(missed.reason == .expired && missed.count == 1)
            let texts = try await taking.texts(1)
            #expect(texts == ["long"])
            #expect(try await standing(writer)["dead"] == "0")
        }
    }
}
