// What groups may hold: their queues by every policy, what members hold by their users' quotas.

import BusWire
import Testing

@testable import BusBroker

@Suite struct GroupQueueTests {
    private let bench = Bench()

    private func member(
        _ policy: OverflowPolicy, queue: UInt32, stall: UInt32? = nil
    ) -> (member: Peer, publisher: Peer, seal: UInt64) {
        let (member, publisher) = (bench.open(1), bench.open(2))
        member.subscribe(1, "a", credit: 0, queue: queue, stall: stall, policy, group: "g")
        return (member, publisher, publisher.seal("a"))
    }

    private func gap(_ reason: Reason, _ first: UInt64, _ last: UInt64) -> Gap {
        Gap(
            subscription: 1, reason: reason, count: last - first + 1, firstSequence: first, lastSequence: last,
            topic: [0x61])
    }

    @Test func theOldestMakeRoom() {
        let (member, publisher, seal) = member(.dropOldest, queue: 2)
        for _ in 0..<5 { publisher.publish(seal) }
        let effects = member.credit(1, 100)
        #expect(effects.gaps == [gap(.queueFull, 1, 3)] && effects.deliveries.sequences == [4, 5])
    }

    @Test func theNewestAreNotQueued() {
        let (member, publisher, seal) = member(.dropNewest, queue: 2)
        for _ in 0..<5 { publisher.publish(seal) }
        let effects = member.credit(1, 100)
        #expect(effects.kinds == ["deliver", "deliver", "gap"], "in its place, though nothing follows")
        #expect(effects.deliveries.sequences == [1, 2] && effects.gaps == [gap(.queueFull, 3, 5)])
        #expect(publisher.publish(seal).deliveries.sequences == [6])
    }

    @Test func onlyTheNewestOfATopicIsKept() {
        let (member, publisher, seal) = member(.latest, queue: 10)
        for _ in 0..<5 { publisher.publish(seal, events: 2) }
        let effects = member.credit(1, 100)
        #expect(effects.gaps == [gap(.superseded, 1, 9)] && effects.deliveries.sequences == [10])
    }

    @Test func aFullQueueEndsAllMembers() {
        let (member, publisher, seal) = member(.disconnect, queue: 2)
        let other = bench.open(3)
        other.subscribe(7, "a", credit: 1, .disconnect, group: "g")
        publisher.publish(seal)
        for _ in 0..<2 { publisher.publish(seal) }
        let effects = publisher.publish(seal)
        #expect(effects.endings.map(\.reason) == [.queueFull, .queueFull])
        #expect(effects.endings.map(\.subscription) == [1, 7])
        #expect(effects.endings.map(\.deliveredCount) == [0, 1] && effects.endings.map(\.missedCount) == [3, 3])
        #expect(member.session?.consumers.isEmpty == true && bench.broker.groups.isEmpty)
        #expect(bench.account()?.queued.used == 0 && bench.account()?.outstandingEvents == 0)
    }

    @Test func aStallHoldsBackPublishersAndEndsWithTheMembersCredit() {
        let (member, publisher, seal) = member(.stall, queue: 2, stall: 100)
        publisher.publish(seal)
        publisher.publish(seal)
        #expect(publisher.publish(seal).receipts.isEmpty)
        #expect(bench.broker.nextDeadline == bench.now.monotonic + 100_000_000)
        let effects = member.credit(1, 100)
        #expect(effects.deliveries.sequences == [1, 2, 3])
        #expect(effects.receipts.first?.progress == 3)
    }

    @Test func whenAStallsTimeIsOverTheOldestMakeRoom() {
        let (member, publisher, seal) = member(.stall, queue: 2, stall: 100)
        for _ in 0..<4 { publisher.publish(seal) }
        #expect(bench.pass(milliseconds: 100).receipts.first?.progress == 4)
        let effects = member.credit(1, 100)
        #expect(effects.gaps == [gap(.stallTimedOut, 1, 2)] && effects.deliveries.sequences == [3, 4])
    }

    @Test func whatIsHandedOutInItsRoundNeverOverflows() {
        for policy in [OverflowPolicy.dropOldest, .dropNewest, .disconnect, .stall] {
            let bench = Bench()
            let (member, publisher) = (bench.open(1), bench.open(2))
            member.subscribe(1, "a", queue: 1, policy, group: "g")
            let seal = publisher.seal("a")
            let frames = (0..<5).map { _ in publisher.batch(seal, events: 3) }
            for frame in frames { bench.broker.handle(.received(publisher.id, frame), at: bench.now) }
            #expect(bench.round().deliveries.sequences == Array(1...15), "\(policy)")
        }
    }

    @Test func whatComesBackIsBoundedByTheQueue() {
        let (first, second, publisher) = (bench.open(1), bench.open(2), bench.open(3))
        first.subscribe(1, "a", credit: 100, queue: 3, group: "g")
        second.subscribe(1, "a", credit: 0, group: "g")
        let seal = publisher.seal("a")
        for _ in 0..<10 { publisher.publish(seal) }
        first.leave()
        let effects = second.credit(1, 100)
        #expect(effects.gaps == [gap(.queueFull, 1, 7)])
        #expect(effects.deliveries.sequences == [8, 9, 10])
    }
}

