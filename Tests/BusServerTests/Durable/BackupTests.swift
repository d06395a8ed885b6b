import BusClient
import BusTesting
import BusWire
import Glibc
import Testing

/// Copies of a running store, and daemons that begin with one.
@Suite(.timeLimit(.minutes(1))) struct BackupTests {
    private func mode(_ path: String) -> mode_t {
        var status = stat()
        return stat(path, &status) == 0 ? status.st_mode & 0o777 : 0
    }

    @Test func `a place in a directory that isn't there is named`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        let parent = bus.directory.path + "/missing"
        await expectRefusal(.storeUnavailable, naming: "no directory \(parent) ", "\(parent)/copy") {
            try await client.administer(.backup, key: parent + "/copy")
        }
        await client.close()
    }

    @Test func `a daemon on a copy has everything up to then, is another store, and goes its own way`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        let id = BusUUID.random()
        var event = OutgoingEvent("1")
        event.id = id
        try await client.publish(event, to: "jobs.a")
        try await client.publish(texts: ["2", "3"], to: "jobs.a")
        try await client.administer(.createSubscription, key: "workers", filter: "jobs.>", start: .last)
        let copy = bus.directory.path + "/copy"
        try await client.administer(.backup, key: copy)
        try await client.publish(texts: ["4"], to: "jobs.a")
        // Without the root key nobody can read it: that isn't in it.
        #expect(access(copy + "/root.key", F_OK) != 0)
        #expect(throws: TestBusError.self) { try TestBus.durable(state: copy) }
        let key = TemporaryDirectory.read(bus.state + "/root.key")
        bus.directory.write("copy/root.key", key)

        let other = try TestBus.durable(state: copy)
        let reader = try await other.connect("reader")
        var taking = Taking(try await reader.subscribe("jobs.>", .reading(from: .all)))
        #expect(try await taking.untilCaughtUp().events.map(\.text) == ["1", "2", "3"])
        #expect(try await reader.publish(event, to: "jobs.a").isDuplicate)
        #expect(try await reader.publish("other 4", to: "jobs.a").firstSequence == 4)
        let (one, two) = (try await client.row(.status, ""), try await reader.row(.status, ""))
        let incarnation = try #require(one["incarnation_store"])
        #expect(incarnation != two["incarnation_store"] && two["incarnation_store"] != nil)
        #expect(try await client.rows(.topics).first { $0["topic"] == "jobs.a" }?["stored_events"] == "4")
        await reader.close()
        await client.close()
    }

    @Test func `files of a copy are for their owner alone`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        try await client.publish("1", to: "jobs.a")
        let copy = bus.directory.path + "/copy"
        try await client.administer(.backup, key: copy)
        #expect(mode(copy) == 0o700)
        for name in ["store.db", "store.head", "keyring"] { #expect(mode(copy + "/" + name) == 0o600, "\(name)") }
        await client.close()
    }

    @Test func `a copy is never written over another, or where nothing can be written`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        try await client.publish("1", to: "jobs.a")
        let copy = bus.directory.path + "/copy"
        try await client.administer(.backup, key: copy)
        let before = TemporaryDirectory.read(copy + "/keyring")
        let refused: [(String, Reason)] = [
            (copy, .invalidSetting), ("/proc/none", .storeUnavailable), (bus.socket, .storeUnavailable),
            (bus.state, .storeUnavailable),
        ]
        for (path, reason) in refused {
            await expectRefusal(reason, naming: path) { try await client.administer(.backup, key: path) }
        }
        #expect(TemporaryDirectory.read(copy + "/keyring") == before)
        #expect(try await client.publish("2", to: "jobs.a").isDurable)
        await client.close()
    }

    @Test func `every row of a healthy store is found to be whole`() async throws {
        let bus = try TestBus.durable()
        let client = try await bus.connect("client")
        try await client.publish(texts: (0..<50).map { "\($0)" }, to: "jobs.a")
        #expect(try await client.administer(.scrub) == 0)
        await client.close()
    }
}
