import BusTesting
import BusWire
import Testing

@testable import BusClient

/// What a subscription received and was told it missed.
struct Account: Sendable {
    var texts: [String] = []
    var missed: [Missed] = []
    var caughtUp: [UInt64] = []

    var missedCount: UInt64 { missed.reduce(0) { $0 + ($1.count ?? 0) } }

    mutating func take(_ arrival: Arrival) {
        switch arrival {
        case .event(let event): texts.append(event.text)
        case .missed(let missed): self.missed.append(missed)
        case .caughtUp(let count): caughtUp.append(count)
        }
    }
}

extension Subscription {
    /// Reads until received and missed are `count` in all.
    func account(upTo count: Int) async throws -> Account {
        var account = Account()
        var arrivals = makeAsyncIterator()
        while account.texts.count + Int(account.missedCount) < count, let arrival = try await arrivals.next() {
            account.take(arrival)
        }
        return account
    }
}

@Suite(.timeLimit(.minutes(1))) struct SubscriptionTests {
    private let numbers = (0..<1000).map { "\($0)" }

    private func publish(_ texts: [String], on client: BusConnection, to topic: String = "a.b") async throws {
        try await client.run { client in
            for text in texts { try await client.publishWithoutReceipt(OutgoingEvent(text), to: topic) }
        }
        await client.drain()
    }

    @Test func `events, batches and handlers get the same, in order`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let byEvent = try await client.subscribe("a.*")
        let byBatch = try await client.subscribe(">")
        let handled = Noted([String]())
        let handler = try await client.subscribe("a.b") { arrival in
            guard case .batch(let batch) = arrival else { return }
            handled.change { $0 += batch.map(\.text) }
        }
        try await publish(numbers, on: client)
        let events = try await byEvent.account(upTo: 1000)
        #expect(events.texts == numbers && events.missed.isEmpty)
        var texts: [String] = []
        var batches = byBatch.batches.makeAsyncIterator()
        while texts.count < 1000, case .batch(let batch) = try await batches.next() { texts += batch.map(\.text) }
        #expect(texts == numbers)
        await eventually { handled.value.count == 1000 }
        #expect(handled.value == numbers)
        await handler.cancel()
        try await client.publish("after", to: "a.b")
        _ = try await byEvent.account(upTo: 1)
        #expect(handled.value.count == 1000)
        await client.close()
    }

    @Test func `who doesn't read holds its credit and is told exactly what it missed`() async throws {
        let bus = try TestBus()
        let reader = try await bus.connect("reader")
        let writer = try await bus.connect("writer")
        var options = SubscribeOptions()
        options.creditEvents = 100
        options.queueEventCount = 50
        let subscription = try await reader.subscribe("a.b", options)
        for number in 0..<500 { try await writer.publish("\(number)", to: "a.b") }
        let status = try await writer.status()
        #expect(status.contains(InspectedValue("events_delivered", 100)))
        #expect(status.contains(InspectedValue("events_queued", 50)))
        // Let go of before the last: what comes behind the queue can be read to its end.
        let account = try await subscription.account(upTo: 500)
        #expect(account.texts.count + Int(account.missedCount) == 500)
        #expect(account.texts == (0..<100).map { "\($0)" } + (450..<500).map { "\($0)" })
        let missed = try #require(account.missed.first)
        #expect(account.missed.count == 1)
        #expect(missed.count == 350 && missed.firstSequence == 101 && missed.lastSequence == 450)
        #expect(missed.reason == .queueFull && missed.topic?.description == "a.b")
        await reader.close()
        await writer.close()
    }

    @Test func `with the policy stall a slow reader gets everything`() async throws {
        let bus = try TestBus()
        let reader = try await bus.connect("reader")
        let writer = try await bus.connect("writer")
        var options = SubscribeOptions()
        options.overflow = .stall
        options.stallTime = .seconds(60)
        options.creditEvents = 10
        options.queueEventCount = 10
        let subscription = try await reader.subscribe("a.b", options)
        let work = Task {
            for number in 0..<200 { try await writer.publish("\(number)", to: "a.b") }
        }
        var texts: [String] = []
        for try await arrival in subscription {
            guard case .event(let event) = arrival else {
                Issue.record("missed: \(arrival)")
                break
            }
            texts.append(event.text)
            await Task.yield()
            if texts.count == 200 { break }
        }
        #expect(texts == (0..<200).map { "\($0)" })
        try await work.value
        await reader.close()
        await writer.close()
    }

    @Test func `a stall that takes too long becomes a gap with its own reason`() async throws {
        let bus = try TestBus()
        let reader = try await bus.connect("reader")
        let writer = try await bus.connect("writer")
        var options = SubscribeOptions()
        options.overflow = .stall
        options.stallTime = .milliseconds(20)
        options.creditEvents = 5
        options.queueEventCount = 5
        let subscription = try await reader.subscribe("a.b", options)
        for number in 0..<40 { try await writer.publish("\(number)", to: "a.b") }
        let account = try await subscription.account(upTo: 40)
        #expect(account.texts.count + Int(account.missedCount) == 40)
        #expect(account.missedCount > 0)
        #expect(account.missed.allSatisfy { $0.reason == .stallTimedOut })
        await reader.close()
        await writer.close()
    }

    @Test(arguments: [
        ("a..b", NameFault.emptyToken), ("a.>.b", .tailNotLast), ("", .empty),
        ("a.b*", .forbidden("a * inside a token")),
    ])
    func `a filter against the rules is refused by name`(filter: String, fault: NameFault) async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        await #expect { try await client.subscribe(filter) } throws: { error in
            if case .badName(filter, fault) = error as? BusError { true } else { false }
        }
        await client.close()
    }

    @Test func `cancelling a subscription while events flow ends its sequence`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let other = try await client.subscribe("a.b")
        for _ in 0..<20 {
            let subscription = try await client.subscribe("a.b")
            let reading = Task {
                var count = 0
                for try await _ in subscription { count += 1 }
                return count
            }
            for number in 0..<20 { try await client.publishWithoutReceipt(OutgoingEvent("\(number)"), to: "a.b") }
            await subscription.cancel()
            _ = try await reading.value
        }
        await client.drain()
        #expect(try await other.account(upTo: 400).texts.count == 400)
        #expect(try await client.status().contains(InspectedValue("subscriptions", 1)))
        await client.close()
    }

    @Test func `cancelling the task that iterates ends its wait, not the subscription`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let subscription = try await client.subscribe("a.b")
        for _ in 0..<50 {
            let reading = Task { try await subscription.account(upTo: 1).texts }
            reading.cancel()
            #expect(try await reading.value.isEmpty)
        }
        try await client.publish("x", to: "a.b")
        #expect(try await subscription.account(upTo: 1).texts == ["x"])
        await client.close()
    }

    @Test func `closing the connection ends the sequence behind what had arrived`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let subscription = try await client.subscribe("a.b")
        try await client.publish("x", to: "a.b")
        await eventually { (try? await client.status().contains(InspectedValue("events_delivered", 1))) == true }
        await client.close()
        var arrivals = subscription.makeAsyncIterator()
        guard case .event = try await arrivals.next() else {
            Issue.record("the event that had arrived is gone")
            return
        }
        await #expect { try await arrivals.next() } throws: { error in
            if case .closed = error as? BusError { true } else { false }
        }
    }
}
