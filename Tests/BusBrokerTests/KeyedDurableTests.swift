// Ordering keys of what is stored: what is tried again holds back what follows it, and nothing else.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct KeyedDurableTests {
    private let bench = Bench.durable()

    /// A publisher on `d.a` and workers of `work`.
    private func workers(
        _ count: UInt64 = 1, mode: SubscribeMode = [], credit: UInt64 = 1000, settings: [Setting] = []
    ) -> (publisher: Peer, seal: UInt64, workers: [Peer]) {
        let publisher = bench.open(99)
        let workers = (1...count).map { bench.open($0) }
        for worker in workers { worker.attend("work", "d.a", credit: credit, mode: mode, settings: settings) }
        let seal = publisher.seal("d.a")
        bench.commit()
        return (publisher, seal, workers)
    }

    private func publish(_ publisher: Peer, _ seal: UInt64, _ keys: [UInt64]) -> [Effect] {
        publisher.publish(seal, keys: keys) + bench.commit()
    }

    private func pass(_ milliseconds: UInt64) -> [Deliver] { bench.pass(milliseconds: milliseconds).deliveries }

    @Test func `what is retried takes back what follows it of its key, and comes before it`() {
        let (publisher, seal, workers) = workers()
        _ = publish(publisher, seal, [7, 8, 7, 0, 7])
        #expect(workers[0].settle(.retry, 1, events: [0]).deliveries.isEmpty)
        #expect(workers[0].session?.consumers[1]?.outstanding == 2, "8 and the one without a key are still its")
        #expect(publish(publisher, seal, [7, 0]).deliveries.sequences == [7])
        #expect(pass(79).isEmpty)
        let again = pass(42)
        #expect(again.sequences == [1, 3, 5, 6])
        #expect(again.map(\.attempt) == [2, 1, 1], "only the first one was tried")
        #expect(again.map(\.mayBeRepeated) == [true, true, false])
    }

    @Test func `a late word about what was taken back changes nothing`() {
        let (publisher, seal, workers) = workers()
        _ = publish(publisher, seal, [7, 7])
        _ = publish(publisher, seal, [7])
        workers[0].settle(.retry, 1, events: [0])
        #expect(workers[0].settle(.acknowledge, 1).errors.isEmpty)
        #expect(workers[0].acknowledge(1, 2).errors.isEmpty)
        #expect(bench.durable("work")?.durable?.acknowledgedCount == 0)
        #expect(pass(200).sequences == [1, 2, 3])
    }

    @Test func `other keys and events without one go on meanwhile`() {
        let (publisher, seal, workers) = workers(2, mode: .shared)
        let first = publish(publisher, seal, [7])
        let holder = first.to(workers[0]).deliveries.isEmpty ? workers[1] : workers[0]
        holder.settle(.retry, 1, delay: 60_000)
        #expect(publish(publisher, seal, [7, 8, 0]).deliveries.sequences.sorted() == [3, 4])
        #expect(publish(publisher, seal, [7, 9]).deliveries.sequences == [6])
        let later = pass(60_000)
        #expect(later.sequences == [1, 2, 5])
        #expect(Set(later.map(\.attempt)) == [1, 2])
    }

    @Test func `what wasn't acknowledged in time comes again with all that follows it, counted once`() {
        let (publisher, seal, _) = workers(settings: [Setting(.acknowledgeWait, 1_000_000)])
        _ = publish(publisher, seal, [7])
        _ = publish(publisher, seal, [7])
        var got: [Deliver] = []
        for _ in 0..<20 where got.isEmpty { got = pass(100) }
        #expect(got.sequences == [1, 2])
        #expect(got.map(\.attempt) == [2, 1])
    }

    @Test func `given up on, an event lets the next of its key go on`() {
        let (publisher, seal, workers) = workers(settings: [Setting(.attemptCountMax, 2)])
        _ = publish(publisher, seal, [7])
        workers[0].settle(.retry, 1)
        _ = publish(publisher, seal, [7, 7])
        #expect(pass(130).sequences == [1, 2, 3])
        let letters = workers[0].settle(.retry, 2).deadLetters
        #expect(letters.map(\.reason) == [.attemptsExhausted])
        #expect(workers[0].session?.consumers[1]?.outstanding == 2, "what follows it stays where it is")
        #expect(workers[0].settle(.reject, 3, events: [0]).deadLetters.map(\.position) == [2])
        #expect(publish(publisher, seal, [7]).deliveries.sequences == [4])
    }

    @Test func `several of one delivery keep their order, with others taken back between them`() {
        let (publisher, seal, workers) = workers()
        _ = publish(publisher, seal, [7, 7, 7, 7])
        workers[0].settle(.retry, 1, events: [1, 3])
        #expect(workers[0].session?.consumers[1]?.outstanding == 1)
        let again = pass(200)
        #expect(again.sequences == [2, 3, 4])
        #expect(again.map(\.attempt) == [2, 1, 2])
    }

    @Test func `what becomes due early waits for an earlier one of its key`() {
        let (publisher, seal, workers) = workers()
        _ = publish(publisher, seal, [7])
        _ = publish(publisher, seal, [7])
        workers[0].settle(.retry, 2)
        workers[0].settle(.retry, 1, delay: 10_000)
        #expect(pass(5000).isEmpty)
        #expect(pass(5000).sequences == [1, 2])
    }

    @Test func `an earlier one that is held is no reason to wait: its holder goes on`() {
        let (publisher, seal, workers) = workers(2, mode: .shared)
        let first = publish(publisher, seal, [7])
        let holder = first.to(workers[0]).deliveries.isEmpty ? workers[1] : workers[0]
        _ = publish(publisher, seal, [7])
        holder.settle(.retry, 2)
        let again = bench.pass(milliseconds: 200)
        #expect(again.to(holder).deliveries.sequences == [2])
    }

    @Test func `a consumer that goes leaves its keys in order, behind what is tried again and before what waits`() {
        let (publisher, seal, workers) = workers(2, mode: .shared, credit: 4)
        let first = publish(publisher, seal, [7, 7, 7, 7])
        let holder = first.to(workers[0]).deliveries.isEmpty ? workers[1] : workers[0]
        let other = holder === workers[0] ? workers[1] : workers[0]
        other.credit(1, 100)
        _ = publish(publisher, seal, [7, 7])
        holder.settle(.retry, 1, events: [2], delay: 5000)
        let passed = holder.leave()
        #expect(passed.to(other).deliveries.sequences == [1, 2])
        #expect(passed.to(other).deliveries.map(\.attempt) == [2])
        #expect(pass(5000).sequences == [3, 4, 5, 6])
    }

    @Test func `who stands by takes over what its forerunner had, and what waits to be tried again stays in order`() {
        let (publisher, seal, workers) = workers(2, mode: .exclusive)
        _ = publish(publisher, seal, [7, 7, 8, 0])
        workers[0].settle(.retry, 1, events: [0], delay: 5000)
        #expect(workers[0].leave().to(workers[1]).deliveries.sequences == [3, 4])
        #expect(publish(publisher, seal, [7, 8]).deliveries.sequences == [6])
        #expect(pass(5000).sequences == [1, 2, 5])
    }

    @Test func `what is redriven is outside of the order, and keeps nothing waiting`() {
        let (publisher, seal, workers) = workers()
        _ = publish(publisher, seal, [7, 7])
        workers[0].settle(.reject, 1, events: [0])
        workers[0].settle(.acknowledge, 1)
        bench.pass(milliseconds: 200)
        bench.commit()
        _ = publish(publisher, seal, [7])
        let again = workers[0].administer(.redriveDead, "work").deliveries + bench.commit().deliveries
        #expect(again.sequences == [1])
        #expect(publish(publisher, seal, [7]).deliveries.sequences == [4])
    }

    @Test func `the last one gone, nothing settled comes again and the rest does in order`() {
        let (publisher, seal, workers) = workers(2, mode: .shared, credit: 2)
        let first = publish(publisher, seal, [7, 7])
        let holder = first.to(workers[0]).deliveries.isEmpty ? workers[1] : workers[0]
        let other = holder === workers[0] ? workers[1] : workers[0]
        other.credit(1, 100)
        #expect(publish(publisher, seal, [7, 8, 7, 0]).to(other).deliveries.sequences == [4, 6])
        other.acknowledge(1, 1)
        #expect(bench.cursor("work")?.pending.map(\.first) == [1, 3, 5])
        bench.broker.handle(.disconnected(holder.id), at: bench.now)
        bench.broker.handle(.disconnected(other.id), at: bench.now)
        bench.endRound()
        _ = bench.drain()
        let next = bench.open(30)
        let again = next.attend("work") + bench.round()
        #expect(again.to(next).deliveries.sequences == [1, 2, 3, 5])
    }

    @Test func `after a crash what was handed out and what waited comes in order`() {
        let (publisher, seal, workers) = workers(1, mode: .shared)
        _ = publish(publisher, seal, [7, 8, 7])
        _ = publish(publisher, seal, [7, 0])
        workers[0].settle(.retry, 1, events: [0], delay: 10_000)
        workers[0].settle(.acknowledge, 1, events: [1])
        bench.pass(milliseconds: 200)
        bench.commit()
        let next = bench.crashed()
        let worker = next.open(30)
        let again = (worker.attend("work") + next.round()).to(worker).deliveries
        #expect(again.sequences == [1, 3, 4, 5])
        #expect(again.map(\.attempt) == [2, 1, 1, 2], "what was taken back wasn't tried")
        #expect(again.allSatisfy { $0.mayBeRepeated })
    }

    @Test func `taken back and read again, an event still says that somebody may have had it`() {
        let (publisher, seal, workers) = workers()
        _ = publish(publisher, seal, [7, 7])
        workers[0].settle(.retry, 1, events: [0])
        workers[0].leave()
        let next = bench.open(30)
        let again = (next.attend("work") + bench.round()).to(next).deliveries
        #expect(again.sequences == [1, 2])
        #expect(again.map(\.attempt) == [2, 1])
        #expect(again.last?.mayBeRepeated == true)
    }

    @Test func `where nothing is acknowledged no key is anybody's`() {
        let (publisher, seal, workers) = workers(2, mode: [.shared, .unacknowledged])
        for _ in 0..<4 { _ = publish(publisher, seal, [7]) }
        #expect(bench.durable("work")?.group?.keys == nil)
        #expect(workers.allSatisfy { $0.session?.consumers[1]?.outstanding == 0 })
    }

    @Test func `who retries everything of a key is handed more only when some of it is due`() {
        let (publisher, seal, workers) = workers(credit: 1 << 40, settings: [Setting(.attemptCountMax, 1000)])
        var settled: UInt64 = 0
        for round in 0..<60 {
            for number in 0..<4 {
                publisher.publish(seal, keys: [UInt64(round * 4 + number + 1)], payload: 200_000)
            }
            bench.commit()
            workers[0].drained()
            while settled < workers[0].session?.consumers[1]?.lastDelivery ?? 0 {
                settled += 1
                workers[0].settle(.retry, settled, delay: 80_000_000)
                workers[0].drained()
            }
        }
        #expect(settled < 240)
        #expect(bench.durable("work")?.group?.keys?.length ?? 0 < 32 << 20)
    }

    @Test func `who takes one at a time gets all that is due, each key in its order`() {
        let (publisher, seal, workers) = workers(credit: 60)
        for number in 0..<60 { _ = publish(publisher, seal, [UInt64(number % 20 + 1)]) }
        for delivery in UInt64(1)...20 { workers[0].settle(.retry, delivery) }
        #expect(workers[0].session?.consumers[1]?.outstanding == 0, "what follows came back with them")
        #expect(pass(200).isEmpty)
        var got: [Deliver] = []
        for credit in UInt64(61)...120 {
            got += workers[0].credit(1, credit).deliveries
            if credit % 2 == 0, let last = got.last { got += workers[0].settle(.acknowledge, last.delivery).deliveries }
        }
        #expect(got.count == 60)
        for key in UInt64(0)..<20 {
            #expect(got.sequences.filter { $0 % 20 == (key + 1) % 20 } == [1, 21, 41].map { $0 + key })
        }
    }

    @Test func `seek and deletion forget what waits`() {
        let (publisher, seal, workers) = workers()
        _ = publish(publisher, seal, [7, 7, 8])
        workers[0].settle(.retry, 1, events: [0], delay: 10_000)
        #expect(bench.durable("work")?.group?.keys?.waitingCount == 2)
        workers[0].administer(.seekSubscription, "work", start: .all)
        bench.commit()
        #expect((bench.round().deliveries + pass(10)).sequences.isEmpty, "they came with the answer")
        #expect(bench.durable("work")?.group?.keys?.isEmpty == true)
        workers[0].settle(.retry, workers[0].session?.consumers[1]?.lastDelivery ?? 0)
        workers[0].administer(.deleteSubscription, "work")
        bench.commit()
        #expect(bench.durable("work") == nil)
    }
}
