import BusTesting
import BusTransport
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct ClosingTests {
    @Test func `closing while events are published tells every publisher`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let work = (0..<50).map { _ in
            Task {
                do {
                    while true { try await client.publish("x", to: "a.b") }
                } catch BusError.closed {
                    return true
                }
            }
        }
        await eventually { (try? await client.publish("y", to: "a.b").firstSequence) ?? 0 > 100 }
        async let first: Void = client.close()
        async let second: Void = client.close()
        _ = await (first, second)
        for task in work { #expect(try await task.value) }
        await #expect { try await client.status() } throws: {
            if case .closed = $0 as? BusError { true } else { false }
        }
        await client.drain()
        await client.close()
    }

    @Test func `cancelled publishes, waits for room and drains end`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect { $0.bufferLengthMax = 100 }
        try await client.publish("x", to: "a.b")
        bus.kill()
        let filling = Task { try await client.publish(String(repeating: "x", count: 200), to: "a.b") }
        await eventually { await client.run { $0.core.publishing.heldLength } > 100 }
        let waiting = (0..<20).map { _ in Task { try await client.publish("y", to: "a.b") } }
        let draining = Task { await client.drain() }
        for task in waiting + [filling] { task.cancel() }
        draining.cancel()
        for task in waiting + [filling] {
            await #expect { try await task.value } throws: {
                if case .cancelled = $0 as? BusError { true } else { false }
            }
        }
        await draining.value
        await client.close()
    }

    @Test func `a connection that is forgotten instead of closed leaves the bus`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        weak var core: ClientCore?
        do {
            let forgotten = try await bus.connect()
            core = forgotten.core
            try await forgotten.publish("x", to: "a.b")
        }
        await eventually { core == nil }
        await eventually { (try? await client.status().contains(InspectedValue("sessions", 1))) == true }
        await client.close()
    }

    @Test func `a connection on a reactor that was stopped ends`() async throws {
        let bus = try TestBus()
        let reactor = try Reactor(name: "shared")
        reactor.start()
        let client = try await Task(executorPreference: reactor) { try await bus.connect { $0.reactor = reactor } }
            .value
        reactor.stop()
        await #expect(throws: BusError.self) { try await client.publish("x", to: "a.b") }
        await client.close()
    }

    @Test func `with closes behind its body, whatever that does`() async throws {
        let bus = try TestBus()
        struct Failure: Error {}
        _ = try await BusConnection.with(bus.options()) { client in
            try await client.publishWithoutReceipt(OutgoingEvent("x"), to: "a.b")
        }
        await #expect(throws: Failure.self) {
            try await BusConnection.with(bus.options()) { _ -> Void in throw Failure() }
        }
        let client = try await bus.connect()
        await eventually { (try? await client.status().contains(InspectedValue("sessions", 1))) == true }
        #expect(try await client.inspect(.topics, key: "a.b")[0].contains(InspectedValue("events", 1)))
        await client.close()
    }
}
