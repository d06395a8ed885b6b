import BusTesting
import BusWire
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct GroupTests {
    private func options(_ change: (inout SubscribeOptions) -> Void = { _ in }) -> SubscribeOptions {
        var options = SubscribeOptions()
        options.group = "workers"
        change(&options)
        return options
    }

    @Test func `each event goes to one member, a batch is spread over them, and each knows its own`() async throws {
        let bus = try TestBus()
        let writer = try await bus.connect("writer")
        var members: [BusConnection] = []
        let seen = Noted([UInt64: [String]]())
        for number in 0..<4 {
            let member = try await bus.connect("member \(number)")
            members.append(member)
            _ = try await member.subscribe("jobs", options()) { arrival in
                guard case .batch(let batch) = arrival else { return }
                #expect(batch.count == Array(batch).count)
                #expect(batch.first { _ in true }?.sequence == batch.firstSequence)
                #expect(batch.lastSequence - batch.firstSequence + 1 == UInt64(batch.count))
                for event in batch {
                    seen.change { $0[event.sequence, default: []].append("\(number) \(event.text) \(event.id)") }
                }
            }
        }
        // Together, so that members get parts of one batch.
        let receipts = try await withThrowingTaskGroup(of: PublishReceipt.self) { group in
            for _ in 0..<10 {
                group.addTask { try await writer.publish((0..<40).map { OutgoingEvent("\($0)") }, to: "jobs") }
            }
            var all: [PublishReceipt] = []
            for try await one in group { all.append(one) }
            return all
        }
        await eventually { seen.value.count == 400 }
        #expect(seen.value.values.allSatisfy { $0.count == 1 })
        for receipt in receipts {
            for index in 0..<40 {
                let words = seen.value[receipt.firstSequence + UInt64(index)]?[0].split(separator: " ")
                #expect(words?[1] == "\(index)")
                #expect(words?[2] == "\(receipt.id.advanced(by: UInt64(index)) ?? .zero)")
            }
        }
        let counts = Dictionary(grouping: seen.value.values) { $0[0].prefix(1) }.mapValues(\.count)
        #expect(counts.count == 4, "\(counts)")
        try await eventually { try await writer.total("outstanding", of: .subscriptions) == 0 }
        for client in members + [writer] { await client.close() }
    }

    @Test func `what was handed out counts as handled when more is asked for, and not before`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let subscription = try await client.subscribe("jobs", options())
        for text in ["a", "b", "c"] { try await client.publish(text, to: "jobs") }
        var arrivals = subscription.makeAsyncIterator()
        for left in [3, 2, 1] as [UInt64] {
            guard case .event = try await arrivals.next() else {
                Issue.record("no event came")
                return
            }
            try await eventually { try await client.total("outstanding", of: .subscriptions) == left }
        }
        await subscription.acknowledge()
        try await eventually { try await client.total("outstanding", of: .subscriptions) == 0 }
        await client.close()
    }

    @Test func `a member that is gone leaves what it hadn't handled to another, at once`() async throws {
        let bus = try TestBus()
        let relay = try Relay(bus.directory.path + "/relay", to: bus.socket)
        defer { relay.stop() }
        let writer = try await bus.connect("writer")
        let mortal = try await bus.connect("mortal", through: relay.path) { $0.reconnects = false }
        let subscription = try await mortal.subscribe("jobs", options())
        for number in 0..<10 { try await writer.publish("\(number)", to: "jobs") }
        var arrivals = subscription.makeAsyncIterator()
        for _ in 0..<4 { _ = try await arrivals.next() }
        // Three are handled, the fourth is worked on.
        try await eventually { try await writer.total("outstanding", of: .subscriptions) == 7 }
        let heir = try await bus.connect("heir")
        let inherited = try await heir.subscribe("jobs", options())
        await relay.cut()
        var events: [Event] = []
        for try await arrival in inherited {
            if case .event(let event) = arrival { events.append(event) }
            if events.count == 7 { break }
        }
        #expect(events.map(\.text) == (3..<10).map { "\($0)" })
        #expect(events.allSatisfy { $0.attempt == 2 })
        await heir.close()
        await writer.close()
        await mortal.close()
    }

    @Test(arguments: [false, true])
    func `who unsubscribes says first what it has handled`(acknowledges: Bool) async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let leaving = try await client.subscribe("jobs", options())
        for text in ["a", "b", "c"] { try await client.publish(text, to: "jobs") }
        try await client.run { client in
            var arrivals = leaving.makeAsyncIterator()
            for _ in 0..<2 { _ = try await arrivals.next() }
            let staying = try await client.subscribe("jobs", self.options())
            if acknowledges { await leaving.acknowledge() }
            await leaving.cancel()
            let expected = acknowledges ? ["c"] : ["b", "c"]
            #expect(try await staying.account(upTo: expected.count).texts == expected)
        }
        await client.close()
    }

    @Test func `an exclusive member gets everything until it is gone, then the next one does`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        let first = try await client.subscribe("jobs", options { $0.isExclusive = true })
        let second = try await client.subscribe("jobs", options { $0.isExclusive = true })
        for number in 0..<20 { try await client.publish("\(number)", to: "jobs") }
        #expect(try await first.account(upTo: 20).texts == (0..<20).map { "\($0)" })
        await first.acknowledge()
        await first.cancel()
        for number in 20..<30 { try await client.publish("\(number)", to: "jobs") }
        #expect(try await second.account(upTo: 10).texts == (20..<30).map { "\($0)" })
        await client.close()
    }

    @Test func `options that a group's other members don't share, and names against the rules, are refused`()
        async throws
    {
        let bus = try TestBus()
        let client = try await bus.connect()
        _ = try await client.subscribe("jobs", options())
        await #expect { try await client.subscribe("jobs", options { $0.isExclusive = true }) } throws: { error in
            if case .refused(.groupConflict, _) = error as? BusError { true } else { false }
        }
        for name in ["", "a.b", "$a", String(repeating: "x", count: 65)] {
            await #expect { try await client.subscribe("jobs", options { $0.group = name }) } throws: { error in
                if case .badName(name, _) = error as? BusError { true } else { false }
            }
        }
        await client.close()
    }

    @Test func `a group that appears shortens the batches of those who publish`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        try await client.publish("open the seal", to: "jobs")
        let bounds = { @Sendable (client: isolated BusConnection) in
            let topic = client.core.publishing.topic(try! Topic("jobs"))
            return [topic.batchLengthMax, topic.batchEventCountMax]
        }
        #expect(await client.run(bounds) == [Limits.batchLengthMax, Limits.batchEventCountMax])
        let member = try await client.subscribe("jobs", options())
        try await client.publish("x", to: "jobs")
        let short = [Limits.groupBatchLengthMax, Limits.groupBatchEventCountMax]
        await eventually { await client.run(bounds) == short }
        // Events wanted together stay together all the same.
        let receipt = try await client.publish((0..<100).map { OutgoingEvent("\($0)") }, to: "jobs")
        #expect(receipt.lastSequence - receipt.firstSequence == 99)
        #expect(try await member.account(upTo: 101).texts.count == 101)
        await member.cancel()
        try await client.publish("x", to: "jobs")
        await eventually { await client.run(bounds) == [Limits.batchLengthMax, Limits.batchEventCountMax] }
        await client.close()
    }

    @Test func `nothing is lost and nothing handled twice while members come and go in order`() async throws {
        let bus = try TestBus()
        let writer = try await bus.connect("writer")
        let count = 2000
        let seen = Noted([Int](repeating: 0, count: count))
        let stayer = try await bus.connect("stayer")
        _ = try await stayer.subscribe("jobs", options()) { arrival in
            guard case .batch(let batch) = arrival else { return }
            for event in batch { seen.change { $0[Int(event.text) ?? 0] += 1 } }
        }
        let work = Task {
            for number in 0..<count { try await writer.publishWithoutReceipt(OutgoingEvent("\(number)"), to: "jobs") }
            await writer.drain()
        }
        for round in 0..<10 {
            let guest = try await bus.connect("guest \(round)")
            let handled = try await guest.subscribe("jobs", options()) { arrival in
                guard case .batch(let batch) = arrival else { return }
                for event in batch { seen.change { $0[Int(event.text) ?? 0] += 1 } }
            }
            await handled.cancel()
            await guest.close()
        }
        try await work.value
        await eventually { seen.value.allSatisfy { $0 > 0 } }
        #expect(seen.value.allSatisfy { $0 == 1 })
        await stayer.close()
        await writer.close()
    }
}
