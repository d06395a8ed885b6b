import BusTesting
import BusWire
import Testing

@testable import BusClient

/// A daemon that says what none should, and one that shares a batch out as none has reason to.
@Suite(.timeLimit(.minutes(1))) struct StrangeDaemonTests {
    /// A relay that changes frames on their way to the client.
    private func rewriting(
        _ bus: TestBus, _ change: @escaping @Sendable (Frame) -> [Frame]
    ) throws -> Relay {
        try Relay(bus.directory.path + "/relay", to: bus.socket) { direction, bytes in
            let decoder = FrameDecoder(from: .server, frameLengthMax: 4 << 20)
            guard direction == .toClient, case .frame(let frame, _) = try? decoder.next(in: SharedBytes(bytes)) else {
                return bytes
            }
            return change(frame).flatMap(\.encoded)
        }
    }

    /// Publishes ten events at once to a subscription whose deliveries select `bytes`.
    private func select(_ bytes: [UInt8]) async throws -> Result<[Event], any Error> {
        let bus = try TestBus()
        let relay = try rewriting(bus) { frame in
            guard case .deliver(var deliver) = frame else { return [frame] }
            deliver.selection = SharedBytes(bytes)
            return [.deliver(deliver)]
        }
        defer { relay.stop() }
        let reader = try await bus.connect("reader", through: relay.path)
        let writer = try await bus.connect("writer")
        let subscription = try await reader.subscribe("a")
        try await writer.publish((0..<10).map { OutgoingEvent("\($0)") }, to: "a")
        var arrivals = subscription.batches.makeAsyncIterator()
        let result: Result<[Event], any Error>
        do {
            guard case .batch(let batch) = try await arrivals.next() else { throw BusError.closed }
            #expect(batch.count == Array(batch).count)
            result = .success(Array(batch))
        } catch {
            result = .failure(error)
        }
        await reader.close()
        await writer.close()
        return result
    }

    @Test func `only the selected events of a batch are meant, each in its own place`() async throws {
        let events = try await select([0b0010_1000, 0b10]).get()
        #expect(events.map(\.text) == ["3", "5", "9"])
        #expect(events.map(\.sequence) == [4, 6, 10])
        #expect(events.map(\.index) == [3, 5, 9])
        let batch = events[0].batch
        #expect(batch.firstSequence == 4 && batch.lastSequence == 10)
        let first = try #require(events.first?.id)
        #expect(events.map(\.id) == [first, first.advanced(by: 2), first.advanced(by: 6)])
    }

    @Test(arguments: [[0, 0], [0, 0b100], [1, 1, 1], [0, 0, 1]] as [[UInt8]])
    func `a selection of nothing, or of events that aren't there, ends the connection`(bytes: [UInt8]) async throws {
        let result = try await select(bytes)
        #expect { try result.get() } throws: { isError($0, "protocolViolation") }
    }

    private static let unasked: [Frame] = [
        .subscribed(subscription: 9),
        .unsubscribed(Unsubscribed(subscription: 9, reason: .unsubscribed, deliveredCount: 0, missedCount: 0)),
        .caughtUp(CaughtUp(subscription: 9, count: 0)),
        .gap(Gap(subscription: 9, reason: .queueFull, count: 1, firstSequence: 1, lastSequence: 1, topic: [])),
        .done(inReplyTo: FrameType.will.rawValue, request: 1),
        .done(inReplyTo: FrameType.publish.rawValue, request: 1),
        .inspected(Inspected(request: 77, rows: [])),
        .error(ErrorFrame(reason: .denied, inReplyTo: .publish, request: 1, message: "it never came")),
        .requestCancelled(RequestCancelled(correlation: .zero, replyTopic: Array("a..b".utf8))),
    ]

    @Test(arguments: unasked) func `word of something that was never asked ends the connection`(frame: Frame)
        async throws
    {
        let bus = try TestBus()
        let relay = try rewriting(bus) { passing in
            if case .inspected = passing { [frame] } else { [passing] }
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        await #expect { try await client.status() } throws: { isError($0, "protocolViolation") }
        await client.close()
    }

    @Test func `word that may cross on its way does no harm`() async throws {
        let bus = try TestBus()
        let crossing: [Frame] = [
            .sealLimits(SealLimitsChanged(seal: 1 << 50, batchLengthMax: 1, batchEventCountMax: 1)),
            .unanswered(Unanswered(correlation: .random(), reason: .responderGone)),
            .requestCancelled(RequestCancelled(correlation: .random(), replyTopic: Array("$reply.7".utf8))),
            .error(ErrorFrame(reason: .unknownSeal, inReplyTo: .closeSeal, request: 7, message: "closed before")),
            .error(ErrorFrame(reason: .unknownSubscription, inReplyTo: .credit, request: 7, message: "ended before")),
        ]
        let relay = try rewriting(bus) { passing in
            if case .inspected = passing { crossing + [passing] } else { [passing] }
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        #expect(try await client.status().isEmpty == false)
        await client.close()
    }

    @Test func `pages that don't go on end the connection`() async throws {
        let bus = try TestBus()
        let relay = try rewriting(bus) { frame in
            guard case .inspected(var inspected) = frame else { return [frame] }
            inspected.after = 1
            return [.inspected(inspected)]
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        await #expect { try await client.inspect(.status) } throws: { isError($0, "protocolViolation") }
        await client.close()
    }

    @Test func `bounds below what gathers close the batch, and none are too narrow for one event`() async throws {
        let bus = try TestBus()
        let seal = Noted(UInt64(0))
        let relay = try rewriting(bus) { frame in
            switch frame {
            case .sealOpened(let opened):
                seal.change { $0 = opened.seal }
                return [frame]
            case .inspected:
                let limits = SealLimitsChanged(seal: seal.value, batchLengthMax: 0, batchEventCountMax: 0)
                return [.sealLimits(limits), frame]
            default: return [frame]
            }
        }
        defer { relay.stop() }
        let client = try await bus.connect(through: relay.path)
        let subscription = try await client.subscribe("a")
        try await client.publish("first", to: "a")
        _ = try await client.status()
        try await client.run { client in
            for number in 0..<20 { try await client.publishWithoutReceipt(OutgoingEvent("\(number)"), to: "a") }
        }
        var sizes: [Int] = []
        var arrivals = subscription.batches.makeAsyncIterator()
        while sizes.count < 21, case .batch(let batch) = try await arrivals.next() { sizes.append(batch.count) }
        #expect(sizes == [Int](repeating: 1, count: 21))
        await client.close()
    }

    @Test func `receipts that come late or not at all before the answer don't hold it up`() async throws {
        let bus = try TestBus()
        let held = Noted([Frame]())
        let isHolding = Noted(false)
        let relay = try rewriting(bus) { frame in
            guard case .receipts = frame else { return [frame] }
            return held.change { held in
                held.append(frame)
                guard !isHolding.value else { return [] }
                defer { held = [] }
                return held
            }
        }
        defer { relay.stop() }
        let client = try await bus.connect("client", through: relay.path)
        let server = try await bus.connect("server")
        for name in ["a", "b"] {
            _ = try await server.reply(to: "who") { request in
                guard name == "b" else { return OutgoingEvent(name) }
                try await Task.sleep(for: .seconds(60))
                return OutgoingEvent(name)
            }
        }
        _ = try await client.request("?", to: "who", patient { _ in })
        isHolding.change { $0 = true }
        let reply = try await client.request("?", to: "who", patient { _ in })
        #expect(reply.text == "a")
        // It isn't known yet that another one has it.
        #expect(try await server.openRequests() == 1)
        await #expect {
            try await client.request("?", to: "nobody", patient { $0.timeout = .seconds(5) })
        } throws: { isError($0, "noResponders") }
        // When the receipt comes, the other one is told.
        isHolding.change { $0 = false }
        try await client.publish("x", to: "y")
        try await eventually { try await server.openRequests() == 0 }
        await client.close()
        await server.close()
    }

    @Test func `a request behind a stall is made once, and cancelled when it is taken`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect("client")
        let slow = try await bus.connect("slow")
        let server = try await bus.connect("server")
        let calls = Noted(0)
        _ = try await server.reply(to: "a") { _ in
            calls.change { $0 += 1 }
            do { try await Task.sleep(for: .seconds(60)) } catch { calls.change { $0 += 100 } }
            return OutgoingEvent("late")
        }
        var stalling = SubscribeOptions()
        stalling.overflow = .stall
        stalling.stallTime = .seconds(60)
        (stalling.creditEvents, stalling.queueEventCount) = (1, 1)
        let stalled = try await slow.subscribe("full", stalling)
        for number in 0..<2 { try await client.publish("\(number)", to: "full") }
        let filling = Task { try await client.publish("2", to: "full") }
        try await eventually { try await server.total("publishes_stalled", of: .status) > 0 }
        let retrying = patient {
            $0.timeout = .milliseconds(50)
            $0.retry = RetryPolicy(attempts: 3, backoffMin: .milliseconds(1))
        }
        await #expect { try await client.request("x", to: "a", retrying) } throws: { isError($0, "timedOut") }
        #expect(calls.value == 0)
        #expect(try await stalled.account(upTo: 3).texts == ["0", "1", "2"])
        _ = try await filling.value
        await eventually { calls.value == 101 }
        try await eventually { try await server.openRequests() == 0 }
        for connection in [client, slow, server] { await connection.close() }
    }
}
