// A subscription's defaults, what its members agree on, and who they are.

import BusWire
import Testing

@testable import BusBroker

@Suite struct SubscriptionTests {
    private let bench = Bench()

    private func make(group: String? = nil, _ change: (inout Subscribe) -> Void = { _ in }) throws -> Subscription {
        var request = Subscribe(subscription: 1, filter: [0x61], overflow: .stall, creditEvents: 2, creditBytes: 10)
        change(&request)
        return Subscription(
            request, filter: try TopicFilter("a"), group: try group.map { Group(try GroupName($0)) }, policy: .stall,
            serial: 1,
            account: Account(uid: 1, Quotas()))
    }

    @Test func aQueueIsMadeWhenItIsNeededAndZeroIsTheDefault() throws {
        let subscription = try make()
        #expect(subscription.queue == nil && !subscription.hasQueued)
        let queue = subscription.needQueue()
        #expect(queue.eventCountMax == 1024 && queue.lengthMax == 4 << 20)
        #expect(subscription.needQueue() === queue)
        let own = try make { ($0.queueEventCount, $0.queueLength) = (7, 8) }.needQueue()
        #expect(own.eventCountMax == 7 && own.lengthMax == 8)
    }

    @Test func onlyARunningStallHasADeadline() throws {
        let subscription = try make()
        #expect(subscription.stallDeadline == nil && subscription.stall == .none)
        subscription.needQueue().stall = .until(5)
        #expect(subscription.stallDeadline == 5)
        subscription.needQueue().stall = .timedOut
        #expect(subscription.stallDeadline == nil)
    }

    @Test func whatItIsFollowsFromItsModeAndItsGroup() throws {
        let alone = try make()
        #expect(!alone.isShared && !alone.isExclusive && !alone.responds)
        let exclusive = try make(group: "g") { $0.mode = [.exclusive, .responds] }
        #expect(exclusive.isShared && exclusive.isExclusive && exclusive.responds)
        #expect(exclusive.description == "exclusive, stall=0ms, answering requests")
        #expect(try make(group: "g").description == "shared, stall=0ms")
        #expect(alone.description == "stall=0ms")
    }

    @Test func membersAgreeOnModePolicyAndPatienceAndNothingElse() throws {
        let first = try make(group: "g") { ($0.mode, $0.stallMilliseconds) = (.exclusive, 5) }
        var request = Subscribe(
            subscription: 8, filter: [0x61], overflow: .stall, stallMilliseconds: 5, queueEventCount: 1, queueLength: 2,
            creditEvents: 3, creditBytes: 4, mode: .exclusive)
        #expect(first.agrees(with: request), "credit and queue are not agreed on")
        for change in [
            { $0.overflow = OverflowPolicy.latest.rawValue }, { $0.stallMilliseconds = 6 }, { $0.mode = [] },
            { $0.mode = [.exclusive, .responds] },
        ] as [(inout Subscribe) -> Void] {
            var other = request
            change(&other)
            #expect(!first.agrees(with: other))
        }
        request.mode = .exclusive
        #expect(first.agrees(with: request))
    }

    @Test func consumersStayInTheOrderInWhichTheyCame() throws {
        let peer = bench.open(1)
        let session = try #require(peer.session)
        let subscription = try make(group: "g")
        var list = ConsumerList()
        #expect(list.isEmpty && list.first == nil && Array(list).isEmpty)
        let consumers = (1...4).map { number in
            Consumer(
                Subscribe(subscription: number, filter: [0x61], creditEvents: 0, creditBytes: 0), session, subscription)
        }
        for consumer in consumers { list.append(consumer) }
        func numbers() -> [UInt32] { list.map(\.number) }
        #expect(numbers() == [1, 2, 3, 4] && list.count == 4)
        list.remove(consumers[1])
        #expect(numbers() == [1, 3, 4])
        list.remove(consumers[0])
        #expect(numbers() == [3, 4] && list.first === consumers[2], "the next one is the oldest now")
        list.remove(consumers[0])
        #expect(numbers() == [3, 4], "who isn't there can't leave")
        list.remove(consumers[3])
        list.remove(consumers[2])
        #expect(list.isEmpty && list.count == 0)
    }
}
