import BusTesting
import BusTransport
import Testing

@testable import BusClient

@Suite struct ExecutorTests {
    @Test func `publishing and iterating inside run change no thread`() async throws {
        let bus = try TestBus()
        let connection = try await bus.connect()
        let subscription = try await connection.subscribe("here.>")
        let wakeups = try await connection.run { connection in
            var arrivals = subscription.batches.makeAsyncIterator()
            let before = connection.core.reactor.wakeupCount
            for number in 0..<100 {
                try await connection.publishWithoutReceipt(OutgoingEvent("\(number)"), to: "here.there")
                guard case .batch(let batch)? = try await arrivals.next() else { continue }
                #expect(batch.count == 1)
            }
            return connection.core.reactor.wakeupCount - before
        }
        // The timer of a waiting round may add one; each event would have been one.
        #expect(wakeups <= 2)
        await connection.close()
        await bus.shutDown()
    }
}
