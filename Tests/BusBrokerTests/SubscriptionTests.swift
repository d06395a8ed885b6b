// A subscription's defaults and its readiness.

import BusWire
import Testing

@testable import BusBroker

@Suite struct SubscriptionTests {
    private let bench = Bench()

    private func make(_ change: (inout Subscribe) -> Void) throws -> Subscription {
        var request = Subscribe(subscription: 1, filter: [0x61], creditEvents: 2, creditBytes: 10)
        change(&request)
        let session = try #require(bench.open(1).session)
        return Subscription(request, filter: try TopicFilter("a"), policy: .stall, serial: 1, session: session)
    }

    @Test func zeroIsTheDefaultQueue() throws {
        let queue = try make { _ in }.queue
        #expect(queue.eventCountMax == 1024 && queue.lengthMax == 4 << 20)
        let own = try make { ($0.queueEventCount, $0.queueLength) = (7, 8) }.queue
        #expect(own.eventCountMax == 7 && own.lengthMax == 8)
    }

    @Test func itIsReadyWhileBothCreditsLast() throws {
        let subscription = try make { _ in }
        #expect(subscription.hasCredit)
        subscription.sentEvents = 1
        subscription.sentBytes = 9
        #expect(subscription.hasCredit)
        subscription.sentBytes = 10
        #expect(!subscription.hasCredit)
        (subscription.sentEvents, subscription.sentBytes) = (2, 0)
        #expect(!subscription.hasCredit)
    }

    @Test func onlyARunningStallHasADeadline() throws {
        let subscription = try make { $0.stallMilliseconds = .max }
        #expect(subscription.stallTime == UInt64(UInt32.max) * 1_000_000)
        #expect(subscription.stallDeadline == nil)
        subscription.stall = .until(5)
        #expect(subscription.stallDeadline == 5)
        subscription.stall = .timedOut
        #expect(subscription.stallDeadline == nil)
    }
}
