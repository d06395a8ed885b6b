import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Looking after what is stored")
struct BrokerTendingTests {
    private let day: UInt64 = 86_400_000

    private func stored(_ count: Int, settings: [Setting]) -> (bench: Bench, publisher: Peer, seal: UInt64) {
        let bench = Bench.durable(settings: settings)
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        for _ in 0..<count {
            publisher.publish(seal)
            bench.commit()
        }
        return (bench, publisher, seal)
    }

    /// Time passes, and what follows from it is written.
    private func pass(_ bench: Bench, _ milliseconds: UInt64) -> [Effect] {
        bench.pass(milliseconds: milliseconds) + bench.commit() + bench.pass(milliseconds: 2000) + bench.commit()
    }

    @Test("what is over its number, or too old, goes")
    func retention() {
        let (bench, _, _) = stored(5, settings: [Setting(.retentionCount, 2)])
        _ = pass(bench, 2000)
        #expect(bench.store?.disk.batches.map(\.firstSequence) == [4, 5])
        #expect(bench.topic("d.a")?.stored.eventCount == 2)
        _ = pass(bench, 8 * day)
        #expect(bench.store?.disk.batches.isEmpty == true)
    }

    @Test("but nothing that somebody hasn't acknowledged")
    func floor() {
        let (bench, publisher, seal) = stored(1, settings: [Setting(.retentionCount, 1)])
        let worker = bench.open(2)
        worker.attend("work", "d.a")
        bench.commit()
        for _ in 0..<3 { publisher.publish(seal) }
        bench.commit()
        worker.acknowledge(1, 1)
        _ = pass(bench, 2000)
        #expect(bench.store?.disk.batches.map(\.firstSequence) == [3, 4])
        worker.acknowledge(1, 3)
        _ = pass(bench, 2000)
        #expect(bench.store?.disk.batches.map(\.firstSequence) == [4])
    }

    @Test("nor what somebody went back to while the store looked for what may go")
    func wentBack() throws {
        let (bench, publisher, _) = stored(4, settings: [Setting(.retentionCount, 0)])
        publisher.attend("work", "d.a")
        bench.commit()
        let number = try #require(bench.topic("d.a")?.storeNumber)
        publisher.administer(.seekSubscription, "work", start: .all)
        bench.commit()
        let effects = bench.round(.retained(topic: number, before: 4, firstTime: 0))
        #expect(!effects.writes.contains { if case .trim = $0 { true } else { false } })
        bench.commit()
        #expect(bench.store?.disk.batches.count == 4)
    }

