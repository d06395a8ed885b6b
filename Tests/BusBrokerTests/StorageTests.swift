import BusWire
import Testing

@testable import BusBroker

@Suite struct StorageStateTests {
    @Test func `what is given next follows what the store has`() {
        var state = StoredState(incarnation: BusUUID(high: 1, low: 2), nextPosition: 77)
        state.lastDeadLetter = 5
        (state.bytesUsed, state.bytesMax) = (1000, 2000)
        let storage = Storage(state, at: Moment(monotonic: 0, wall: 0))
        #expect(storage.incarnation == state.incarnation)
        #expect(storage.nextPosition == 77 && storage.committed == 77 && storage.nextDeadLetter == 6)
        #expect(storage.bytesUsed == 1000 && storage.bytesMax == 2000 && storage.bytesUnderWay == 0)
        #expect(storage.nextTicket == 1 && storage.completions.isEmpty && storage.eventCount == 0)
    }

    @Test func `commits are timed, and status tells half and nearly all of them`() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        for duration in [100, 200, 300, 4000] as [UInt64] {
            bench.broker.handle(.stored(StoreCommit(through: 0, duration: duration)), at: bench.now)
        }
        // One that isn't known counts for nothing.
        bench.broker.handle(.stored(StoreCommit(through: 0)), at: bench.now)
        bench.endRound()
        let status = Dictionary(bench.broker.status.map { ($0.name, $0.value) }) { first, _ in first }
        guard case .number(let half)? = status["commit_p50_us"], case .number(let most)? = status["commit_p99_us"]
        else {
            Issue.record("status doesn't tell")
            return
        }
        #expect((200...212).contains(half) && (4000...4250).contains(most))
        #expect(status["commits"] == .number(5))
        _ = publisher
    }
}
