import BusClient
import BusTesting
import BusWire
import Testing

/// Events that are published later, through a whole daemon and a whole client.
@Suite(.timeLimit(.minutes(1))) struct SchedulingTests {
    @Test func `an event waits, is listed and traced, and comes when it is due`() async throws {
        let bus = try TestBus.durable()
        let (client, reader) = (try await bus.connect("client"), try await bus.connect("reader"))
        var taking = Taking(try await reader.subscribe("jobs.>"))
        let waiting = try await client.publish(OutgoingEvent("later"), to: "jobs.a", after: .seconds(3600))
        #expect(waiting.isScheduled && waiting.isDurable && waiting.firstSequence == 0 && waiting.lastSequence == 0)
        let soon = try await client.publish(OutgoingEvent("soon"), to: "jobs.a", after: .milliseconds(50))
        #expect(soon.isScheduled)
        let event = try await taking.event()
        #expect(event.text == "soon" && event.id == soon.id)
        let listed = try await client.scheduled()
        #expect(listed.map(\.id) == [waiting.id] && listed.first?.topic == "jobs.a")
        let trace = try await client.inspect(.trace, key: waiting.id.description)
        #expect(trace.first?.first { $0.name == "what" } == InspectedValue("what", "scheduled"))
        let published = try await client.inspect(.trace, key: soon.id.description)
        #expect(published.first?.first { $0.name == "what" } == InspectedValue("what", "published"))
        await reader.close()
        await client.close()
    }

    @Test func `what fell due while the daemon was down is published when it starts, under its publisher's name`()
        async throws
    {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        let worker = try await client.subscribe("jobs.>", .durable())
        _ = worker
        let receipts = try await [
            client.publish(OutgoingEvent("1"), to: "jobs.a", after: .milliseconds(400)),
            client.publish(OutgoingEvent("2"), to: "jobs.b", after: .milliseconds(500)),
        ]
        let areWaiting = receipts.allSatisfy { $0.isScheduled }
        #expect(areWaiting)
        await client.close()
        bus.kill()
        try bus.start()
        let next = try await bus.connect("next")
        var taking = Taking(try await next.subscribe("jobs.>", .durable()))
        let events = try await taking.events(2)
        #expect(events.map(\.text) == ["1", "2"] && events.map(\.id) == receipts.map(\.id))
        let names = Set(events.map { $0.publisher.name })
        #expect(names == ["client"])
        #expect(try await next.scheduled().isEmpty)
        await next.close()
    }

    @Test func `one that is taken back never comes, and isn't there to be taken back again`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        let receipt = try await client.publish(OutgoingEvent("1"), to: "jobs.a", after: .seconds(3600))
        #expect(try await client.cancelScheduled(receipt.id) == 1)
        #expect(try await client.scheduled().isEmpty)
        await expectRefusal(.unknownName) { _ = try await client.cancelScheduled(receipt.id) }
        await expectRefusal(.notDurable, naming: "other") {
            _ = try await client.publish(OutgoingEvent("1"), to: "other", after: .seconds(1))
        }
        await #expect(throws: BusError.self) {
            var event = OutgoingEvent("1")
            event.dueAt = .max
            _ = try await client.publish([event, event], to: "jobs.a")
        }
        await client.close()
    }

    @Test func `the same id again is the same event, before and after it came`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        var taking = Taking(try await client.subscribe("jobs.>"))
        var waiting = OutgoingEvent("2")
        waiting.id = BusUUID.random()
        let first = try await client.publish(waiting, to: "jobs.a", after: .seconds(3600))
        let again = try await client.publish(waiting, to: "jobs.a", after: .seconds(3600))
        #expect(first.isScheduled && !first.isDuplicate && again.isScheduled && again.isDuplicate)
        var event = OutgoingEvent("1")
        event.id = BusUUID.random()
        _ = try await client.publish(event, to: "jobs.a", after: .milliseconds(50))
        #expect(try await taking.texts(1) == ["1"])
        let late = try await client.publish(event, to: "jobs.a", after: .seconds(3600))
        #expect(late.isDuplicate && !late.isScheduled && late.firstSequence == 1)
        await client.close()
    }
}
