import BusClient
import BusTesting
import BusWire
import Testing

/// Dead letters: made, listed, tried again, dropped; also by a daemon that didn't make them.
@Suite(.timeLimit(.minutes(1))) struct DeadLetterTests {
    /// A bus with a subscription `workers` that was given `texts` in one batch and rejected those that begin with `!`.
    private func withDead(
        _ texts: [String], _ body: (TestBus, BusConnection) async throws -> Void
    ) async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        let subscription = try await client.subscribe("jobs.>", .durable { $0.acknowledgement = .manual })
        try await client.publish(texts.map { OutgoingEvent($0) }, to: "jobs.a")
        var taking = Taking(subscription)
        for event in try await taking.events(texts.count) {
            if event.text.hasPrefix("!") {
                try await event.reject(because: "no such job")
            } else {
                try await event.acknowledge()
            }
        }
        let dead = texts.count { $0.hasPrefix("!") }
        // Counted when they are given up, listed when they are on disk.
        try await eventually { try await client.rows(.deadLetters, "workers").count == dead }
        await subscription.cancel()
        try await body(bus, client)
        await client.close()
    }

    @Test func `what is rejected is dead at once, and says why`() async throws {
        try await withDead(["1", "!2", "3", "!4"]) { (_, client) async throws in
            let letters = try await client.rows(.deadLetters)
            #expect(letters.map { $0["sequence"] } == ["2", "4"])
            #expect(letters.allSatisfy { $0["reason"] == "rejected" && $0["message"] == "no such job" })
            #expect(letters.allSatisfy { $0["attempts"] == "1" })
            #expect(try await client.rows(.deadLetters, "workers") == letters)
            let row = try await client.row(.durableSubscriptions, "workers")
            #expect(row["pending"] == "0" && row["acknowledged"] == "2")
        }
    }

    @Test func `one event's letter is shown, tried again and dropped without the others of its batch`() async throws {
        try await withDead(["!1", "!2", "!3"]) { (_, client) async throws in
            let ids = try await client.rows(.deadLetters).compactMap { $0["id"] }
            try #require(ids.count == 3)
            #expect(try await client.rows(.deadLetters, ids[1]).map { $0["id"] } == [ids[1]])
            #expect(try await client.administer(.dropDead, key: ids[1]) == 1)
            #expect(try await client.rows(.deadLetters).compactMap { $0["id"] } == [ids[0], ids[2]])
            #expect(try await client.administer(.redriveDead, key: ids[2]) == 1)
            #expect(try await client.rows(.deadLetters).compactMap { $0["id"] } == [ids[0]])
            var taking = Taking(try await client.subscribe("", .durable { $0.acknowledgement = .manual }))
            let event = try await taking.event()
            #expect(event.text == "!3" && event.attempt == 1)
            #expect(try await client.row(.durableSubscriptions, "workers")["dead"] == "1")
            await expectRefusal(.unknownName, naming: ids[1]) {
                try await client.administer(.dropDead, key: ids[1])
            }
        }
    }

    @Test func `redriven all of a subscription come again, to it alone`() async throws {
        try await withDead(["!1", "2", "!3"]) { (_, client) async throws in
            let other = try await client.subscribe("jobs.>", .durable("others"))
            #expect(try await client.administer(.redriveDead, key: "workers") == 2)
            var taking = Taking(try await client.subscribe("", .durable()))
            #expect(try await taking.texts(2) == ["!1", "!3"])
            #expect(try await client.rows(.deadLetters).isEmpty)
            try await client.publish("4", to: "jobs.a")
            var others = Taking(other)
            #expect(try await others.texts(1) == ["4"])
        }
    }

    @Test(arguments: [Operation.dropDead, .redriveDead])
    func `a daemon that was killed in between counts them, and does with them as it is told`(
        operation: BusWire.Operation
    ) async throws {
        try await withDead(["!1", "2", "!3"]) { (bus, client) async throws in
            bus.kill()
            try bus.start()
            let later = try await bus.connect("later")
            #expect(try await later.row(.durableSubscriptions, "workers")["dead"] == "2")
            #expect(try await later.row(.status, "")["dead_letters"] == "2")
            #expect(try await later.administer(operation, key: "workers") == 2)
            #expect(try await later.row(.durableSubscriptions, "workers")["dead"] == "0")
            #expect(try await later.rows(.deadLetters).isEmpty)
            await later.close()
        }
    }

    @Test func `letters of a subscription that was deleted can be dropped by their events' ids`() async throws {
        try await withDead(["!1"]) { (_, client) async throws in
            let id = try #require(try await client.rows(.deadLetters).first?["id"])
            try await client.administer(.deleteSubscription, key: "workers")
            let letters = try await client.rows(.deadLetters)
            if !letters.isEmpty {
                #expect(try await client.administer(.dropDead, key: id) == 1)
            }
            #expect(try await client.rows(.deadLetters).isEmpty)
        }
    }

    @Test func `whoever listens is told of a letter that can be listed then, and of nothing its event holds`()
        async throws
    {
        let bus = try TestBus.durable()
        let (client, other) = (try await bus.connect("client"), try await bus.connect("other"))
        var told = Taking(try await other.subscribe("$dead.workers"))
        var jobs = Taking(try await client.subscribe("jobs.>", .durable { $0.acknowledgement = .manual }))
        try await client.publish("secret", to: "jobs.a")
        try await jobs.event().reject(because: "no \"such\" job")
        let word = try await told.event()
        let letter = try await other.row(.deadLetters, "workers")
        let id = try #require(letter["id"])
        #expect(word.publisher.name == "busd" && word.topic.description == "$dead.workers")
        #expect(
            word.text
                == #"{"attempts":1,"dead":1,"events":1,"id":"\#(id)","last_sequence":1,"message":"no \"such\" job","#
                + #""reason":"rejected","sequence":1,"subscription":"workers","topic":"jobs.a"}"#)
        await client.close()
        await other.close()
    }

    @Test func `a key that is no subscription and no event's id is refused by name`() async throws {
        try await withDead(["!1"]) { (_, client) async throws in
            for key in ["nobody", "a.b.c", BusUUID.random().description, ""] {
                await expectRefusal(.unknownName, naming: key) { try await client.administer(.dropDead, key: key) }
                await expectRefusal(.unknownName, naming: key) { try await client.administer(.redriveDead, key: key) }
            }
            let letters = try await client.rows(.deadLetters)
            #expect(letters.count == 1)
        }
    }

    @Test func `more letters than one answer holds are all listed, each once and in order`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        var jobs = Taking(try await client.subscribe("jobs.>", .durable { $0.acknowledgement = .manual }))
        let (count, why) = (1500, String(repeating: "why", count: 300))
        try await client.publish((1...count).map { OutgoingEvent("\($0)") }, to: "jobs.a")
        for event in try await jobs.events(count) { try await event.reject(because: why) }
        // Counted when they are given up, listed when they are on disk.
        try await eventually { try await client.rows(.deadLetters).count == count }
        for key in ["", "workers"] {
            let letters = try await client.rows(.deadLetters, key)
            #expect(letters.map { $0["sequence"] } == (1...count).map { "\($0)" })
            #expect(letters.allSatisfy { $0["message"] == why })
        }
        await client.close()
    }

    @Test func `a batch whose events were each rejected counts once in what letters may take`() async throws {
        // The share is 83,880 bytes: 60,000 of the first batch and 40,000 of the second are too many, and the first goes.
        let bus = try TestBus.durable("store: {max-bytes: 8MiB, dead-letters: {share: 1%}}")
        let client = try await bus.connect("client")
        var jobs = Taking(try await client.subscribe("jobs.>", .durable { $0.acknowledgement = .manual }))
        try await client.publish(OutgoingEvent([UInt8](repeating: 1, count: 60_000)), to: "jobs.a")
        try await client.publish(
            (1...80).map { _ in OutgoingEvent([UInt8](repeating: 2, count: 500)) }, to: "jobs.a")
        for event in try await jobs.events(81) { try await event.reject(because: "no such job") }
        try await eventually { try await client.rows(.deadLetters).count == 81 }
        // A daemon looks after them soon after its start.
        bus.kill()
        try bus.start()
        let later = try await bus.connect("later")
        try await eventually { try await later.rows(.deadLetters).first?["sequence"] != "1" }
        #expect(try await later.rows(.deadLetters).map { $0["sequence"] } == (2...81).map { "\($0)" })
        #expect(try await later.row(.durableSubscriptions, "workers")["dead"] == "80")
        await later.close()
    }
}
