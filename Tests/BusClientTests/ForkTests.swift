import BusTesting
import BusTransport
import Glibc
import Testing

@testable import BusClient

@Suite(.timeLimit(.minutes(1))) struct ForkTests {
    @Test func `in a forked child nothing is sealed, and the parent goes on`() async throws {
        let bus = try TestBus()
        let client = try await bus.connect()
        try await client.publish("before", to: "a.b")
        // Swift hides `fork`, since a child may do little; this one only asks and leaves.
        let symbol = try #require(dlsym(nil, "fork"))
        let fork = unsafeBitCast(symbol, to: (@convention(c) @Sendable () -> pid_t).self)
        let status = try await client.run { client in
            let publisher = try client.publisher(for: "a.b")
            let child = fork()
            if child == 0 {
                try? publisher.publish(1)
                // What the round's end would do; its flush never comes.
                client.core.publishing.roundWillEnd()
                var isForked = false
                do throws(BusError) { try publisher.publish(2) } catch {
                    if case .forked = error { isForked = true }
                }
                _exit(isForked ? 0 : 1)
            }
            var status: CInt = -1
            waitpid(child, &status, 0)
            return status
        }
        #expect(status == 0)
        try await client.publish("after", to: "a.b")
        await client.close()
    }
}