    @Test("who hadn't had what goes with its topic is told")
    func deleted() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        publisher.administer(.createTopic, filter: "e.>")
        let seal = publisher.seal("e.a")
        bench.commit()
        publisher.administer(.createSubscription, "work", filter: "e.>", start: .all)
        for _ in 0..<3 { publisher.publish(seal) }
        bench.commit()
        publisher.administer(.deleteTopic, filter: "e.>")
        bench.commit()
        let gaps = bench.open(2).attend("work").gaps
        #expect(gaps.map(\.reason) == [.purged] && gaps.first?.count == 3)
    }

    @Test("a hard limit removes it, and who comes too late is told how much")
    func hard() {
        let bench = Bench.durable(settings: [Setting(.retentionCount, 2), Setting(.retentionIsHard, 1)])
        let publisher = bench.open(1)
        publisher.administer(.createSubscription, "work", filter: "d.a")
        let seal = publisher.seal("d.a")
        bench.commit()
        for _ in 0..<6 { publisher.publish(seal) }
        bench.commit()
        _ = pass(bench, 2000)
        let got = bench.open(2).attend("work") + bench.round()
        let gap = got.gaps.first
        #expect(got.gaps.map(\.reason) == [.retention])
        #expect(gap?.count == 4 && gap?.firstSequence == 1 && gap?.lastSequence == 4)
        #expect(got.deliveries.sequences == [5, 6])
    }

    @Test("a purge is told as one")
    func purge() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        publisher.administer(.createSubscription, "work", filter: "d.a")
        let seal = publisher.seal("d.a")
        bench.commit()
        for _ in 0..<3 { publisher.publish(seal) }
        bench.commit()
        publisher.administer(.purgeTopic, "d.a")
        #expect(bench.commit().administered.map(\.count) == [3])
        publisher.publish(seal)
        bench.commit()
        let got = bench.open(2).attend("work") + bench.round()
        #expect(got.gaps.map(\.reason) == [.purged])
        #expect(got.gaps.first?.count == 3)
        #expect(got.deliveries.sequences == [4])
    }

    @Test("a purge is told also when the daemon went before anybody had read anything from the beginning on")
    func purgedBeforeTheFirstRead() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        bench.commit()
        for _ in 0..<3 { publisher.publish(seal) }
        bench.commit()
        publisher.administer(.createSubscription, "work", filter: "d.a", start: .all)
        bench.commit()
        publisher.administer(.purgeTopic, "d.a")
        bench.commit()
        let next = bench.crashed()
        let got = next.open(2).attend("work") + next.round()
        #expect(got.gaps.map(\.reason) == [.purged])
        #expect(got.gaps.first?.lastSequence == 3)
    }

    @Test("and when somebody came while it was under way, read on behind it, and went without having been told")
    func purgedWhileSomebodyCame() {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        let seal = publisher.seal("d.a")
        bench.commit()
        for _ in 0..<3 { publisher.publish(seal) }
        bench.commit()
        publisher.administer(.createSubscription, "work", filter: "d.a", start: .all)
        bench.commit()
        publisher.administer(.purgeTopic, "d.a")
        publisher.publish(seal)
        // It is on disk, and could be read, before the broker hears of it.
        _ = bench.store?.commit()
        let worker = bench.open(2)
        worker.attend("work", credit: 0)
        worker.unsubscribe(1)
        _ = bench.store?.commit()
        let next = bench.crashed()
        let got = next.open(3).attend("work") + next.round()
        #expect(got.gaps.map(\.reason) == [.purged])
        #expect(got.deliveries.sequences == [4])
    }

    /// A consumer at the end with four events handed to it, or kept for it, of which a purge takes three.
    private func purged(credit: UInt64) -> (bench: Bench, worker: Peer) {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.>", credit: credit)
        let seals = [publisher.seal("d.a"), publisher.seal("d.b")]
        bench.commit()
        for seal in [seals[0], seals[1], seals[0], seals[0]] {
            publisher.publish(seal)
            bench.commit()
        }
        bench.pass(milliseconds: 200)
        bench.commit()
        publisher.administer(.purgeTopic, "d.a")
        bench.commit()
        return (bench, worker)
    }

    @Test(
        "what a consumer held, or was kept in memory for it, is missed when it left and it was removed",
        arguments: [0, 2, 9])
    func purgedWhileLive(credit: UInt64) {
        let (bench, worker) = purged(credit: credit)
        worker.leave()
        let got = bench.open(3).attend("work") + bench.round()
        #expect(got.gaps.map(\.reason) == [.purged])
        #expect(got.gaps.first?.count == 3)
        #expect(got.gaps.first?.topic == Array("d.a".utf8))
        #expect(got.deliveries.map(\.batch).count == 1)
        worker.leave()
        #expect((bench.open(4).attend("more", "d.>", start: .all) + bench.round()).gaps.isEmpty)
    }

    @Test("what was on its way to the disk when it was removed is missed by who left before it was there")
    func purgedOnItsWay() {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.>")
        let seals = [publisher.seal("d.a"), publisher.seal("d.b")]
        bench.commit()
        publisher.publish(seals[0])
        bench.commit()
        worker.acknowledge(1, 1)
        publisher.publish(seals[0])
        publisher.publish(seals[1])
        publisher.administer(.purgeTopic, "d.a")
        worker.leave()
        bench.commit()
        let got = bench.open(3).attend("work") + bench.round()
        #expect(got.gaps.map(\.reason) == [.purged])
        #expect(got.gaps.first?.topic == Array("d.a".utf8))
        #expect(got.deliveries.count == 1)
        bench.pass(milliseconds: 2000)
        bench.commit()
        publisher.administer(.purgeTopic, "d.a")
        #expect(bench.commit().gaps.isEmpty, "and is told once")
    }

    @Test("what was kept in memory of a topic that is deleted and made again is missed by who leaves")
    func deletedAndMadeAgain() {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        publisher.administer(.createTopic, filter: "e.>")
        worker.attend("work", "e.>", credit: 0)
        let seal = publisher.seal("e.a")
        bench.commit()
        publisher.publish(seal)
        bench.commit()
        publisher.administer(.deleteTopic, filter: "e.>")
        publisher.administer(.createTopic, filter: "e.>")
        bench.commit()
        worker.leave()
        let got = bench.open(3).attend("work") + bench.round()
        #expect(got.gaps.map(\.reason) == [.purged] && got.gaps.first?.count == 1)
    }

    @Test("who missed what two wishes removed is told each once", arguments: [false, true])
    func purgedTwice(atOnce: Bool) {
        let bench = Bench.durable()
        let publisher = bench.open(1)
        publisher.administer(.createSubscription, "work", filter: "d.a")
        let seal = publisher.seal("d.a")
        bench.commit()
        for _ in 0..<2 {
            publisher.publish(seal)
            publisher.publish(seal)
            if !atOnce { bench.commit() }
            publisher.administer(.purgeTopic, "d.a")
            publisher.administer(.purgeTopic, "d.a")
            if !atOnce { bench.commit() }
        }
        bench.commit()
        let got = bench.open(2).attend("work") + bench.round()
        #expect(got.gaps.map(\.reason) == [.purged])
        #expect(got.gaps.compactMap(\.count).reduce(0, +) == 4)
    }

    @Test("and after a crash", arguments: [UInt64(0), 2, 9])
    func purgedBeforeACrash(credit: UInt64) {
        let (bench, _) = purged(credit: credit)
        bench.pass(milliseconds: 200)
        bench.commit()
        let got = bench.crashed().open(3).attend("work")
        #expect(got.gaps.map(\.reason) == [.purged])
        #expect(got.gaps.first?.count == 3)
        #expect(got.deliveries.count == 1)
    }

    @Test("a loss that nobody was told before the daemon went is told by the next one")
    func lossBeforeACrash() {
        let bench = Bench.durable(settings: [Setting(.retentionCount, 2), Setting(.retentionIsHard, 1)])
        let publisher = bench.open(1)
        publisher.administer(.createSubscription, "work", filter: "d.a")
        publisher.administer(.createSubscription, "other", filter: "d.c")
        let (a, b) = (publisher.seal("d.a"), publisher.seal("d.b"))
        bench.commit()
        for seal in [b, a, a, a, a, a, a, b] { publisher.publish(seal) }
        bench.commit()
        _ = pass(bench, 2000)
        let next = bench.crashed()
        let got = next.open(2).attend("work")
        #expect(got.gaps.map(\.reason) == [.retention])
        #expect(got.gaps.first?.lastSequence == 4)
        #expect(got.gaps.first?.count == nil)
        #expect(got.deliveries.sequences == [5, 6])
        #expect(next.open(3).attend("other").gaps.isEmpty)
        // Once, and not once more for each daemon.
        next.pass(milliseconds: 200)
        next.commit()
        #expect(next.crashed().open(2).attend("work").gaps.isEmpty)
    }

    @Test("who had everything that is removed isn't told of a loss after a crash")
    func nothingLost() {
        let (bench, publisher, seal) = stored(0, settings: [Setting(.retentionCount, 1)])
        let worker = bench.open(2)
        worker.attend("work", "d.a")
        bench.commit()
        for _ in 0..<3 { publisher.publish(seal) }
        bench.commit()
        worker.acknowledge(1, 3)
        // The sweep comes before the next save would.
        _ = bench.pass(milliseconds: 2000) + bench.commit()
        #expect(bench.store?.disk.batches.count == 1)
        #expect(bench.crashed().open(3).attend("work").gaps.isEmpty)
    }

    @Test("a clock that is set ahead makes nothing too old", arguments: [-30, 30])
    func clock(days: Int64) {
        let (bench, _, _) = stored(2, settings: [])
        bench.now.wall += days * 86_400_000_000
        _ = pass(bench, 5000)
        #expect(bench.store?.disk.batches.count == 2)
    }

    @Test("a subscription nobody attends is reported, and removed where it says so")
    func unattended() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        peer.administer(.createSubscription, "kept", filter: "d.a")
        peer.administer(
            .createSubscription, "short", filter: "d.a", settings: [Setting(.unattendedMax, 3_600_000_000)])
        bench.commit()
        _ = pass(bench, 3_590_000)
        #expect(bench.durable("short") != nil)
        _ = pass(bench, 20_000)
        #expect(bench.durable("short") == nil)
        let told = pass(bench, 30 * day)
        #expect(told.count { if case .tend(.unattended) = $0 { true } else { false } } == 1)
        #expect(bench.durable("kept") != nil)
        #expect(bench.broker.storedStatus.contains(InspectedValue("unattended_subscriptions", 1)))
    }

    @Test("one that somebody attended until the daemon went isn't removed before anybody can come back")
    func attendedUntilTheEnd() {
        let bench = Bench.durable()
        let worker = bench.open(1)
        worker.attend("work", "d.a", settings: [Setting(.unattendedMax, 7_200_000_000)])
        bench.commit()
        for _ in 0..<5 { _ = pass(bench, 3_600_000) }
        let next = bench.crashed()
        _ = pass(next, 60_000)
        #expect(next.durable("work") != nil)
        next.open(1).leave()
        for _ in 0..<5 { _ = pass(next, 3_600_000) }
        #expect(next.durable("work") == nil)
    }

    @Test("a clock set back while the last consumer leaves doesn't make it long ago")
    func leftAtAWrongTime() {
        let bench = Bench.durable()
        let worker = bench.open(1)
        worker.attend("work", "d.a", settings: [Setting(.unattendedMax, 3_600_000_000)])
        bench.commit()
        _ = pass(bench, 4_000_000)
        bench.now.wall -= 86_400_000_000
        worker.leave()
        _ = pass(bench, 60_000)
        #expect(bench.durable("work") != nil)
    }

    @Test("dead letters are looked after when their subscription is deleted, too")
    func deadOfTheDeleted() {
        let (bench, publisher, seal) = stored(0, settings: [])
        publisher.attend("work", "d.a")
        bench.commit()
        publisher.publish(seal)
        bench.commit()
        #expect(publisher.settle(.reject, 1).deadLetters.count == 1)
        publisher.administer(.deleteSubscription, "work")
        bench.commit()
        #expect(pass(bench, 61_000).contains { if case .tend(.deadLetters) = $0 { true } else { false } })
        let next = bench.crashed()
        #expect(pass(next, 61_000).contains { if case .tend(.deadLetters) = $0 { true } else { false } })
    }

    @Test("ledger and ids are trimmed to what is kept, dead letters are looked after once there were any")
    func records() {
        let (bench, publisher, seal) = stored(5, settings: [Setting(.retentionCount, 2)])
        publisher.attend("work", "d.a")
        publisher.publish(seal)
        bench.commit()
        publisher.settle(.reject, 1)
        bench.commit()
        var done = pass(bench, 2000) + pass(bench, 61_000)
        #expect(done.writes.contains { if case .trimLedger(let before) = $0 { before > 1 } else { false } })
        #expect(done.writes.contains { if case .trimIDs = $0 { true } else { false } })
        #expect(done.contains { if case .tend(.deadLetters) = $0 { true } else { false } })
        let letters = bench.store?.disk.deadLetters.values.map { FoundDeadLetter($0) } ?? []
        done = bench.round(.deadTrimmed(letters)) + bench.commit()
        #expect(bench.store?.disk.deadLetters.isEmpty == true)
        #expect(bench.durable("work")?.durable?.deadCount == 0)
        #expect(done.deadLetters.isEmpty)
    }
}
