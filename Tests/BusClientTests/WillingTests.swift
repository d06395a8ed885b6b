import BusTesting
import BusTransport
import BusWire
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct WillingTests {
    /// Ends a connection as a process that dies does.
    private func die(_ client: BusConnection) async {
        await client.run { client in
            client.core.connection?.close(flushing: false)
            client.core.end(.closed)
        }
    }

    @Test func `a will is published when the session breaks, and not when it says goodbye`() async throws {
        let bus = try TestBus()
        let watcher = try await bus.connect("watcher")
        let subscription = try await watcher.subscribe("status.>")
        for (name, isDying) in [("a", false), ("b", true)] {
            let client = try await bus.connect(name) {
                $0.will = LastWill(OutgoingEvent("\(name) is gone"), on: "status.\(name)")
            }
            try await client.publish("\(name) is here", to: "status.\(name)")
            if isDying { await die(client) } else { await client.close() }
        }
        #expect(try await subscription.account(upTo: 3).texts == ["a is here", "b is here", "b is gone"])
        await watcher.close()
    }

    @Test func `a new will replaces the old one, and it can be taken back`() async throws {
        let bus = try TestBus()
        let watcher = try await bus.connect("watcher")
        let subscription = try await watcher.subscribe(">")
        let changed = try await bus.connect { $0.will = LastWill(OutgoingEvent("first"), on: "a") }
        try await changed.setWill(OutgoingEvent("second"), on: "b")
        await die(changed)
        let cleared = try await bus.connect { $0.will = LastWill(OutgoingEvent("third"), on: "c") }
        try await cleared.clearWill()
        try await cleared.clearWill()
        await die(cleared)
        await eventually { (try? await watcher.status().contains(InspectedValue("sessions", 1))) == true }
        try await watcher.publish("end", to: "z")
        #expect(try await subscription.account(upTo: 2).texts == ["second", "end"])
        await watcher.close()
    }

    @Test func `a will can become its topic's last value, or clear it`() async throws {
        let bus = try TestBus()
        let watcher = try await bus.connect("watcher")
        let subscription = try await watcher.subscribe("status.*")
        for text in ["offline", ""] {
            var event = OutgoingEvent(text)
            event.retains = true
            let client = try await bus.connect { $0.will = LastWill(event, on: "status.a") }
            await die(client)
            _ = try await subscription.account(upTo: 1)
            let topic = try await watcher.inspect(.topics, key: "status.a")[0]
            #expect(topic.contains(InspectedValue("retained", text.isEmpty ? 0 : 1)))
        }
        await watcher.close()
    }

    @Test func `after a reconnect it is left again, with the changes that were under way`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let watcher = try await bus.connect("watcher")
        let subscription = try await watcher.subscribe("status")
        let client = try await bus.connect(through: relay.path) {
            $0.will = LastWill(OutgoingEvent("first"), on: "status")
        }
        await relay.cut()
        #expect(try await subscription.account(upTo: 1).texts == ["first"])
        // Back, and it has one again.
        await eventually {
            (try? await watcher.inspect(.sessions).contains { $0.contains(InspectedValue("has_will", 1)) }) == true
        }
        await relay.setAccepting(false)
        await relay.cut()
        #expect(try await subscription.account(upTo: 1).texts == ["first"])
        let changing = Task { try await client.setWill(OutgoingEvent("second"), on: "status") }
        await eventually { await client.run { $0.core.willing.pendingCount } == 1 }
        await relay.setAccepting(true)
        try await changing.value
        await relay.setAccepting(false)
        await relay.cut()
        #expect(try await subscription.account(upTo: 1).texts == ["second"])
        await client.close()
        await watcher.close()
    }

    @Test func `a will shares its topic's seal with what is published there`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let subscription = try await client.subscribe("a")
        for number in 0..<20 {
            try await client.publishWithoutReceipt(OutgoingEvent("\(number)"), to: "a")
            try await client.setWill(OutgoingEvent("will \(number)"), on: "a")
        }
        #expect(try await subscription.account(upTo: 20).texts == (0..<20).map { "\($0)" })
        await client.close()
    }

    private static let refusals: [(Reason, Int)] = [
        (.staleEpoch, 3), (.unknownSeal, 1), (.counterOutOfOrder, 2), (.staleEpoch, 4), (.denied, 1),
    ]

    @Test(arguments: refusals)
    func `a will refused for its seal is set again under a new one, three times`(reason: Reason, count: Int)
        async throws
    {
        let bus = try TestBus()
        let refusals = Noted(0)
        let seals = Noted(Set<UInt64>())
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, bytes in
            let decoder = FrameDecoder(from: direction == .toClient ? .server : .client, frameLengthMax: 4 << 20)
            guard case .frame(let frame, _) = try? decoder.next(in: SharedBytes(bytes)) else { return bytes }
            if case .will(let will) = frame, let batch = try? SealedBatch(will.batch) {
                _ = seals.change { $0.insert(batch.header.seal) }
            }
            guard case .done(_, let request) = frame, refusals.value < count else { return bytes }
            refusals.change { $0 += 1 }
            return Frame.error(ErrorFrame(reason: reason, inReplyTo: .will, request: request, message: "no")).encoded
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        if reason != .denied, count <= 3 {
            try await client.setWill(OutgoingEvent("gone"), on: "a")
        } else {
            await #expect { try await client.setWill(OutgoingEvent("gone"), on: "a") } throws: { error in
                if case .refused(reason, _) = error as? BusError { true } else { false }
            }
        }
        #expect(refusals.value == count)
        #expect(seals.value.count == (reason == .denied ? 1 : min(count, 3) + 1))
        // What follows isn't in its way.
        try await client.setWill(OutgoingEvent("last"), on: "a")
        let watcher = try await bus.connect("watcher")
        let subscription = try await watcher.subscribe("a")
        await die(client)
        #expect(try await subscription.account(upTo: 1).texts == ["last"])
        await watcher.close()
    }

    @Test func `a will against the rules is refused, and connecting with one fails`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        await #expect { try await client.setWill(OutgoingEvent("x"), on: "$bus.x") } throws: { error in
            if case .badName(_, .reserved) = error as? BusError { true } else { false }
        }
        let long = OutgoingEvent([UInt8](repeating: 0, count: 64 << 10))
        await #expect { try await client.setWill(long, on: "a") } throws: { error in
            if case .tooLarge = error as? BusError { true } else { false }
        }
        await #expect { try await bus.connect { $0.will = LastWill(long, on: "a") } } throws: { error in
            if case .tooLarge = error as? BusError { true } else { false }
        }
        try await client.setWill(OutgoingEvent([UInt8](repeating: 0, count: 65_000)), on: "a")
        await client.close()
        await #expect { try await client.setWill(OutgoingEvent("x"), on: "a") } throws: { error in
            if case .closed = error as? BusError { true } else { false }
        }
    }

    @Test func `cancelling the wait for a will doesn't take it back`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let setting = (0..<20).map { number in
            Task { try await client.setWill(OutgoingEvent("\(number)"), on: "a") }
        }
        for task in setting { task.cancel() }
        for task in setting { _ = await task.result }
        try await client.setWill(OutgoingEvent("last"), on: "a")
        let watcher = try await bus.connect("watcher")
        let subscription = try await watcher.subscribe("a")
        await die(client)
        #expect(try await subscription.account(upTo: 1).texts == ["last"])
        await watcher.close()
    }
}
