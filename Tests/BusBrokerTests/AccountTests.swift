// What a user holds, and when it holds nothing.

import BusWire
import Testing

@testable import BusBroker

@Suite struct AccountTests {
    @Test func anAccountIsIdleWhenEverythingButTopicsIsGivenBack() {
        let account = Account(uid: 7, Quotas())
        account.topicCount = 3
        account.retainedLength = 10
        #expect(account.isIdle && !account.isForgettable)
        for charge in [\Account.connectionCount, \.subscriptionCount, \.parkedLength, \.requestCount] {
            account[keyPath: charge] += 1
            #expect(!account.isIdle)
            account[keyPath: charge] -= 1
        }
        account.outstandingEvents = 1
        #expect(!account.isIdle)
        account.outstandingEvents = 0
        account.queued.charge(1, from: 8)
        #expect(!account.isIdle)
        account.queued.giveBack(1, from: 8)
        #expect(account.isIdle)
        (account.topicCount, account.retainedLength) = (0, 0)
        #expect(account.isForgettable)
    }
}

@Suite struct LongQueueTests {
    private let portions = Portions()

    private func subscription(_ serial: UInt64, queued: Int) throws -> Subscription {
        let request = Subscribe(subscription: 1, filter: [0x61], creditEvents: 0, creditBytes: 0)
        let subscription = Subscription(
            request, filter: try TopicFilter("a"), group: nil, policy: .dropOldest, serial: serial,
            account: portions.account)
        guard queued > 0 else { return subscription }
        subscription.needQueue().append(try portions.make("a", at: 1, payload: queued))
        portions.account.enlist(subscription)
        return subscription
    }

    @Test func queuesThatHoldSomethingAreListedOnceAndTakenOut() throws {
        let account = portions.account
        let all = try (1...5).map { try subscription(UInt64($0), queued: 10) }
        for subscription in all { account.enlist(subscription) }
        #expect(account.queues.count == 5 && !account.isIdle)
        account.delist(all[0])
        account.delist(all[0])
        account.delist(all[4])
        #expect(Set(account.queues.map(\.serial)) == [2, 3, 4])
        #expect(account.queues.enumerated().allSatisfy { $0.element.queue?.place == $0.offset })
        for subscription in all { account.delist(subscription) }
        #expect(account.queues.isEmpty && account.isIdle)
    }

    @Test func aLongQueuePaysBeforeTheOneThatWasToGrow() throws {
        let account = portions.account
        let long = try subscription(1, queued: 100_000)
        let short = try (2...8).map { try subscription(UInt64($0), queued: 10) }
        for _ in 0..<20 { #expect(account.longQueue(or: short[3]) === long) }
        #expect(account.longQueue(or: long) === long)
    }

    @Test func withoutAnyQueueTheOneThatWasToGrowPays() throws {
        let alone = try subscription(1, queued: 0)
        #expect(portions.account.longQueue(or: alone) === alone)
    }

    @Test func amongManyEveryLongOneIsFoundInTurns() throws {
        let account = portions.account
        let all = try (0..<40).map { try subscription(UInt64($0), queued: $0 % 8 == 0 ? 50_000 : 10) }
        var found: Set<UInt64> = []
        for _ in 0..<100 { found.insert(account.longQueue(or: all[1]).serial) }
        #expect(found == [0, 8, 16, 24, 32], "in any eight of these one is long")
    }
}
