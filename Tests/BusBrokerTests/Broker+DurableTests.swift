import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Durable subscriptions")
struct BrokerDurableTests {
    @Test("one that rests keeps its place: what came meanwhile is delivered, and nothing twice")
    func rests() {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.>")
        let seal = publisher.seal("d.a")
        bench.commit()
        publisher.publish(seal, events: 2)
        bench.commit()
        worker.acknowledge(1, 1)
        worker.leave()
        publisher.publish(seal, events: 3)
        #expect(bench.commit().deliveries.isEmpty)
        let back = bench.open(3)
        let got = back.attend("work") + bench.round()
        #expect(got.deliveries.sequences == [3, 4, 5])
        #expect(got.deliveries.allSatisfy { $0.attempt == 1 && !$0.mayBeRepeated })
    }

    @Test("it begins where it says", arguments: [Start.new, .all, .last, .since(1_700_000_060_000_000), .sequence(2)])
    func starts(start: Start) {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        let seal = publisher.seal("d.a")
        for _ in 0..<3 {
            publisher.publish(seal)
            bench.commit()
            bench.pass(milliseconds: 40_000)
        }
        let got = worker.attend("work", "d.a", start: start) + bench.commit()
        let expected: [UInt64] =
            switch start {
            case .new: []
            case .all: [1, 2, 3]
            case .last: [3]
            case .since: [3]
            case .sequence: [2, 3]
            }
        #expect(got.deliveries.sequences == expected)
        #expect(got.markers.count == 1)
        publisher.publish(seal)
        #expect(bench.commit().deliveries.sequences == [4])
    }

    @Test("one that begins with last events has only those of what is older, after a restart as well")
    func lastAfterRestart() {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        let (a, b) = (publisher.seal("d.a"), publisher.seal("d.b"))
        for seal in [a, b, b, b] {
            publisher.publish(seal)
            bench.commit()
        }
        worker.attend("work", "d.>", credit: 0, start: .last)
        bench.commit()
        bench.pass(milliseconds: 200)
        bench.commit()
        let next = bench.crashed()
        let got = next.open(1).attend("work") + next.round()
        #expect(got.deliveries.sequences == [1, 3])
    }

    @Test("what contradicts itself is refused, and nothing is made")
    func refused() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        func reason(_ effects: [Effect]) -> Reason? {
            #expect(effects.writes.isEmpty)
            return effects.errors.first?.reason
        }
        #expect(reason(peer.attend("work", "d.*", start: .sequence(3))) == .badFilter)
        #expect(reason(peer.attend("work")) == .unknownName)
        #expect(reason(peer.attend("a.b", "d.a")) == .badGroup)
        #expect(reason(peer.attend("work", "live")) == .notDurable)
        #expect(reason(peer.attend("work", "d.a", mode: [.shared, .exclusive])) == .notSupported)
        #expect(reason(peer.attend("work", "d.a", mode: .responds)) == .notSupported)
        #expect(reason(peer.attend("work", "d.a", settings: [Setting(.attemptCountMax, -1)])) == .invalidSetting)
        #expect(
            reason(peer.attend("work", "d.a", settings: [Setting(SettingKey(rawValue: 999), 1)])) == .invalidSetting)
        #expect(bench.durable("work") == nil)
        #expect(bench.account()?.subscriptionCount == 0)
    }

    @Test("who joins must agree, and one that is alone takes no second")
    func joins() {
        let bench = Bench.durable()
        let (first, second) = (bench.open(1), bench.open(2))
        first.attend("work", "d.a")
        first.attend("team", "d.a", as: 2, mode: .shared)
        #expect(second.attend("work").errors.map(\.reason) == [.consumerExists])
        #expect(second.attend("work", "d.b").errors.map(\.reason) == [.nameTaken])
        #expect(second.attend("work", "d.a", mode: .shared).errors.map(\.reason) == [.nameTaken])
        #expect(second.attend("work", start: .all).errors.map(\.reason) == [.nameTaken])
        #expect(second.attend("team").errors.isEmpty)
    }

    @Test("of an exclusive one the oldest consumer gets everything, and the next when it is gone")
    func exclusive() {
        let bench = Bench.durable()
        let (publisher, first, second) = (bench.open(1), bench.open(2), bench.open(3))
        first.attend("work", "d.a", mode: .exclusive)
        second.attend("work", "d.a", mode: .exclusive)
        let seal = publisher.seal("d.a")
        bench.commit()
        publisher.publish(seal)
        #expect(bench.commit().frames(to: second).isEmpty)
        let got = first.leave()
        #expect(got.frames(to: second).count { if case .deliver = $0 { true } else { false } } == 1)
    }

    @Test("more than fits into memory is read page by page, all of it and in order")
    func pages() {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.a", credit: 0)
        let seal = publisher.seal("d.a")
        bench.commit()
        for _ in 0..<80 {
            publisher.publish(seal, payload: 100_000)
            bench.commit()
        }
        #expect(bench.durable("work")?.queue?.length ?? 0 <= 5 << 20)
        var got = worker.credit(1, 1000).deliveries
        for _ in 0..<200 { got += worker.drained().deliveries }
        #expect(got.sequences == Array(1...80))
    }

    @Test("what a user's subscriptions keep in memory is bounded, and each goes on in turn")
    func quota() {
        let bench = Bench.durable { $0.quotas.queuedLength = 5 << 20 }
        let (publisher, worker) = (bench.open(1), bench.open(2))
        let seal = publisher.seal("d.a")
        for _ in 0..<15 { publisher.publish(seal, payload: 100_000) }
        bench.commit()
        for number in UInt32(1)...8 { worker.attend("s\(number)", "d.a", as: number, credit: 0, start: .all) }
        bench.commit()
        #expect(bench.account()?.windowLength ?? .max <= 6 << 20)
        #expect(bench.account()?.hungry.isEmpty == false)
        var counts: [UInt32: Int] = [:]
        for number in UInt32(1)...8 { worker.credit(number, 1000) }
        for _ in 0..<300 {
            for delivery in worker.drained().deliveries { counts[delivery.subscription, default: 0] += 1 }
        }
        #expect(bench.broker.storage?.hungry.isEmpty == true)
        #expect(bench.account()?.windowLength == 0)
        #expect((UInt32(1)...8).allSatisfy { bench.durable("s\($0)")?.durable?.catchUp.isLive == true })
    }

    @Test("unsubscribing leaves the subscription, and its maker's account, as they were")
    func unsubscribed() {
        let bench = Bench.durable()
        let (owner, guest) = (bench.open(1), bench.open(2, uid: 1001))
        owner.attend("work", "d.a")
        owner.unsubscribe(1)
        guest.attend("work")
        #expect(bench.account(1001)?.subscriptionCount == 1)
        guest.leave()
        owner.leave()
        #expect(bench.account()?.isForgettable == false)
        #expect(bench.account(1001) == nil)
        #expect(bench.durable("work") != nil)
    }

    @Test("without acknowledgement what was delivered is done")
    func unacknowledged() {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.a", mode: .unacknowledged)
        let seal = publisher.seal("d.a")
        bench.commit()
        publisher.publish(seal, events: 3)
        #expect(bench.commit().deliveries.sequences == [1, 2, 3])
        #expect(bench.account()?.outstandingEvents == 0)
        #expect(bench.cursor("work")?.pending == [])
    }
}
