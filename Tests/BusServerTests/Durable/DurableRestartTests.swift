import BusClient
import BusTesting
import BusWire
import Testing

/// A daemon that is killed and started again on its state: nothing that was receipted is lost.
@Suite(.timeLimit(.minutes(2))) struct DurableRestartTests {
    private func restart(_ bus: TestBus) throws {
        bus.kill()
        try bus.start()
    }

    @Test func `a subscription goes on behind what it acknowledged, and what may be repeated says so`() async throws {
        let bus = try TestBus.durable()
        let writer = try await bus.connect("writer") { $0.reconnects = false }
        let reader = try await bus.connect("reader") { $0.reconnects = false }
        let subscription = try await reader.subscribe("jobs.>", .durable { $0.acknowledgement = .manual })
        try await writer.publish(texts: ["1", "2", "3", "4"], to: "jobs.a")
        var taking = Taking(subscription)
        let events = try await taking.events(4)
        for event in events[..<2] { try await event.acknowledge() }
        try await eventually { try await writer.row(.durableSubscriptions, "workers")["acknowledged"] == "2" }
        // Where it stands is saved a few times a second; a shutdown saves it at once.
        await bus.shutDown()
        try bus.start()
        let later = try await bus.connect("later")
        taking = Taking(try await later.subscribe("", .durable()))
        let again = try await taking.events(2)
        #expect(again.map(\.text) == ["3", "4"])
        #expect(again.allSatisfy { $0.mayBeRepeated && $0.attempt == 2 })
        try await later.publish(texts: ["5"], to: "jobs.a")
        let fresh = try await taking.event()
        #expect(fresh.text == "5" && !fresh.mayBeRepeated && fresh.attempt == 1 && fresh.sequence == 5)
        await later.close()
        await reader.close()
        await writer.close()
    }

    @Test func `whoever comes back attends its subscription again, and gets all, without a gap`() async throws {
        let bus = try TestBus.durable()
        let writer = try await bus.connect("writer")
        let reader = try await bus.connect("reader")
        let (texts, gaps) = (Noted(Set<String>()), Noted([String]()))
        let subscription = try await reader.subscribe("jobs.>", .durable())
        let taking = Task {
            for try await arrival in subscription {
                switch arrival {
                case .event(let event): texts.change { _ = $0.insert(event.text) }
                case .missed(let missed): gaps.change { $0.append("\(missed)") }
                case .caughtUp: break
                }
            }
        }
        var wanted = Set<String>()
        for round in 0..<5 {
            for number in 0..<20 {
                let text = "\(round)-\(number)"
                try await writer.publish(text, to: "jobs.a")
                wanted.insert(text)
            }
            try restart(bus)
        }
        await eventually { texts.value == wanted }
        #expect(gaps.value == [])
        taking.cancel()
        await reader.close()
        await writer.close()
    }

    @Test func `killed in the middle of publishing, each receipted event is there once, in order`() async throws {
        let bus = try TestBus.durable()
        let writer = try await bus.connect("writer")
        let receipted = Noted([UInt64: String]())
        let publishing = Task {
            for number in 0..<300 {
                let receipt = try await writer.publish("\(number)", to: "jobs.a")
                receipted.change { $0[receipt.firstSequence] = "\(number)" }
            }
        }
        for part in 1...4 {
            await eventually { receipted.value.count >= part * 50 }
            try restart(bus)
        }
        try await publishing.value
        let reader = try await bus.connect("reader")
        var taking = Taking(try await reader.subscribe("jobs.a", .reading(from: .all)))
        let events = try await taking.untilCaughtUp().events
        #expect(events.map(\.text) == (0..<300).map { "\($0)" })
        #expect(events.map(\.sequence) == Array(1...300))
        #expect(Set(events.map(\.id)).count == 300)
        #expect(receipted.value.allSatisfy { events[Int($0.key) - 1].text == $0.value })
        await reader.close()
        await writer.close()
    }

    @Test func `a live reader of a durable topic hears of exactly what it missed meanwhile`() async throws {
        let bus = try TestBus.durable()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let reader = try await bus.connect("reader", through: relay.path)
        var taking = Taking(try await reader.subscribe("jobs.>"))
        let writer = try await bus.connect("writer")
        try await writer.publish(texts: ["1"], to: "jobs.a")
        #expect(try await taking.texts(1) == ["1"])
        await relay.setAccepting(false)
        try restart(bus)
        try await writer.publish(texts: ["2", "3"], to: "jobs.a")
        await relay.setAccepting(true)
        try await eventually { try await writer.rows(.sessions).count == 2 }
        try await eventually { try await writer.rows(.subscriptions).count == 1 }
        try await writer.publish(texts: ["4"], to: "jobs.a")
        var missed: [Missed] = []
        var event: Event?
        while event == nil {
            switch try await taking.next() {
            case .missed(let gap): missed.append(gap)
            case .event(let found): event = found
            case .caughtUp: break
            }
        }
        #expect(event?.text == "4" && event?.sequence == 4)
        // Positions of a durable topic go on: what was missed of it can be told.
        #expect(missed.contains { $0.topic?.description == "jobs.a" && $0.count == 2 && $0.firstSequence == 2 })
        await reader.close()
        await writer.close()
    }

    @Test func `a subscription that was altered while its consumer was away is attended as it is`() async throws {
        let bus = try TestBus.durable()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let (writer, reader) = (
            try await bus.connect("writer"), try await bus.connect("reader", through: relay.path)
        )
        let subscription = try await reader.subscribe(
            "jobs.>", .durable { ($0.start, $0.settings) = (.all, [Setting(.attemptCountMax, 3)]) })
        var taking = Taking(subscription)
        try await writer.administer(.alterSubscription, key: "workers", settings: [Setting(.attemptCountMax, 7)])
        for text in ["1", "2"] {
            await relay.cut()
            try await writer.publish(texts: [text], to: "jobs.a")
            #expect(try await taking.texts(1) == [text])
            await subscription.acknowledge()
            try await eventually { try await writer.row(.durableSubscriptions, "workers")["pending"] == "0" }
        }
        #expect(try await writer.row(.durableSubscriptions, "workers")["attempts"] == "7")
        await reader.close()
        await writer.close()
    }

    @Test func `declarations, settings and places made by command are there after a restart`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        try await client.administer(
            .createTopic, filter: "orders.>", settings: [Setting(.durable, 1), Setting(.retentionCount, 1000)])
        try await client.administer(
            .createSubscription, key: "billing", filter: "orders.>", mode: .shared, start: .all,
            settings: [Setting(.attemptCountMax, 4)])
        try await client.publish(texts: ["1", "2"], to: "orders.a")
        try await client.administer(.createSubscription, key: "later", filter: "orders.a", start: .sequence(2))
        let (declarations, subscriptions) = (
            try await client.rows(.declarations), try await client.rows(.durableSubscriptions)
        )
        try restart(bus)
        let later = try await bus.connect("later")
        #expect(try await later.rows(.declarations) == declarations)
        let found = try await later.rows(.durableSubscriptions)
        for column in ["subscription", "filter", "mode", "pending", "uid", "attempts", "created_at", "ack-wait"] {
            #expect(found.map { $0[column] } == subscriptions.map { $0[column] }, "\(column)")
        }
        #expect(found.map { $0["pending"] } == ["2", "1"])
        #expect(try await later.publish("3", to: "orders.a").durableMatches == 2)
        await later.close()
        await client.close()
    }

    @Test func `the status knows at once how much is stored`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        try await client.publish(OutgoingEvent([UInt8](repeating: 7, count: 500_000)), to: "jobs.a")
        let before = try await client.row(.status, "")
        try restart(bus)
        let later = try await bus.connect("later")
        let after = try await later.row(.status, "")
        for column in ["incarnation_store", "store_limit", "store_events", "durable_topics"] {
            #expect(after[column] == before[column], "\(column)")
        }
        #expect(try #require(after["store_bytes"].flatMap { Int($0) }) > 400_000)
        let topic = try #require(try await later.rows(.topics).first { $0["topic"] == "jobs.a" })
        #expect(topic["durable"] == "1" && topic["stored_events"] == "1" && topic["first_sequence"] == "1")
        await later.close()
        await client.close()
    }
}
