import BusTesting
import BusWire
import Testing

@testable import BusClient

/// What a client says to a daemon about durable topics, frame by frame.
@Suite(.timeLimit(.minutes(1))) struct DurableClientTests {
    private let bus: TestBus
    private let notebook = Notebook()
    private let relay: Relay

    init() throws {
        bus = try TestBus()
        relay = try notebook.relay(bus)
    }

    private func durable(_ change: (inout DurableOptions) -> Void = { _ in }) -> SubscribeOptions {
        var options = SubscribeOptions()
        var durable = DurableOptions(name: "workers")
        change(&durable)
        options.durable = durable
        return options
    }

    /// Runs `body` with a client through the relay and one beside it.
    private func clients(_ body: (_ reader: BusConnection, _ writer: BusConnection) async throws -> Void) async throws {
        defer { relay.stop() }
        let reader = try await bus.connect("reader", through: relay.path)
        let writer = try await bus.connect("writer")
        try await body(reader, writer)
        await reader.close()
        await writer.close()
    }

    private func publish(_ texts: [String], on writer: BusConnection) async throws {
        _ = try await writer.publish(texts.map { OutgoingEvent($0) }, to: "jobs")
    }

    private func next(_ batches: inout Subscription.Batches.Iterator) async throws -> EventBatch {
        guard case .batch(let batch) = try await batches.next() else { throw BusError.closed }
        return batch
    }

    @Test func `what it is asked for as says name, mode, beginning and settings, and the name alone is enough`()
        async throws
    {
        try await clients { reader, _ in
            let settings = [Setting(.acknowledgeWait, 5_000_000), Setting(.attemptCountMax, 3)]
            _ = try await reader.subscribe(
                "jobs",
                durable {
                    ($0.isShared, $0.start, $0.settings) = (true, .all, settings)
                })
            _ = try await reader.subscribe("", durable { ($0.isExclusive, $0.acknowledgement) = (true, .none) })
            var reading = SubscribeOptions()
            reading.start = .since(7)
            _ = try await reader.subscribe("jobs", reading)
            let asked = notebook.subscribes
            #expect(asked.map(\.durableName) == [Array("workers".utf8), Array("workers".utf8), []])
            #expect(asked.map(\.mode) == [.shared, [.exclusive, .unacknowledged], []])
            #expect(asked.map(\.start) == [.all, nil, .since(7)])
            #expect(asked.map(\.settings) == [settings, [], []])
            #expect(asked.map(\.filter) == [Array("jobs".utf8), [], Array("jobs".utf8)])
            #expect(asked.map(\.creditEvents) == [256, 8192, 65_536])
        }
    }

    @Test func `asking for more acknowledges what came, in one word for many`() async throws {
        try await clients { reader, writer in
            let subscription = try await reader.subscribe("jobs", durable())
            for round in 0..<3 { try await publish(["\(round)a", "\(round)b"], on: writer) }
            var arrivals = subscription.makeAsyncIterator()
            for _ in 0..<5 { _ = try await arrivals.next() }
            await eventually { notebook.words.last == "through 2" }
            await subscription.acknowledge()
            await eventually { notebook.words.last == "through 3" }
            #expect(notebook.words.allSatisfy { $0.hasPrefix("through") })
        }
    }

    @Test func `who leaves in the middle of a batch says how far it came`() async throws {
        try await clients { reader, writer in
            let subscription = try await reader.subscribe("jobs", durable())
            try await publish(["a", "b", "c"], on: writer)
            var arrivals = subscription.makeAsyncIterator()
            for _ in 0..<3 { _ = try await arrivals.next() }
            await subscription.cancel()
            await eventually { notebook.words == ["acknowledge 1 [0, 1]"] }
        }
    }

    @Test func `a connection that closes says before what was handled`() async throws {
        defer { relay.stop() }
        let reader = try await bus.connect("reader", through: relay.path)
        let writer = try await bus.connect("writer")
        let subscription = try await reader.subscribe("jobs", durable())
        try await publish(["a"], on: writer)
        try await publish(["b", "c"], on: writer)
        try await reader.run { reader in
            var arrivals = subscription.makeAsyncIterator()
            for _ in 0..<3 { _ = try await arrivals.next() }
            await reader.close()
        }
        #expect(notebook.words == ["through 1", "acknowledge 2 [0]"])
        await writer.close()
    }

    @Test func `single events are settled each in its own way, once`() async throws {
        try await clients { reader, writer in
            let subscription = try await reader.subscribe("jobs", durable { $0.acknowledgement = .manual })
            try await publish(["a", "b", "c", "d"], on: writer)
            try await publish(["e"], on: writer)
            var batches = subscription.batches.makeAsyncIterator()
            let first = Array(try await next(&batches))
            let second = try await next(&batches)
            try await first[1].retry(after: .milliseconds(500), because: "busy")
            try await first[2].reject(because: "no such job")
            try await first[3].extend()
            try await first[1].acknowledge()
            try await second.acknowledge()
            await eventually {
                notebook.words == [
                    "retry 1 [1] 500 busy", "reject 1 [2] no such job", "extend 1 [3]", "acknowledge 2 all",
                ]
            }
            try await first[0].acknowledge()
            try await first[3].acknowledge()
            try await first[3].retry()
            await eventually { notebook.words.last == "through 2" }
            #expect(!notebook.words.contains { $0.hasPrefix("retry 1 [3]") })
        }
    }

    @Test func `credit comes back as events are settled, not as they are taken`() async throws {
        try await clients { reader, writer in
            var options = durable { ($0.acknowledgement, $0.isShared) = (.manual, true) }
            options.creditEvents = 4
            let subscription = try await reader.subscribe("jobs", options)
            for text in ["a", "b", "c", "d", "e", "f"] { try await publish([text], on: writer) }
            var batches = subscription.batches.makeAsyncIterator()
            var taken: [EventBatch] = []
            for _ in 0..<4 { taken.append(try await next(&batches)) }
            _ = try await reader.status()
            #expect(notebook.credits == [])
            for batch in taken { try await batch.acknowledge() }
            #expect(try await next(&batches).map(\.text) == ["e"])
            #expect(notebook.credits.last == 8)
        }
    }

    @Test func `events of no durable subscription can't be settled, and it says so`() async throws {
        try await clients { reader, writer in
            let live = try await reader.subscribe("jobs")
            let unacknowledged = try await reader.subscribe("jobs", durable { $0.acknowledgement = .none })
            try await publish(["a"], on: writer)
            for subscription in [live, unacknowledged] {
                var batches = subscription.batches.makeAsyncIterator()
                let batch = try await next(&batches)
                await #expect { try await batch.acknowledge() } throws: { isError($0, "invalid") }
            }
        }
    }

    @Test func `a handler that returns acknowledges, one that throws asks again and says why`() async throws {
        struct Busy: Error, CustomStringConvertible { let description = "busy" }
        try await clients { reader, writer in
            let texts = Noted([String]())
            let subscription = try await reader.consume("jobs", durable()) { event in
                texts.change { $0.append(event.text) }
                if event.text == "b" { throw Busy() }
                if event.text == "c" { try await event.reject(because: "never") }
            }
            try await publish(["a", "b", "c", "d"], on: writer)
            await eventually { notebook.words.last == "through 1" }
            #expect(texts.value == ["a", "b", "c", "d"])
            #expect(notebook.words.contains("retry 1 [1] busy"))
            #expect(notebook.words.contains("reject 1 [2] never"))
            await subscription.cancel()
            await #expect { try await reader.consume("jobs", SubscribeOptions()) { _ in } } throws: {
                isError($0, "invalid")
            }
        }
    }

    @Test func `a handler of batches acknowledges when it returns`() async throws {
        try await clients { reader, writer in
            let count = Noted(0)
            _ = try await reader.subscribe("jobs", durable()) { _ in count.change { $0 += 1 } }
            for text in ["a", "b"] { try await publish([text], on: writer) }
            await eventually { notebook.words.last == "through 2" }
            #expect(count.value == 2)
        }
    }

    @Test func `what is at work, and what waits here for it, is extended in time`() async throws {
        notebook.wait.change { $0 = 100_000 }
        try await clients { reader, writer in
            let isDone = Noted(false)
            _ = try await reader.consume("", durable()) { _ in
                while !isDone.value { try await Task.sleep(for: .milliseconds(1)) }
            }
            try await publish(["a", "b"], on: writer)
            try await publish(["c"], on: writer)
            await eventually {
                notebook.words.count { $0 == "extend 1 all" } > 2 && notebook.words.count { $0 == "extend 2 all" } > 2
            }
            isDone.change { $0 = true }
            await eventually { notebook.words.last == "through 2" }
        }
    }

    @Test func `what is iterated slowly is acknowledged on the way and extended behind it`() async throws {
        notebook.wait.change { $0 = 100_000 }
        try await clients { reader, writer in
            let subscription = try await reader.subscribe("jobs", durable())
            try await publish(["a", "b", "c"], on: writer)
            var arrivals = subscription.makeAsyncIterator()
            for _ in 0..<2 { _ = try await arrivals.next() }
            await eventually { notebook.words.contains("acknowledge 1 [0]") }
            await eventually { notebook.words.contains("extend 1 [1, 2]") }
        }
    }

    @Test func `who settles by itself extends by itself, but not what still waits here`() async throws {
        notebook.wait.change { $0 = 100_000 }
        try await clients { reader, writer in
            let subscription = try await reader.subscribe("jobs", durable { $0.acknowledgement = .manual })
            for text in ["a", "b"] { try await publish([text], on: writer) }
            var batches = subscription.batches.makeAsyncIterator()
            let first = try await next(&batches)
            func extended(_ delivery: Int) -> Int { notebook.words.count { $0 == "extend \(delivery) all" } }
            // What was said before it was handed out has come through.
            _ = try await reader.status()
            let (before, beforeOther) = (extended(1), extended(2))
            await eventually { extended(2) > beforeOther + 2 }
            #expect(extended(1) == before)
            try await first.extend()
            await eventually { extended(1) == before + 1 }
        }
    }

    @Test func `after a reconnect it is attended as it is, what waited here is dropped, and late word is for nobody`()
        async throws
    {
        try await clients { reader, writer in
            let settings = [Setting(.attemptCountMax, 3)]
            let subscription = try await reader.subscribe(
                "jobs",
                durable {
                    ($0.acknowledgement, $0.start, $0.settings) = (.manual, .all, settings)
                })
            try await publish(["a", "b"], on: writer)
            try await publish(["lost"], on: writer)
            var batches = subscription.batches.makeAsyncIterator()
            let first = try await next(&batches)
            try await eventually { try await writer.total("events_delivered", of: .status) >= 3 }
            _ = try await reader.status()
            await relay.cut()
            await eventually { notebook.subscribes.count == 2 }
            #expect(notebook.subscribes.map(\.start) == [.all, nil])
            _ = try await eventuallyStatus(reader)
            try await publish(["again"], on: writer)
            #expect(try await next(&batches).map(\.text) == ["again"])
            try await first.acknowledge()
            try await first.retry()
            _ = try await reader.status()
            #expect(notebook.words == [])
            await subscription.acknowledge()
            await eventually { notebook.words == ["through 1"] }
        }
    }

    /// The status, as soon as there is a connection again.
    private func eventuallyStatus(_ client: BusConnection) async throws -> [InspectedValue] {
        var status: [InspectedValue] = []
        await eventually {
            status = (try? await client.status()) ?? []
            return !status.isEmpty
        }
        return status
    }

    @Test func `events iterated one by one end where the connection was lost: the rest comes again`() async throws {
        try await clients { reader, writer in
            let subscription = try await reader.subscribe("jobs", durable())
            try await publish(["a", "b", "c"], on: writer)
            var arrivals = subscription.makeAsyncIterator()
            guard case .event(let event) = try await arrivals.next() else { return #expect(Bool(false)) }
            #expect(event.text == "a")
            await relay.cut()
            await eventually { notebook.subscribes.count == 2 }
            _ = try await eventuallyStatus(reader)
            try await publish(["again"], on: writer)
            guard case .event(let next) = try await arrivals.next() else { return #expect(Bool(false)) }
            #expect(next.text == "again")
        }
    }

    @Test func `one that was made by a subscribe whose answer was lost is attended, not refused`() async throws {
        defer { relay.stop() }
        let reader = try await bus.connect("reader", through: relay.path)
        let subscribed = Noted(0)
        notebook.change.change {
            $0 = { frame in
                guard case .subscribed(let number) = frame else { return frame }
                // The first answer is lost with its connection; the second is what a daemon says of one it has.
                return subscribed.change { count in
                    count += 1
                    switch count {
                    case 1: return Notebook.nothing
                    case 2:
                        return .error(
                            ErrorFrame(
                                reason: .nameTaken, inReplyTo: .subscribe, request: UInt64(number),
                                message: "it exists"))
                    default: return frame
                    }
                }
            }
        }
        let subscribing = Task { try await reader.subscribe("jobs", durable { $0.start = .all }) }
        await eventually { subscribed.value == 1 }
        await relay.cut()
        await eventually { notebook.subscribes.count >= 3 }
        #expect(notebook.subscribes.prefix(3).map(\.start) == [.all, .all, nil])
        subscribing.cancel()
        _ = try? await subscribing.value
        await reader.close()
    }

    @Test(
        arguments: [
            { $0.group = "g" }, { $0.beginsWithLast = true }, { $0.start = .all },
            {
                $0.durable?.isShared = true; $0.durable?.isExclusive = true
            },
            { ($0.durable, $0.group, $0.start) = (nil, "g", .last) }, { ($0.durable, $0.isExclusive) = (nil, true) },
            { ($0.durable, $0.beginsWithLast, $0.start) = (nil, true, .all) },
        ] as [@Sendable (inout SubscribeOptions) -> Void])
    func `options that exclude one another are refused before anything is asked`(
        change: @Sendable (inout SubscribeOptions) -> Void
    ) async throws {
        try await clients { reader, _ in
            var options = durable()
            change(&options)
            await #expect { try await reader.subscribe("jobs", options) } throws: { isError($0, "invalid") }
            #expect(notebook.subscribes.isEmpty)
        }
    }

    @Test func `names are checked, and without a name there must be a filter`() async throws {
        try await clients { reader, _ in
            await #expect { try await reader.subscribe("jobs", durable { $0.name = "a.b" }) } throws: {
                isError($0, "badName")
            }
            await #expect { try await reader.subscribe("") } throws: { isError($0, "badName") }
            await #expect {
                try await reader.reply(to: "jobs", durable()) { _ in OutgoingEvent("") }
            } throws: { isError($0, "invalid") }
        }
    }
}
