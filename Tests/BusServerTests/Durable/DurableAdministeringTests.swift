import BusClient
import BusTesting
import BusWire
import Testing

/// What administrators ask for, and what they are told when it can't be: the thing by its name, and nothing changed.
@Suite(.timeLimit(.minutes(1))) struct DurableAdministeringTests {
    private func withClient(_ body: (TestBus, BusConnection) async throws -> Void) async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        try await body(bus, client)
        await client.close()
    }

    /// Everything that operations change, to see that nothing did.
    private func account(_ client: BusConnection) async throws -> [[String: String]] {
        let subscriptions = try await client.rows(.durableSubscriptions).map { row in
            row.filter { $0.key != "attended_at" }
        }
        return try await client.rows(.declarations) + subscriptions + client.rows(.deadLetters)
    }

    @Test func `a topic is declared, changed, and its declaration taken back with all it stored`() async throws {
        try await withClient { (_, client) async throws in
            try await client.publish("live", to: "orders.a")
            try await client.administer(.createTopic, filter: "orders.>", settings: [Setting(.durable, 1)])
            #expect(try await client.publish("1", to: "orders.a").isDurable)
            try await client.administer(.alterTopic, filter: "orders.>", settings: [Setting(.retentionCount, 5)])
            let row = try await client.row(.declarations, "orders.>")
            #expect(row["source"] == "command" && row["max-events"] == "5" && row["durable"] == "1", "\(row)")
            try await client.administer(.deleteTopic, filter: "orders.>")
            #expect(try await client.rows(.declarations).map { $0["filter"] } == ["jobs.>"])
            #expect(try await !client.publish("2", to: "orders.a").isDurable)
            var taking = Taking(try await client.subscribe("orders.>", .reading(from: .all)))
            #expect(try await taking.untilCaughtUp().count == 0)
        }
    }

    @Test func `a topic that is declared again begins anew, and no position comes twice`() async throws {
        try await withClient { (bus, client) async throws in
            try await client.administer(.createTopic, filter: "orders.>", settings: [Setting(.durable, 1)])
            try await client.publish(texts: ["1", "2"], to: "orders.a")
            try await client.administer(.deleteTopic, filter: "orders.>")
            try await client.administer(.createTopic, filter: "orders.>", settings: [Setting(.durable, 1)])
            try await client.publish(texts: ["3"], to: "orders.a")
            bus.kill()
            try bus.start()
            let later = try await bus.connect("later")
            var taking = Taking(try await later.subscribe("orders.>", .reading(from: .all)))
            #expect(try await taking.untilCaughtUp().events.map(\.text) == ["3"])
            await later.close()
        }
    }

    @Test func `purged a topic is empty, says of how many, and goes on counting`() async throws {
        try await withClient { (_, client) async throws in
            try await client.publish(texts: ["1", "2", "3"], to: "jobs.a")
            try await client.publish(texts: ["other"], to: "jobs.b")
            #expect(try await client.administer(.purgeTopic, key: "jobs.a") == 3)
            try await eventually {
                try await client.rows(.topics).first { $0["topic"] == "jobs.a" }?["stored_events"] == "0"
            }
            #expect(try await client.publish("4", to: "jobs.a").firstSequence == 4)
            var taking = Taking(try await client.subscribe("jobs.>", .reading(from: .all)))
            #expect(try await taking.untilCaughtUp().events.map(\.text) == ["other", "4"])
        }
    }

    @Test func `a subscription whose events were purged is told how many it missed`() async throws {
        try await withClient { (_, client) async throws in
            let subscription = try await client.subscribe("jobs.a", .durable())
            await subscription.cancel()
            try await client.publish(texts: ["1", "2", "3"], to: "jobs.a")
            try await client.administer(.purgeTopic, key: "jobs.a")
            try await client.publish(texts: ["4"], to: "jobs.a")
            var taking = Taking(try await client.subscribe("", .durable()))
            var missed: [Missed] = []
            while true {
                switch try await taking.next() {
                case .missed(let gap):
                    missed.append(gap)
                    continue
                case .caughtUp: continue
                case .event(let event): #expect(event.text == "4")
                }
                break
            }
            #expect(missed.map(\.count) == [3])
            #expect(missed.first?.topic?.description == "jobs.a" && missed.first?.firstSequence == 1)
            try await eventually { try await client.row(.durableSubscriptions, "workers")["pending"] == "1" }
        }
    }

    @Test func `a subscription is made, moved, changed and ended by command`() async throws {
        try await withClient { (_, client) async throws in
            try await client.publish(texts: ["1", "2", "3"], to: "jobs.a")
            try await client.administer(.createSubscription, key: "workers", filter: "jobs.a", mode: .shared)
            #expect(try await client.row(.durableSubscriptions, "workers")["pending"] == "0")
            try await client.administer(.seekSubscription, key: "workers", start: .sequence(2))
            try await eventually { try await client.row(.durableSubscriptions, "workers")["pending"] == "2" }
            try await client.administer(.alterSubscription, key: "workers", settings: [Setting(.attemptCountMax, 2)])
            #expect(try await client.row(.durableSubscriptions, "workers")["attempts"] == "2")
            let subscription = try await client.subscribe("", .durable { $0.isShared = true })
            var taking = Taking(subscription)
            #expect(try await taking.texts(2) == ["2", "3"])
            try await client.administer(.seekSubscription, key: "workers", start: .all)
            #expect(try await taking.texts(3) == ["1", "2", "3"])
            try await client.administer(.deleteSubscription, key: "workers")
            await #expect(throws: BusError.self) { while true { _ = try await taking.next() } }
            #expect(try await client.rows(.durableSubscriptions).isEmpty)
        }
    }

    @Test func `what is unknown is refused by its name, and nothing has changed`() async throws {
        try await withClient { (_, client) async throws in
            let before = try await account(client)
            await expectRefusal(.unknownName, naming: "orders.>") {
                try await client.administer(.alterTopic, filter: "orders.>", settings: [Setting(.retain, 1)])
            }
            await expectRefusal(.unknownName, naming: "orders.>") {
                try await client.administer(.deleteTopic, filter: "orders.>")
            }
            for key in ["jobs.none", "live", "not a topic", "jobs.>"] {
                await expectRefusal(.unknownName, naming: key) { try await client.administer(.purgeTopic, key: key) }
            }
            for operation in [BusWire.Operation.alterSubscription, .seekSubscription, .deleteSubscription] {
                await expectRefusal(.unknownName, naming: "nobody") {
                    try await client.administer(operation, key: "nobody", start: .all)
                }
            }
            await expectRefusal(.unknownName, naming: "nobody") {
                _ = try await client.subscribe("", .durable("nobody"))
            }
            await expectRefusal(.notSupported, naming: "operation-200") {
                try await client.administer(Operation(rawValue: 200))
            }
            for kind in [InspectionKind.durableSubscriptions, .declarations] {
                await expectRefusal(.unknownName, naming: "nobody") { _ = try await client.rows(kind, "nobody") }
            }
            #expect(try await account(client) == before)
        }
    }

    @Test func `names that are taken are refused, and say what is there`() async throws {
        try await withClient { (_, client) async throws in
            try await client.administer(.createTopic, filter: "orders.>", settings: [Setting(.durable, 1)])
            try await client.administer(.createSubscription, key: "workers", filter: "jobs.>", mode: .shared)
            let before = try await account(client)
            await expectRefusal(.nameTaken, naming: "orders.>", "alter") {
                try await client.administer(.createTopic, filter: "orders.>", settings: [Setting(.durable, 1)])
            }
            await expectRefusal(.nameTaken, naming: "jobs.>", "configuration") {
                try await client.administer(.createTopic, filter: "jobs.>", settings: [Setting(.durable, 1)])
            }
            for operation in [BusWire.Operation.alterTopic, .deleteTopic] {
                await expectRefusal(.denied, naming: "jobs.>", "configuration") {
                    try await client.administer(operation, filter: "jobs.>")
                }
            }
            await expectRefusal(.nameTaken, naming: "workers") {
                try await client.administer(.createSubscription, key: "workers", filter: "jobs.>")
            }
            await expectRefusal(.nameTaken, naming: "workers", "jobs.>") {
                _ = try await client.subscribe("jobs.a", .durable { $0.isShared = true })
            }
            await expectRefusal(.nameTaken, naming: "workers", "shared") {
                _ = try await client.subscribe("jobs.>", .durable { $0.isExclusive = true })
            }
            await expectRefusal(.nameTaken, naming: "workers", "seek") {
                _ = try await client.subscribe(
                    "jobs.>", .durable { ($0.isShared, $0.start) = (true, .all) })
            }
            await expectRefusal(.nameTaken, naming: "workers", "attempts") {
                _ = try await client.subscribe(
                    "jobs.>",
                    .durable { ($0.isShared, $0.settings) = (true, [Setting(.attemptCountMax, 77)]) })
            }
            #expect(try await account(client) == before)
        }
    }

    @Test func `what can't be is refused, and says why`() async throws {
        try await withClient { (_, client) async throws in
            let before = try await account(client)
            await expectRefusal(.invalidSetting, naming: "attempts") {
                try await client.administer(
                    .createSubscription, key: "w", filter: "jobs.>", settings: [Setting(.attemptCountMax, 0)])
            }
            await expectRefusal(.invalidSetting, naming: "backoff") {
                try await client.administer(
                    .createSubscription, key: "w", filter: "jobs.>",
                    settings: [Setting(.backoffMin, 2_000_000), Setting(.backoffMax, 1_000_000)])
            }
            await expectRefusal(.invalidSetting, naming: "ack-wait") {
                try await client.administer(
                    .createTopic, filter: "orders.>",
                    settings: [Setting(.durable, 1), Setting(.acknowledgeWait, 1_000_000)])
            }
            await expectRefusal(.notDurable, naming: "live", "bus topic create") {
                try await client.administer(.createSubscription, key: "w", filter: "live")
            }
            await expectRefusal(.notSupported) {
                try await client.administer(
                    .createSubscription, key: "w", filter: "jobs.>", mode: [.shared, .exclusive])
            }
            await expectRefusal(.badFilter, naming: "$bus.>") {
                try await client.administer(.createTopic, filter: "$bus.>", settings: [Setting(.durable, 1)])
            }
            await expectRefusal(.badGroup) {
                try await client.administer(.createSubscription, key: "a.b", filter: "jobs.>")
            }
            await expectRefusal(.badFilter, naming: "jobs.>", "--since") {
                try await client.administer(.createSubscription, key: "w", filter: "jobs.>", start: .sequence(3))
            }
            await expectRefusal(.invalidSetting, naming: "backup") {
                try await client.administer(.backup, key: "relative/path")
            }
            try await client.administer(.createTopic, filter: "orders.*.x", settings: [Setting(.durable, 1)])
            await expectRefusal(.nameTaken, naming: "orders.*.x", "orders.y.*") {
                try await client.administer(.createTopic, filter: "orders.y.*", settings: [Setting(.durable, 1)])
            }
            try await client.administer(.deleteTopic, filter: "orders.*.x")
            #expect(try await account(client) == before)
        }
    }

    @Test func `a seek that can't be leaves the subscription where it stands`() async throws {
        try await withClient { (_, client) async throws in
            try await client.publish(texts: ["1", "2"], to: "jobs.a")
            try await client.administer(.createSubscription, key: "workers", filter: "jobs.>", start: .all)
            await expectRefusal(.badFilter, naming: "jobs.>", "--since") {
                try await client.administer(.seekSubscription, key: "workers", start: .sequence(2))
            }
            await expectRefusal(.invalidSetting, naming: "workers") {
                try await client.administer(.seekSubscription, key: "workers")
            }
            #expect(try await client.row(.durableSubscriptions, "workers")["pending"] == "2")
        }
    }

    @Test func `an acknowledgement of something never delivered is an error, and the consumer goes on`() async throws {
        try await withClient { (bus, client) async throws in
            try await client.publish(texts: ["1"], to: "jobs.a")
            let peer = try RawPeer(bus.socket)
            try peer.greet()
            peer.send(
                .subscribe(
                    Subscribe(
                        subscription: 1, filter: Array("jobs.>".utf8), creditEvents: 10, creditBytes: 1 << 20,
                        durableName: Array("workers".utf8), start: .all)))
            var delivered = false
            while !delivered, let frame = try peer.next() { if case .deliver = frame { delivered = true } }
            let mistakes: [(Settle, Reason)] = [
                (Settle(.acknowledge, subscription: 1, delivery: 9), .acknowledgedUnsent),
                (Settle(.acknowledge, subscription: 1, delivery: 0), .acknowledgedUnsent),
                (
                    Settle(.reject, subscription: 1, delivery: 1, selection: SharedBytes([0xfe])),
                    .acknowledgedUnsent
                ),
                (Settle(.acknowledge, subscription: 7, delivery: 1), .unknownSubscription),
            ]
            for (settle, reason) in mistakes {
                peer.send(.settle(settle))
                var error: ErrorFrame?
                while error == nil, let frame = try peer.next() { if case .error(let found) = frame { error = found } }
                #expect(error?.reason == reason && error?.isFatal == false && error?.message.isEmpty == false)
            }
            #expect(try await client.row(.durableSubscriptions, "workers")["outstanding"] == "1")
            peer.send(.settle(Settle(.acknowledge, subscription: 1, delivery: 1)))
            try await eventually { try await client.row(.durableSubscriptions, "workers")["pending"] == "0" }
            peer.close()
        }
    }
}
