// Groups: each event to one member, by what each has to do; who leaves leaves nothing undone.

import BusWire
import Testing

@testable import BusBroker

@Suite struct GroupSharingTests {
    private let bench = Bench()

    /// A publisher with a seal on `a`, and members of group `g` on it, one a session.
    private func group(
        _ count: UInt64, credit: UInt64 = 1000, mode: SubscribeMode = [], queue: UInt32 = 0
    ) -> (publisher: Peer, seal: UInt64, members: [Peer]) {
        let members = (1...count).map { bench.open($0) }
        for member in members { member.subscribe(1, "a", credit: credit, queue: queue, group: "g", mode: mode) }
        let publisher = bench.open(99)
        return (publisher, publisher.seal("a"), members)
    }

    @Test func eachEventGoesToOneMember() {
        let (publisher, seal, members) = group(3)
        let effects = publisher.publish(seal, events: 9)
        #expect(effects.deliveries.count == 3)
        #expect(effects.deliveries.sequences.sorted() == Array(1...9))
        for member in members { #expect(effects.to(member).deliveries.sequences.count == 3) }
        #expect(effects.receipts.first?.receipts.first?.liveMatches == 1, "a group counts as one")
        #expect(bench.account()?.outstandingEvents == 9)
    }

    /// A round that brings batches of these many events.
    private func burst(_ publisher: Peer, _ seal: UInt64, _ counts: [UInt32]) -> [Effect] {
        let frames = counts.map { publisher.batch(seal, events: $0) }
        for frame in frames { bench.broker.handle(.received(publisher.id, frame), at: bench.now) }
        return bench.round()
    }

    @Test func aBatchIsCutOnlyWhereThereAreFewerThanMembers() {
        let (publisher, seal, members) = group(2)
        let whole = burst(publisher, seal, [4, 4, 4, 4])
        #expect(members.map { whole.to($0).deliveries.sequences.count } == [8, 8])
        #expect(whole.deliveries.allSatisfy { $0.selection.isEmpty })
        let uneven = burst(publisher, seal, [10, 4, 3, 1])
        #expect(uneven.deliveries.allSatisfy { $0.selection.isEmpty }, "nearly fair is good enough")
        #expect(uneven.deliveries.sequences.sorted() == Array(17...34))
        #expect(members.map { uneven.to($0).deliveries.sequences.count }.sorted() == [8, 10])
        #expect(!burst(publisher, seal, [6]).deliveries.allSatisfy { $0.selection.isEmpty }, "one is fewer than two")
    }

    @Test func whatOneTookBeyondItsShareIsMadeGoodLater() {
        let (publisher, seal, members) = group(2, credit: 100_000)
        var counts = [0, 0]
        for _ in 0..<50 {
            let effects = burst(publisher, seal, [64, 3, 5, 17])
            for (index, member) in members.enumerated() {
                counts[index] += effects.to(member).deliveries.sequences.count
            }
        }
        #expect(counts.reduce(0, +) == 50 * 89)
        #expect(abs(counts[0] - counts[1]) <= 64, "never by more than a batch")
    }

    @Test func aDeliveryOfAPartNamesTheWholeBatchAndItsFirstPosition() throws {
        let (publisher, seal, _) = group(2)
        let effects = publisher.publish(seal, events: 10)
        #expect(effects.deliveries.map(\.firstSequence) == [1, 1])
        #expect(effects.deliveries.map(\.attempt) == [1, 1])
        let parts = try effects.deliveries.map { try Selection($0.selection, of: 10) }
        #expect(parts.map { $0.count(of: 10) } == [5, 5])
    }

    @Test func whoHasLeastToDoGetsTheNextOnes() {
        let (publisher, seal, members) = group(2)
        publisher.publish(seal, events: 8)
        members[0].acknowledge(1, 1)
        #expect(bench.account()?.outstandingEvents == 4)
        let effects = publisher.publish(seal, events: 4)
        #expect(effects.to(members[0]).deliveries.sequences == [9, 10, 11, 12])
        #expect(effects.to(members[1]).deliveries.isEmpty)
        let level = publisher.publish(seal, events: 4)
        #expect(level.to(members[0]).deliveries.sequences.count == 2)
        #expect(level.to(members[1]).deliveries.sequences.count == 2)
    }

    @Test func equalsTakeTurnsInGettingTheOneThatIsLeft() {
        let (publisher, seal, members) = group(3)
        var counts = [0, 0, 0]
        for _ in 0..<9 {
            let effects = publisher.publish(seal)
            for (index, member) in members.enumerated() {
                let deliveries = effects.to(member).deliveries
                counts[index] += deliveries.count
                if let last = deliveries.last { member.acknowledge(1, last.delivery) }
            }
        }
        #expect(counts == [3, 3, 3])
    }

    @Test func whatNobodyHasCreditForWaitsForWhoeverIsReadyFirst() {
        let (publisher, seal, members) = group(2, credit: 0)
        #expect(burst(publisher, seal, [1, 1, 1, 1, 1, 1]).deliveries.isEmpty)
        #expect(members[1].credit(1, 2).deliveries.sequences == [1, 2])
        #expect(members[0].credit(1, 3).to(members[0]).deliveries.sequences == [3, 4, 5])
        #expect(members[1].credit(1, 100).deliveries.sequences == [6])
        #expect(bench.account()?.queued.used == 0)
    }

    @Test func aMemberThatDoesNotReadIsPassedOver() {
        let (publisher, seal, members) = group(2)
        members[0].blocked()
        #expect(publisher.publish(seal, events: 4).to(members[1]).deliveries.sequences == [1, 2, 3, 4])
        members[1].blocked()
        #expect(publisher.publish(seal, events: 4).deliveries.isEmpty)
        #expect(members[0].drained().to(members[0]).deliveries.sequences == [5, 6, 7, 8])
    }

    @Test func whatEndsAtAMembersRoundGoesToTheNextOne() {
        let bench = Bench { $0.roundLengthMax = 500 }
        let members = [bench.open(1), bench.open(2)]
        for member in members { member.subscribe(1, "a", group: "g") }
        let publisher = bench.open(3)
        let seal = publisher.seal("a")
        let frames = (0..<6).map { _ in publisher.batch(seal, payload: 400) }
        for frame in frames { bench.broker.handle(.received(publisher.id, frame), at: bench.now) }
        let effects = bench.round()
        #expect(effects.deliveries.count == 4, "each one batch, and one that overdraws its round")
        #expect(effects.gaps.isEmpty)
        #expect((members[0].drained() + members[1].drained()).deliveries.count == 2)
    }

    @Test func onlyMembersOfTheSameFilterAndNameShare() {
        let (publisher, seal, _) = group(1)
        let others = [bench.open(11), bench.open(12), bench.open(13)]
        others[0].subscribe(1, "a", group: "h")
        others[1].subscribe(1, "*", group: "g")
        others[2].subscribe(1, "a")
        let effects = publisher.publish(seal)
        #expect(effects.deliveries.count == 4)
        #expect(effects.receipts.first?.receipts.first?.liveMatches == 4)
    }

    @Test func oneSessionMayBeSeveralMembers() {
        let peer = bench.open(1)
        peer.subscribe(1, "a", group: "g")
        peer.subscribe(2, "a", group: "g")
        let effects = peer.publish(peer.seal("a"), events: 4)
        #expect(effects.deliveries.map(\.subscription).sorted() == [1, 2])
        #expect(effects.deliveries.sequences.sorted() == [1, 2, 3, 4])
    }

    @Test func anExclusiveGroupsOldestMemberGetsEverything() {
        let (publisher, seal, members) = group(3, mode: .exclusive)
        for _ in 0..<3 {
            let effects = publisher.publish(seal, events: 5)
            #expect(effects.to(members[0]).deliveries.sequences.count == 5 && effects.deliveries.count == 1)
        }
        members[0].blocked()
        #expect(publisher.publish(seal).deliveries.isEmpty, "the others stand by, and don't help out")
        #expect(members[0].drained().deliveries.sequences == [16])
    }
}

@Suite struct GroupLeavingTests {
    private let bench = Bench()

