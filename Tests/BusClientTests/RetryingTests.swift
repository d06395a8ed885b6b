import BusTesting
import BusTransport
import BusWire
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct RetryingTests {
    @Test func `requests while there is no connection wait for it, or end with their time`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        _ = try await client.reply(to: "a") { OutgoingEvent($0.event.text) }
        await relay.setAccepting(false)
        await relay.cut()
        await eventually { await client.run { !$0.core.isOpen } }
        await #expect { try await client.request("x", to: "a", patient { $0.timeout = .milliseconds(10) }) } throws: {
            isError($0, "timedOut")
        }
        let asking = Task { try await client.request("y", to: "a", patient { _ in }).text }
        await eventually { await client.run { $0.core.requesting.openCount } == 1 }
        await relay.setAccepting(true)
        #expect(try await asking.value == "y")
        #expect(await client.run { $0.core.requesting.openCount } == 0)
        await client.close()
    }

    @Test func `a connection lost in the middle of a request fails it, or asks again with the same id`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let client = try await bus.connect("client", through: relay.path)
        let server = try await bus.connect("server")
        let ids = Noted([BusUUID]())
        let isHolding = Noted(true)
        _ = try await server.reply(to: "a") { request in
            ids.change { $0.append(request.event.id) }
            while isHolding.value { try await Task.sleep(for: .milliseconds(1)) }
            return OutgoingEvent("done")
        }
        let once = Task { try await client.request("x", to: "a", patient { _ in }).text }
        let retrying = patient { $0.retry = RetryPolicy(backoffMin: .milliseconds(5)) }
        let again = Task { try await client.request("y", to: "a", retrying).text }
        await eventually { ids.value.count == 2 }
        await relay.cut()
        await #expect { try await once.value } throws: { isError($0, "disconnected") }
        // The handlers were cancelled with the session that had asked; the one asked again runs anew.
        await eventually { ids.value.count == 3 }
        isHolding.change { $0 = false }
        #expect(try await again.value == "done")
        #expect(ids.value[2] == ids.value[0] || ids.value[2] == ids.value[1])
        #expect(await client.run { $0.core.requesting.openCount } == 0)
        try await eventually { try await server.openRequests() == 0 }
        await client.close()
        await server.close()
    }

    @Test func `a retry finds the responder that came meanwhile, and the other one's absence`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let retrying = patient {
            $0.retry = RetryPolicy(attempts: 100_000, backoffMin: .milliseconds(2), backoffMax: .milliseconds(10))
        }
        let asking = Task { try await client.request("x", to: "a", retrying).text }
        let server = try await bus.connect("server")
        let isAsked = Noted(false)
        _ = try await server.reply(to: "a") { _ in
            isAsked.change { $0 = true }
            try await Task.sleep(for: .seconds(60))
            return OutgoingEvent("never")
        }
        await eventually { isAsked.value }
        await server.close()
        let other = try await bus.connect("other")
        _ = try await other.reply(to: "a") { _ in OutgoingEvent("here") }
        #expect(try await asking.value == "here")
        await other.close()
        await client.close()
    }

    @Test func `a circuit that opens fails at once, is shown, and closes with an answer`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect("client")
        let breaking = patient { $0.circuit = CircuitPolicy(failures: 2, openFor: .seconds(3)) }
        let shown = { (client: BusConnection) async throws -> [InspectedValue.Value] in
            try await client.status().filter { $0.name == "circuits_open" }.map(\.value)
        }
        for _ in 0..<2 {
            await #expect { try await client.request("x", to: "a", breaking) } throws: { isError($0, "noResponders") }
        }
        await #expect { try await client.request("x", to: "a", breaking) } throws: { isError($0, "circuitOpen") }
        #expect(try await shown(client) == [.number(1)])
        // Others aren't held up: neither another topic nor who asks for no circuit.
        await #expect { try await client.request("x", to: "b", breaking) } throws: { isError($0, "noResponders") }
        await #expect { try await client.request("x", to: "a") } throws: { isError($0, "noResponders") }
        _ = try await client.reply(to: "a") { _ in OutgoingEvent("here") }
        await eventually { (try? await client.request("x", to: "a", breaking).text) == "here" }
        #expect(try await shown(client) == [.number(0)])
        await client.close()
    }

    @Test func `an open circuit is shown again after a reconnect`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let client = try await bus.connect("client", through: relay.path)
        let breaking = patient { $0.circuit = CircuitPolicy(failures: 1, openFor: .seconds(60)) }
        await #expect { try await client.request("x", to: "a", breaking) } throws: { isError($0, "noResponders") }
        let other = try await bus.connect("other")
        #expect(try await other.status().contains(InspectedValue("circuits_open", 1)))
        await relay.setAccepting(false)
        await relay.cut()
        await eventually { (try? await other.status().contains(InspectedValue("circuits_open", 0))) == true }
        await relay.setAccepting(true)
        await eventually { (try? await other.status().contains(InspectedValue("circuits_open", 1))) == true }
        await other.close()
        await client.close()
    }
}
