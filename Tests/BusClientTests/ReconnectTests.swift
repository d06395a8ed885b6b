import BusTesting
import BusTransport
import BusWire
import Glibc
import SystemPackage
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct ReconnectTests {
    @Test func `a bus that was killed and started again is survived, and all is told`() async throws {
        let bus = try TestBus()
        let notices = Noted([String]())
        let client = try await bus.connect { options in
            options.onNotice = { notice in notices.change { $0.append("\(notice)") } }
        }
        let subscription = try await client.subscribe("a.>")
        try await client.publish("before", to: "a.b")
        #expect(try await subscription.account(upTo: 1).texts == ["before"])
        bus.kill()
        await eventually { notices.value.count == 1 }
        let publishing = Task { try await client.publish("meanwhile", to: "a.b") }
        await eventually { await client.run { $0.core.publishing.heldLength } > 0 }
        try bus.start()
        let receipt = try await publishing.value
        var arrivals = subscription.makeAsyncIterator()
        guard case .missed(let missed) = try await arrivals.next(), case .event(let event) = try await arrivals.next()
        else {
            Issue.record("expected word of the restart, then the event")
            return
        }
        #expect(missed.count == nil && missed.reason == .busRestarted)
        #expect(event.text == "meanwhile" && event.id == receipt.id && event.sequence == 1)
        #expect(notices.value.count == 2)
        #expect(notices.value[0].contains("connection lost: the daemon is gone"))
        #expect(notices.value[1].contains("the bus was restarted"))
        await client.close()
    }

    @Test func `what nobody waits for is not lost in silence`() async throws {
        let bus = try TestBus()
        let refused = Noted([String]())
        let client = try await bus.connect { options in
            options.onNotice = { notice in
                guard case .refused(let topic, let events, _) = notice else { return }
                refused.change { $0 += [String](repeating: "\(topic)", count: events) }
            }
        }
        bus.kill()
        for number in 0..<3 {
            try await client.publishWithoutReceipt(OutgoingEvent("\(number)"), to: "a.b")
        }
        await client.close()
        #expect(refused.value == ["a.b", "a.b", "a.b"])
    }

    @Test func `events without a receipt are sent again with the same ids, and come once`() async throws {
        let bus = try TestBus()
        let isLosing = Noted(false)
        // Receipts get lost, so that the client must send again what the daemon had accepted.
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, frame in
            direction == .toClient && isLosing.value && frame[4] == FrameType.receipts.rawValue ? [] : frame
        }
        defer { relay.stop() }
        let reader = try await bus.connect("reader")
        let subscription = try await reader.subscribe("a.b")
        let writer = try await bus.connect("writer", through: relay.path)
        try await writer.publish("first", to: "a.b")
        isLosing.change { $0 = true }
        let work = (0..<20).map { number in
            Task { try await writer.publish("\(number)", to: "a.b") }
        }
        await eventually { (try? await reader.status().contains(InspectedValue("events_published", 2))) != nil }
        isLosing.change { $0 = false }
        await relay.cut()
        var receipts: [PublishReceipt] = []
        for task in work { receipts.append(try await task.value) }
        #expect(receipts.contains { $0.isDuplicate })
        try await writer.publish("last", to: "a.b")
        var taking = Taking(subscription)
        let events = try await taking.events(22)
        #expect(events.first?.text == "first" && events.last?.text == "last")
        // Every event comes once, under its id, and where its receipt says that it is.
        let sequences = Dictionary(receipts.map { ($0.id, $0.firstSequence) }) { first, _ in first }
        let came = Dictionary(events.dropFirst().dropLast().map { ($0.id, $0.sequence) }) { first, _ in first }
        #expect(sequences.count == 20 && sequences == came)
        await reader.close()
        await writer.close()
    }

    @Test func `a connection lost to the same daemon tells exactly what was missed`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let notices = Noted([String]())
        let reader = try await bus.connect("reader", through: relay.path) { options in
            options.onNotice = { notice in notices.change { $0.append("\(notice)") } }
        }
        let writer = try await bus.connect("writer")
        let subscription = try await reader.subscribe("a.>")
        for _ in 0..<3 { try await writer.publish("early", to: "a.b") }
        #expect(try await subscription.account(upTo: 3).texts.count == 3)
        await relay.setAccepting(false)
        await relay.cut()
        await eventually { notices.value.count == 1 }
        // The daemon knows of the loss when the session is gone.
        await eventually { (try? await writer.status().contains(InspectedValue("subscriptions", 0))) == true }
        for _ in 0..<7 { try await writer.publish("lost", to: "a.b") }
        await relay.setAccepting(true)
        await eventually { (try? await writer.status().contains(InspectedValue("subscriptions", 1))) == true }
        try await writer.publish("late", to: "a.b")
        let account = try await subscription.account(upTo: 8)
        #expect(account.texts == ["late"])
        #expect(account.missed.map(\.count) == [nil, 7])
        #expect(account.missed.allSatisfy { $0.reason == .reconnected })
        #expect(account.missed.last?.firstSequence == 4 && account.missed.last?.lastSequence == 10)
        #expect(notices.value.last?.contains("the same daemon") == true)
        await reader.close()
        await writer.close()
    }

    @Test func `who doesn't read holds one window, however often the connection is lost`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let reader = try await bus.connect("reader", through: relay.path)
        let writer = try await bus.connect("writer")
        var options = SubscribeOptions()
        options.creditEvents = 10
        options.queueEventCount = 5
        let subscription = try await reader.subscribe("a.b", options)
        for turn in 0..<5 {
            for _ in 0..<40 { try await writer.publish("x", to: "a.b") }
            let sessions = InspectedValue("sessions_opened", UInt64(turn + 3))
            await relay.cut()
            await eventually { (try? await writer.status().contains(sessions)) == true }
            await eventually { (try? await writer.status().contains(InspectedValue("subscriptions", 1))) == true }
        }
        #expect(try await writer.status().contains(InspectedValue("events_delivered", 10)))
        // What was held is taken, then the window opens again.
        var arrivals = subscription.makeAsyncIterator()
        var count = 0
        while count < 10, let arrival = try await arrivals.next() {
            if case .event = arrival { count += 1 }
        }
        try await writer.publish("y", to: "a.b")
        var last = ""
        while last != "y", let arrival = try await arrivals.next() {
            if case .event(let event) = arrival { last = event.text }
        }
        #expect(last == "y")
        await reader.close()
        await writer.close()
    }

    @Test func `without reconnecting a lost connection is the end, and every wait is told`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect { $0.reconnects = false }
        let subscription = try await client.subscribe("a.b")
        let reading = Task { try await subscription.account(upTo: 1) }
        bus.kill()
        for work in [{ _ = try await reading.value }, { _ = try await client.publish("x", to: "a.b") }]
            as [@Sendable () async throws -> Void]
        {
            await #expect { try await work() } throws: { error in
                if case .disconnected = error as? BusError { true } else { false }
            }
        }
        await client.drain()
        await client.close()
    }

    @Test func `an inspection under way when the connection is lost fails`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, frame in
            direction == .toServer && frame[4] == FrameType.inspect.rawValue ? [] : frame
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        let asking = Task { try await client.status() }
        let cancelled = Task { try await client.status() }
        cancelled.cancel()
        await #expect { try await cancelled.value } throws: {
            if case .cancelled = $0 as? BusError { true } else { false }
        }
        await relay.cut()
        await #expect { try await asking.value } throws: {
            if case .disconnected = $0 as? BusError { true } else { false }
        }
        await client.close()
    }

    @Test func `waits between attempts grow to their bound`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect { options in
            options.backoffMin = .milliseconds(1)
            options.backoffMax = .milliseconds(4)
        }
        bus.kill()
        // Twenty attempts would take days if waits doubled without a bound.
        await eventually { await client.run { $0.core.attempts } >= 20 }
        try bus.start()
        try await client.publish("x", to: "a")
        #expect(await client.run { $0.core.attempts } == 0)
        await client.close()
    }

    @Test func `a refusal for good isn't tried again`() async throws {
        let bus = try TestBus()
        let isRefusing = Noted(false)
        let hellos = Noted(0)
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, frame in
            guard direction == .toClient, isRefusing.value, frame[4] == FrameType.welcome.rawValue else {
                if direction == .toServer, frame[4] == FrameType.hello.rawValue { hellos.change { $0 += 1 } }
                return frame
            }
            return Frame.error(
                ErrorFrame(reason: .denied, inReplyTo: .hello, isFatal: true, message: "not you")
            ).encoded
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        isRefusing.change { $0 = true }
        await relay.cut()
        await eventually { await client.run { $0.core.failure } != nil }
        await #expect { try await client.publish("x", to: "a") } throws: { error in
            if case .refused(.denied, "not you") = error as? BusError { true } else { false }
        }
        await #expect { try await bus.connect(through: relay.path) } throws: { error in
            if case .refused(.denied, "not you") = error as? BusError { true } else { false }
        }
        #expect(hellos.value == 3)
        await client.close()
    }

    /// Whoever floods the daemon with connections fills its backlog, and must not keep others away.
    @Test func `a first connection waits while too many others wait to be accepted`() async throws {
        let bus = try TestBus()
        let path = bus.directory.path + "/full"
        let full = try FullBacklog(path)
        let connecting = Task { try await bus.connect(through: path) }
        // The daemon takes the place of the one that accepts nobody.
        #expect(rename(path, path + ".away") == 0)
        #expect(link(bus.socket, path) == 0)
        let client = try await connecting.value
        try await client.publish("x", to: "a.b")
        await client.close()
        withExtendedLifetime(full) {}
    }
}