    private func group(
        _ count: UInt64, mode: SubscribeMode = [], bench: Bench
    ) -> (publisher: Peer, seal: UInt64, members: [Peer]) {
        let members = (1...count).map { bench.open($0) }
        for member in members { member.subscribe(1, "a", group: "g", mode: mode) }
        let publisher = bench.open(99)
        return (publisher, publisher.seal("a"), members)
    }

    @Test func whatWasNotAcknowledgedGoesToTheOthersAtOnceAsASecondAttempt() {
        let (publisher, seal, members) = group(2, bench: bench)
        members[1].blocked()
        for _ in 0..<3 { publisher.publish(seal, events: 2) }
        members[0].acknowledge(1, 1)
        #expect(members[0].leave().deliveries.isEmpty, "nobody can take it now")
        #expect(bench.account()?.outstandingEvents == 0)
        let effects = members[1].drained()
        #expect(effects.deliveries.sequences == [3, 4, 5, 6])
        #expect(effects.deliveries.map(\.attempt) == [2, 2])
    }

    @Test func itComesBeforeWhatWaits() {
        let (publisher, seal, members) = group(1, bench: bench)
        publisher.publish(seal, events: 2)
        members[0].blocked()
        publisher.publish(seal, events: 2)
        let second = bench.open(5)
        #expect(second.subscribe(1, "a", group: "g").deliveries.sequences == [3, 4])
        let effects = members[0].unsubscribe(1)
        #expect(effects.deliveries.sequences == [1, 2] && effects.deliveries.first?.attempt == 2)
    }

