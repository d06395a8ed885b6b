import BusTesting
import BusWire
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct LastValueTests {
    private let last: SubscribeOptions = {
        var options = SubscribeOptions()
        options.beginsWithLast = true
        return options
    }()

    private func retained(_ text: String) -> OutgoingEvent {
        var event = OutgoingEvent(text)
        event.retains = true
        return event
    }

    /// Reads until the marker.
    private func stored(_ arrivals: inout Subscription.Iterator) async throws -> (texts: [String], count: UInt64) {
        var texts: [String] = []
        while let arrival = try await arrivals.next() {
            switch arrival {
            case .event(let event):
                #expect(event.isStored)
                texts.append(event.text)
            case .missed(let missed): #expect(missed.count == nil)
            case .caughtUp(let count): return (texts, count)
            }
        }
        Issue.record("the marker never came")
        return (texts, 0)
    }

    @Test func `the last value of each topic comes first, then the marker, then what is new`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        for number in 0..<3 { try await client.publish(retained("a \(number)"), to: "conf.a") }
        try await client.publish(retained("b"), to: "conf.b")
        try await client.publish("not kept", to: "conf.b")
        try await client.publish("not kept", to: "conf.c")
        let subscription = try await client.subscribe("conf.>", last)
        try await client.publish("new", to: "conf.a")
        var arrivals = subscription.makeAsyncIterator()
        let stored = try await stored(&arrivals)
        #expect(stored.texts == ["a 2", "b"] && stored.count == 2)
        guard case .event(let event) = try await arrivals.next() else {
            Issue.record("no event came")
            return
        }
        #expect(event.text == "new" && !event.isStored && event.sequence == 4)
        await client.close()
    }

    @Test func `an empty event that retains clears it, and without any the marker says zero`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        try await client.publish(retained("a"), to: "conf.a")
        let watcher = try await client.subscribe("conf.a")
        try await client.publish(retained(""), to: "conf.a")
        #expect(try await watcher.account(upTo: 1).texts == [""])
        var arrivals = try await client.subscribe("conf.a", last).makeAsyncIterator()
        let stored = try await stored(&arrivals)
        #expect(stored.texts.isEmpty && stored.count == 0)
        await client.close()
    }

    @Test func `of events published together the last one's word counts, and its payload`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        try await client.publish([retained(""), retained("x"), retained("y")], to: "conf.a")
        try await client.publish([OutgoingEvent("1"), retained("2")], to: "conf.b")
        try await client.publish([retained("3"), OutgoingEvent("4")], to: "conf.c")
        var arrivals = try await client.subscribe("conf.>", last).makeAsyncIterator()
        #expect(try await stored(&arrivals).texts == ["y", "2"])
        let long = (0..<3).map { _ in retained(String(repeating: "x", count: 2000)) }
        await #expect { try await client.publish(long, to: "conf.d") } throws: { error in
            if case .tooLarge = error as? BusError { true } else { false }
        }
        await client.close()
    }

    @Test func `streams of events that are kept and of such that aren't may be mixed`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let reader = try await client.subscribe("conf.a")
        try await client.run { client in
            for number in 0..<500 {
                var event = OutgoingEvent("\(number) " + String(repeating: "x", count: 100))
                event.retains = number % 3 == 0
                try await client.publishWithoutReceipt(event, to: "conf.a")
            }
            let publisher = try client.publisher(for: "conf.a", retains: true)
            for number in 500..<1000 { try publisher.publish("\(number) ") }
            _ = try await publisher.finish()
        }
        let texts = try await reader.account(upTo: 1000).texts
        #expect(texts.compactMap { Int($0.prefix { $0 != " " }) } == Array(0..<1000))
        var arrivals = try await client.subscribe("conf.a", last).makeAsyncIterator()
        #expect(try await stored(&arrivals).texts == ["999 "])
        await client.close()
    }

    @Test func `after a reconnect to the same daemon only values that are new are shown again`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let reader = try await bus.connect("reader", through: relay.path)
        let writer = try await bus.connect("writer")
        for topic in ["conf.a", "conf.b"] { try await writer.publish(retained("old"), to: topic) }
        var arrivals = try await reader.subscribe("conf.>", last).makeAsyncIterator()
        #expect(try await stored(&arrivals).texts == ["old", "old"])
        await relay.setAccepting(false)
        await relay.cut()
        await eventually { (try? await writer.status().contains(InspectedValue("subscriptions", 0))) == true }
        try await writer.publish("passing", to: "conf.b")
        try await writer.publish(retained("new"), to: "conf.b")
        await relay.setAccepting(true)
        let again = try await stored(&arrivals)
        #expect(again.texts == ["new"] && again.count == 1)
        // What was missed is told with the topic's next event, without the one that was seen after all.
        try await writer.publish("live", to: "conf.b")
        guard case .missed(let missed) = try await arrivals.next(), case .event(let event) = try await arrivals.next()
        else {
            Issue.record("expected word of what was missed, then the event")
            return
        }
        #expect(missed.count == 1 && missed.topic?.description == "conf.b" && event.text == "live")
        await reader.close()
        await writer.close()
    }

    @Test func `options that exclude one another are refused before anything is sent`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        var shared = last
        shared.group = "g"
        var alone = SubscribeOptions()
        alone.isExclusive = true
        for options in [shared, alone] {
            await #expect { try await client.subscribe("a", options) } throws: { error in
                if case .invalid = error as? BusError { true } else { false }
            }
        }
        await client.close()
    }
}
