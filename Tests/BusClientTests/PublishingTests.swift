import BusTesting
import BusTransport
import BusWire
import Testing

@testable import BusClient

/// What a relay saw of a publisher, and receipts it holds back.
private struct Watched {
    var eventCounts: [UInt32] = []
    var isHolding = false
    var held: [UInt8] = []
}

@Suite(.timeLimit(.minutes(1))) struct PublishingTests {
    private func watching(_ bus: TestBus, _ watched: Noted<Watched>) throws -> Relay {
        try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, frame in
            watched.change { watched in
                let type = FrameType(rawValue: frame[4])
                if direction == .toServer {
                    if type == .publish {
                        watched.eventCounts.append(
                            frame.withUnsafeBytes { $0.loadUnaligned(fromByteOffset: 20, as: UInt32.self) })
                    }
                    return frame
                }
                if type == .receipts, watched.isHolding {
                    watched.held += frame
                    return []
                }
                guard !watched.isHolding, !watched.held.isEmpty else { return frame }
                defer { watched.held = [] }
                return watched.held + frame
            }
        }
    }

    @Test func `on a quiet bus an event leaves at once, on a busy one events gather until the daemon has gone on`()
        async throws
    {
        let bus = try TestBus()
        let watched = Noted(Watched())
        let relay = try watching(bus, watched)
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        for _ in 0..<3 { try await client.publish("quiet", to: "a.b") }
        #expect(watched.value.eventCounts == [1, 1, 1])

        watched.change { $0.isHolding = true }
        let eager = Publishing.eagerCount
        for number in 1...eager {
            try await client.publishWithoutReceipt(OutgoingEvent("eager"), to: "a.b")
            await eventually { watched.value.eventCounts.count == 3 + number }
        }
        for topic in ["a.b", "a.c"] {
            for _ in 0..<5 { try await client.publishWithoutReceipt(OutgoingEvent("busy"), to: topic) }
        }
        // A round trip: had they been sent, they would have passed.
        _ = try await client.status()
        let sent = [UInt32](repeating: 1, count: 3 + eager)
        #expect(watched.value.eventCounts == sent)
        watched.change { $0.isHolding = false }
        _ = try await client.status()
        await eventually { watched.value.eventCounts == sent + [5, 5] }
        await client.drain()
        await client.close()
    }

    @Test func `a full batch doesn't wait for the daemon`() async throws {
        let bus = try TestBus()
        let watched = Noted(Watched(isHolding: true))
        let relay = try watching(bus, watched)
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        for _ in 0..<10_000 { try await client.publishWithoutReceipt(OutgoingEvent("x"), to: "a.b") }
        await eventually { watched.value.eventCounts.reduce(0, +) >= 8_000 }
        #expect(watched.value.eventCounts.allSatisfy { $0 <= 4096 })
        watched.change { $0.isHolding = false }
        _ = try await client.status()
        await client.drain()
        #expect(watched.value.eventCounts.reduce(0, +) == 10_000)
        await client.close()
    }

    @Test func `batches of several topics leave in one sendmsg`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let topics = (0..<8).map { "topic.\($0)" }
        for topic in topics { try await client.publish("open the seal", to: topic) }
        let calls = try await client.run { client in
            let before = client.core.reactor.counters.sendCalls
            for topic in topics { try await client.publishWithoutReceipt(OutgoingEvent("x"), to: topic) }
            await client.drain()
            return client.core.reactor.counters.sendCalls - before
        }
        #expect(calls == 1)
        await client.close()
    }

    @Test func `receipts give positions and how many subscriptions an event was for`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let alone = try await client.publish("x", to: "a.b")
        #expect(alone.firstSequence == 1 && alone.liveMatches == 0)
        let all = try await client.subscribe(">")
        let exact = try await client.subscribe("a.b")
        let both = try await client.publish([OutgoingEvent("y"), OutgoingEvent("z")], to: "a.b")
        #expect(both.firstSequence == 2 && both.lastSequence == 3 && both.liveMatches == 2)
        let other = try await client.publish("x", to: "a.c")
        #expect(other.firstSequence == 1 && other.liveMatches == 1)
        await all.cancel()
        await exact.cancel()
        await client.close()
    }

    @Test func `concurrent publishes that share a batch get receipts of their own`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let sequences = try await withThrowingTaskGroup(of: (UInt64, BusUUID).self) { group in
            for index in 0..<500 {
                group.addTask {
                    let receipt = try await client.publish("\(index)", to: "a.b")
                    return (receipt.firstSequence, receipt.id)
                }
            }
            var all: [(UInt64, BusUUID)] = []
            for try await one in group { all.append(one) }
            return all
        }
        #expect(sequences.map(\.0).sorted() == Array(1...500))
        #expect(Set(sequences.map(\.1)).count == 500)
        #expect(await client.run { $0.core.publishing.heldLength } == 0)
        await client.close()
    }

    @Test(arguments: [(4096, false), (341, true), (200, true)])
    func `events published together arrive as one batch`(count: Int, withIDs: Bool) async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let subscription = try await client.subscribe("a.b")
        try await client.publishWithoutReceipt(OutgoingEvent("before"), to: "a.b")
        var events = (0..<count).map { OutgoingEvent("\($0)") }
        if withIDs {
            for index in events.indices {
                events[index].id = .random()
                events[index].correlation = .random()
                events[index].causation = .random()
            }
        }
        let receipt = try await client.publish(events, to: "a.b")
        #expect(receipt.lastSequence - receipt.firstSequence + 1 == UInt64(count))
        var arrivals = subscription.batches.makeAsyncIterator()
        var sizes: [Int] = []
        while sizes.reduce(0, +) < count + 1, case .batch(let batch) = try await arrivals.next() {
            sizes.append(batch.count)
            if batch.count == count { #expect(batch.map(\.text) == (0..<count).map { "\($0)" }) }
        }
        #expect(sizes == [1, count])
        await client.close()
    }

    @Test func `what doesn't fit into one batch isn't published at all`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let tooMany = (0..<4097).map { OutgoingEvent("\($0)") }
        let tooLong = (0..<30).map { _ in OutgoingEvent([UInt8](repeating: 0, count: 10_000)) }
        var tooWide = (0..<342).map { OutgoingEvent("\($0)") }
        (tooWide[339].id, tooWide[340].correlation, tooWide[341].causation) = (.random(), .random(), .random())
        for events in [tooMany, tooLong, tooWide, []] {
            await #expect { try await client.publish(events, to: "a.b") } throws: { error in
                if case .tooLarge = error as? BusError { true } else { false }
            }
        }
        #expect(try await client.publish("x", to: "a.b").firstSequence == 1)
        await client.close()
    }

    @Test func `the longest payload passes, a longer one is refused by name`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let subscription = try await client.subscribe("a.b")
        try await client.publish(OutgoingEvent([UInt8](repeating: 1, count: 1 << 20)), to: "a.b")
        await #expect {
            try await client.publish(OutgoingEvent([UInt8](repeating: 1, count: (1 << 20) + 1)), to: "a.b")
        } throws: { "\($0)".contains("1048577 bytes, at most 1048576") }
        var arrivals = subscription.makeAsyncIterator()
        guard case .event(let event) = try await arrivals.next() else {
            Issue.record("no event came")
            return
        }
        #expect(event.payload.count == 1 << 20)
        await client.close()
    }

    @Test(arguments: [
        ("", NameFault.empty), ("a..b", .emptyToken), (".a", .edgeDot), ("a.*", .forbidden("a *")),
        ("$bus.x", .reserved), ("a b", .forbidden("U+20")),
    ])
    func `a topic against the rules is refused by name`(name: String, fault: NameFault) async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        await #expect { try await client.publish("x", to: name) } throws: { error in
            if case .badName(name, fault) = error as? BusError { true } else { false }
        }
        #expect(throws: BusError.self) { try client.core.check(payloadLength: 0, [EventHeader("", "nameless")]) }
        await client.close()
    }

    @Test func `headers over the limits are refused`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let many = (0..<65).map { EventHeader("h\($0)", "v") }
        let long = [EventHeader("h", String(repeating: "v", count: 4096))]
        for headers in [many, long] {
            await #expect { try await client.publish(OutgoingEvent("x", headers: headers), to: "a.b") } throws: {
                error in
                if case .tooLarge = error as? BusError { true } else { false }
            }
        }
        try await client.publish(OutgoingEvent("x", headers: Array(many.prefix(64))), to: "a.b")
        await client.close()
    }
}