    @Test func whoUnsubscribesLeavesItToTheOthersToo() {
        let (publisher, seal, members) = group(2, bench: bench)
        publisher.publish(seal, events: 8)
        let effects = members[0].unsubscribe(1)
        #expect(effects.endings.map(\.deliveredCount) == [4])
        #expect(effects.to(members[1]).deliveries.sequences.count == 4)
        #expect(bench.account()?.outstandingEvents == 8)
        #expect(publisher.publish(seal, events: 2).to(members[1]).deliveries.sequences == [9, 10])
    }

    @Test func aPartGoesOnAsAPart() throws {
        let (publisher, seal, members) = group(3, bench: bench)
        publisher.publish(seal, events: 9)
        let mine = members[0].session?.consumers[1]?.holding?.portions.first?.portion.sequences
        let effects = members[0].leave()
        #expect(effects.deliveries.sequences.sorted() == Array(try #require(mine)))
        #expect(effects.deliveries.allSatisfy { $0.attempt == 2 && $0.firstSequence == 1 })
    }

    @Test func thirdAndFurtherAttemptsAreCounted() {
        let (publisher, seal, members) = group(4, mode: .exclusive, bench: bench)
        #expect(publisher.publish(seal).deliveries.map(\.attempt) == [1])
        #expect(members[0].leave().deliveries.map(\.attempt) == [2])
        #expect(members[1].leave().deliveries.map(\.attempt) == [3])
        members[2].acknowledge(1, 1)
        #expect(members[2].leave().deliveries.isEmpty, "somebody has handled it")
        #expect(publisher.publish(seal).deliveries.map(\.attempt) == [1])
    }

