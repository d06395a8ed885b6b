import BusClient
import BusTesting
import BusWire
import Testing

/// What one user may hold in the store.
@Suite(.timeLimit(.minutes(1))) struct StoredQuotaTests {
    private static let payload = [UInt8](repeating: 3, count: 20_000)

    @Test func `beyond its quota a user is refused, a restart forgets nothing, and a purge makes room`() async throws {
        let bus = try TestBus.durable("quotas: {stored_bytes: 50KiB}")
        let client = try await bus.connect("client")
        for _ in 0..<2 { try await client.publish(OutgoingEvent(Self.payload), to: "jobs.a") }
        await expectRefusal(.quotaExceeded, naming: "stored_bytes", "of 51200") {
            _ = try await client.publish(OutgoingEvent(Self.payload), to: "jobs.b")
        }
        // What fits still does, and live topics know nothing of it.
        try await client.publish("small", to: "jobs.b")
        try await client.publish(OutgoingEvent(Self.payload), to: "other")
        bus.kill()
        try bus.start()
        let later = try await bus.connect("later")
        await expectRefusal(.quotaExceeded, naming: "stored_bytes") {
            _ = try await later.publish(OutgoingEvent(Self.payload), to: "jobs.b")
        }
        let row = try #require(try await later.rows(.users).first)
        #expect(row["stored_bytes_limit"] == "51200")
        #expect(row["stored_bytes_used"].flatMap(Int.init).map { $0 > 40_000 && $0 < 51_200 } == true)
        try await later.administer(.purgeTopic, key: "jobs.a")
        await eventually("room") {
            do {
                return try await later.publish(OutgoingEvent(Self.payload), to: "jobs.b").isDurable
            } catch {
                #expect(refusal(error)?.reason == .quotaExceeded)
                return false
            }
        }
        await later.close()
        await client.close()
    }
}
