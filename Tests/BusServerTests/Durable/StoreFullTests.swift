import BusClient
import BusTesting
import BusWire
import Testing

/// A store as long as it may be: what makes room still works, and then everything does again.
@Suite(.timeLimit(.minutes(2))) struct StoreFullTests {
    private static let payload = [UInt8](repeating: 3, count: 20_000)

    /// Publishes until that is refused; the number of events that were receipted.
    private func fill(_ client: BusConnection, _ topic: String) async throws -> Int {
        for count in 0..<1000 {
            do throws(BusError) {
                _ = try await client.publish(OutgoingEvent(Self.payload), to: topic)
            } catch {
                let why = refusal(error)
                #expect(why?.reason == .storeFull && why?.message.contains("max-bytes") == true, "\(error)")
                return count
            }
        }
        Issue.record("it was never full")
        return 1000
    }

    /// Waits until something can be published again.
    private func published(_ client: BusConnection, _ topic: String) async throws {
        await eventually("room") {
            do {
                return try await client.publish(OutgoingEvent(Self.payload), to: topic).isDurable
            } catch {
                #expect(refusal(error)?.reason == .storeFull)
                return false
            }
        }
    }

    @Test func `publishes are refused, all that was receipted is read and acknowledged, and a purge makes room`()
        async throws
    {
        let bus = try TestBus.durable("store: {max-bytes: 2MiB}")
        let client = try await bus.connect("client")
        let subscription = try await client.subscribe("jobs.>", .durable())
        let count = try await fill(client, "jobs.a")
        #expect(count > 50)
        // Live topics know nothing of it.
        try await client.publish("live", to: "other")
        var taking = Taking(subscription)
        #expect(try await taking.events(count).map(\.sequence) == Array(1...UInt64(count)))
        await subscription.acknowledge()
        try await eventually { try await client.row(.durableSubscriptions, "workers")["pending"] == "0" }
        try await client.administer(.createSubscription, key: "others", filter: "jobs.>", start: .all)
        #expect(try await client.administer(.purgeTopic, key: "jobs.a") == UInt64(count))
        try await published(client, "jobs.a")
        await client.close()
    }

    @Test func `one that is full stays so over a restart, with all that was receipted, and deleting makes room`()
        async throws
    {
        let bus = try TestBus.durable("store: {max-bytes: 2MiB}")
        let client = try await bus.connect("client")
        try await client.administer(.createTopic, filter: "orders.>", settings: [Setting(.durable, 1)])
        let count = try await fill(client, "orders.a")
        bus.kill()
        try bus.start()
        let later = try await bus.connect("later")
        await expectRefusal(.storeFull, naming: "max-bytes") {
            _ = try await later.publish(OutgoingEvent(Self.payload), to: "jobs.a")
        }
        var taking = Taking(try await later.subscribe("orders.>", .reading(from: .all)))
        #expect(try await taking.untilCaughtUp().events.count == count)
        try await later.administer(.deleteTopic, filter: "orders.>")
        try await published(later, "jobs.a")
        await later.close()
        await client.close()
    }
}