    @Test func whatEndsEverybodyWhoTakesItIsGivenUp() {
        let bench = Bench { $0.attemptCountMax = 3 }
        let (publisher, seal, members) = group(5, mode: .exclusive, bench: bench)
        publisher.publish(seal, events: 2)
        publisher.publish(seal)
        members[0].leave()
        members[1].leave()
        #expect(members[2].leave().deliveries.isEmpty, "three had it")
        let effects = publisher.publish(seal)
        #expect(
            effects.gaps == [
                Gap(
                    subscription: 1, reason: .attemptsExhausted, count: 3, firstSequence: 1, lastSequence: 3,
                    topic: [0x61])
            ])
        #expect(effects.kinds.filter { $0 == "gap" || $0 == "deliver" } == ["gap", "deliver"])
        #expect(effects.deliveries.sequences == [4])
        #expect(members[3].subscription(1)?.missedCount == 3)
    }

    @Test func theStandbyGoesOnWhereTheOldestStopped() {
        let (publisher, seal, members) = group(3, mode: .exclusive, bench: bench)
        publisher.publish(seal, events: 3)
        members[0].acknowledge(1, 1)
        publisher.publish(seal, events: 3)
        let effects = members[0].leave()
        #expect(effects.to(members[1]).deliveries.sequences == [4, 5, 6])
        #expect(publisher.publish(seal).to(members[1]).deliveries.sequences == [7])
        let late = bench.open(7)
        late.subscribe(1, "a", group: "g", mode: .exclusive)
        members[1].leave()
        #expect(publisher.publish(seal).to(members[2]).deliveries.sequences == [8], "the next oldest, not the newest")
    }

    @Test func withItsLastMemberAGroupEndsWithAllThatWaits() {
        let (publisher, seal, members) = group(1, bench: bench)
        publisher.publish(seal, events: 2)
        members[0].blocked()
        publisher.publish(seal, events: 2)
        members[0].leave()
        #expect(bench.broker.groups.isEmpty && bench.broker.filters.isEmpty)
        #expect(bench.account()?.queued.used == 0 && bench.account()?.outstandingEvents == 0)
        #expect(publisher.publish(seal).receipts.first?.receipts.first?.liveMatches == 0)
        let again = bench.open(8)
        again.subscribe(1, "a", group: "g")
        #expect(publisher.publish(seal).deliveries.sequences == [6], "another group of the same name")
    }

    @Test func lossesAreToldToWhoGoesOnAndAtLastToTheLast() {
        let (first, second, publisher) = (bench.open(1), bench.open(2), bench.open(3))
        for member in [first, second] { member.subscribe(1, "a", credit: 0, queue: 2, group: "g") }
        let seal = publisher.seal("a")
        for _ in 0..<5 { publisher.publish(seal) }
        let left = first.unsubscribe(1)
        #expect(left.gaps.isEmpty && left.endings.map(\.missedCount) == [3], "its account is its group's")
        let last = second.unsubscribe(1)
        #expect(last.kinds == ["gap", "unsubscribed"] && last.gaps.first?.count == 3)
    }

    @Test func chargesMoveToTheNextOldestUser() {
        let (first, second, publisher) = (bench.open(1, uid: 1001), bench.open(2, uid: 1002), bench.open(3))
        for member in [first, second] { member.subscribe(1, "a", credit: 0, group: "g") }
        let seal = publisher.seal("a")
        for _ in 0..<3 { publisher.publish(seal, payload: 100) }
        let charged = bench.account(1001)?.queued.used ?? 0
        #expect(charged > 300 && bench.account(1002)?.queued.used == 0)
        first.unsubscribe(1)
        #expect(bench.account(1001)?.queued.used == 0 && bench.account(1002)?.queued.used == charged)
        #expect(bench.account(1001)?.queues.isEmpty == true && bench.account(1002)?.queues.count == 1)
        #expect(bench.account(1002)?.queued.allowance(of: 1000) == (256 << 20) / 2, "the publisher's share came along")
        second.credit(1, 100)
        #expect(bench.account(1002)?.queued.used == 0)
    }
}
