import BusTesting
import BusWire
import Testing

@testable import BusClient

/// Somebody between the bus and its subscriber, who changes what passes.
@Suite(.timeLimit(.minutes(1))) struct BadBatchTests {
    private func changing(
        _ bus: TestBus, _ type: FrameType, _ change: @escaping @Sendable (inout [UInt8]) -> Void
    ) throws -> Relay {
        try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, frame in
            guard direction == .toClient, frame[4] == type.rawValue else { return frame }
            var changed = frame
            change(&changed)
            return changed
        }
    }

    @Test func `a batch that doesn't open is told in its place, and the next one arrives`() async throws {
        let bus = try TestBus()
        let count = Noted(0)
        let relay = try changing(bus, .deliver) { frame in
            let number = count.change { count in
                count += 1
                return count
            }
            if number == 2 { frame[frame.count - 1] ^= 1 }
        }
        defer { relay.stop() }
        let reader = try await bus.connect("reader", through: relay.path)
        let writer = try await bus.connect("writer")
        let subscription = try await reader.subscribe("a.b")
        for text in ["one", "two", "three"] { try await writer.publish(text, to: "a.b") }
        let account = try await subscription.account(upTo: 3)
        #expect(account.texts == ["one", "three"])
        #expect(
            account.missed == [
                Missed(count: 1, topic: try Topic("a.b"), firstSequence: 2, lastSequence: 2, reason: .unopenable)
            ])
        await reader.close()
        await writer.close()
    }

    @Test func `a key check that doesn't belong to the granted secret makes every batch unopenable`() async throws {
        let bus = try TestBus()
        let relay = try changing(bus, .announce) { $0[8 + 52] ^= 1 }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        let subscription = try await client.subscribe("a.b")
        try await client.publish("x", to: "a.b")
        #expect(try await subscription.account(upTo: 1).missed.map(\.reason) == [.unopenable])
        await client.close()
    }

    @Test(arguments: [FrameType.grant, .sealOpened])
    func `a grant that was changed ends the connection for good`(type: FrameType) async throws {
        let bus = try TestBus()
        let relay = try changing(bus, type) { $0[$0.count - 1] ^= 1 }
        defer { relay.stop() }
        let notices = Noted([String]())
        let client = try await bus.connect(through: relay.path) { options in
            options.onNotice = { notice in notices.change { $0.append("\(notice)") } }
        }
        let subscription = try await client.subscribe("a.b")
        let publishing = Task { try await client.publish("x", to: "a.b") }
        await #expect { try await subscription.account(upTo: 1) } throws: { error in
            if case .protocolViolation = error as? BusError { true } else { false }
        }
        _ = await publishing.result
        #expect(notices.value.count == 1)
        #expect(notices.value[0].contains("doesn't open"))
        await client.close()
    }

    @Test func `a delivery of a seal nobody announced ends the connection`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, frame in
            direction == .toClient && frame[4] == FrameType.announce.rawValue ? [] : frame
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        let subscription = try await client.subscribe("a.b")
        _ = try? await client.publish("x", to: "a.b")
        await #expect { try await subscription.account(upTo: 1) } throws: { error in
            if case .protocolViolation = error as? BusError { true } else { false }
        }
    }

    @Test(arguments: [1, 7, 600]) func `a stream in random pieces both ways loses nothing`(pieceMax: Int) async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket, pieceMax: pieceMax)
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        let subscription = try await client.subscribe("a.>")
        let expected = (0..<60).map { "\($0) " + String(repeating: "x", count: $0 * $0 % 700) }
        for (number, text) in expected.enumerated() {
            try await client.publishWithoutReceipt(OutgoingEvent(text), to: "a.\(number % 3)")
        }
        await client.drain()
        let account = try await subscription.account(upTo: 60)
        #expect(account.missed.isEmpty)
        for topic in 0..<3 {
            let own = account.texts.filter { Int($0.prefix { $0 != " " }).map { $0 % 3 } == topic }
            #expect(own == expected.enumerated().filter { $0.offset % 3 == topic }.map(\.element))
        }
        await client.close()
    }
}