@Suite struct OutstandingTests {
    private let bench = Bench { $0.quotas.outstandingEvents = 10 }

    @Test func nobodyIsHandedMoreThanItsUserMayHoldAndABatchBeyond() {
        let (member, publisher) = (bench.open(1, uid: 1001), bench.open(2))
        member.subscribe(1, "a", group: "g")
        let seal = publisher.seal("a")
        #expect(publisher.publish(seal, events: 8).deliveries.sequences.count == 8)
        #expect(publisher.publish(seal, events: 8).deliveries.sequences.count == 8, "the last one may overdraw")
        #expect(publisher.publish(seal).deliveries.isEmpty)
        #expect(bench.account(1001)?.outstandingEvents == 16)
        #expect(member.acknowledge(1, 1).deliveries.sequences == [17])
    }

    @Test func allMembersOfAUserShareIt() {
        let members = (1...4 as ClosedRange<UInt64>).map { bench.open($0, uid: 1001) }
        for member in members { member.subscribe(1, "a", group: "g") }
        let publisher = bench.open(9)
        let effects = publisher.publish(publisher.seal("a"), events: 40)
        #expect(effects.deliveries.sequences.count == 10)
        #expect(bench.account(1001)?.outstandingEvents == 10)
        #expect(members.allSatisfy { effects.to($0).deliveries.sequences.count >= 2 }, "and fairly")
    }

    @Test func bytesThatAreHeldCountAsEventsDo() {
        let bench = Bench { $0.quotas.outstandingLength = 3000 }
        let (member, publisher) = (bench.open(1, uid: 1001), bench.open(2))
        member.subscribe(1, "a", credit: 1_000_000, group: "g")
        let seal = publisher.seal("a")
        let sent = (0..<6).map { _ in publisher.publish(seal, payload: 900).deliveries.count }
        #expect(sent == [1, 1, 1, 1, 0, 0], "a subscriber that acknowledges nothing pins no more than it may")
        #expect(bench.account(1001)?.outstandingLength ?? 0 < 4000)
        #expect(member.acknowledge(1, 4).deliveries.count == 2)
    }

    @Test func othersGoOnForWhomNothingIsLeft() {
        let (greedy, other, publisher) = (bench.open(1, uid: 1001), bench.open(2, uid: 1002), bench.open(3))
        greedy.subscribe(1, "a", group: "g")
        other.subscribe(1, "a", group: "g")
        let seal = publisher.seal("a")
        publisher.publish(seal, events: 20)
        other.acknowledge(1, 1)
        #expect(publisher.publish(seal, events: 5).to(other).deliveries.sequences == [21, 22, 23, 24, 25])
    }

    @Test func anAcknowledgementInOneGroupLetsAnotherGoOn() {
        let (member, publisher) = (bench.open(1, uid: 1001), bench.open(2))
        member.subscribe(1, "a", group: "g")
        member.subscribe(2, "b", group: "g")
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        publisher.publish(a, events: 10)
        #expect(publisher.publish(b, events: 3).deliveries.isEmpty)
        #expect(member.acknowledge(1, 1).deliveries.map(\.subscription) == [2])
    }

    @Test func aMemberThatLeavesLetsItsUsersOtherGroupsGoOn() {
        let (first, second, publisher) = (bench.open(1, uid: 1001), bench.open(2, uid: 1001), bench.open(3))
        first.subscribe(1, "a", group: "g")
        second.subscribe(2, "b", group: "g")
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        publisher.publish(a, events: 10)
        #expect(publisher.publish(b, events: 3).deliveries.isEmpty)
        #expect(first.leave().deliveries.sequences == [1, 2, 3], "the last member of its group")
    }

    @Test func aMemberThatHandsBackLetsItsUsersOtherGroupsGoOn() {
        let (first, stranger) = (bench.open(1, uid: 1001), bench.open(2, uid: 1002))
        let (second, publisher) = (bench.open(3, uid: 1001), bench.open(4))
        first.subscribe(1, "a", group: "g", mode: .exclusive)
        stranger.subscribe(1, "a", group: "g", mode: .exclusive)
        second.subscribe(2, "b", group: "g")
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        publisher.publish(a, events: 10)
        #expect(publisher.publish(b, events: 3).deliveries.isEmpty)
        let effects = first.leave()
        #expect(effects.to(stranger).deliveries.sequences == Array(1...10))
        #expect(effects.to(second).deliveries.sequences == [1, 2, 3])
    }

    @Test func groupsThatComeAndGoWhileTheirUserIsStarvedAreForgotten() {
        let (member, publisher) = (bench.open(1, uid: 1001), bench.open(2))
        member.subscribe(1, "a", group: "g")
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        publisher.publish(a, events: 10)
        for _ in 0..<20 {
            member.subscribe(2, "b", group: "h")
            publisher.publish(b)
            member.unsubscribe(2)
        }
        #expect(bench.account(1001)?.starved.isEmpty == true)
    }
}
