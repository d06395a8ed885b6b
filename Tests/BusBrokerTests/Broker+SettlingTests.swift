import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Settling deliveries")
struct BrokerSettlingTests {
    /// A publisher, and a worker of `work` that was delivered so many batches of four events.
    private func delivered(
        _ batches: Int = 1, mode: SubscribeMode = [], settings: [Setting] = []
    ) -> (bench: Bench, publisher: Peer, worker: Peer) {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.a", mode: mode, settings: settings)
        let seal = publisher.seal("d.a")
        bench.commit()
        for _ in 0..<batches { publisher.publish(seal, events: 4) }
        bench.commit()
        return (bench, publisher, worker)
    }

    @Test("single events of a delivery are acknowledged, the rest is still held")
    func selective() {
        let (bench, _, worker) = delivered()
        worker.settle(.acknowledge, 1, events: [1, 2])
        #expect(bench.cursor("work")?.pending.map(\.count) == [1, 1])
        #expect(worker.session?.account.outstandingEvents == 2)
        worker.settle(.acknowledge, 1)
        #expect(bench.cursor("work")?.pending == [])
        #expect(worker.session?.account.outstandingLength == 0)
    }

    @Test("events that a delivery didn't bring are settled by nobody: all of that frame is refused")
    func stranger() {
        let (bench, publisher, worker) = delivered()
        worker.settle(.retry, 1, events: [1, 2])
        let again = bench.pass(milliseconds: 130).deliveries
        #expect(again.map { $0.delivery } == [2])
        for events in [[1, 3], [0], [0, 1, 2, 3]] {
            let refused = worker.settle(.acknowledge, 2, events: events).errors
            #expect(refused.map(\.reason) == [.acknowledgedUnsent])
        }
        #expect(worker.session?.account.outstandingEvents == 4)
        // What it brought and was settled before is passed over.
        #expect(worker.settle(.acknowledge, 2, events: [1]).errors.isEmpty)
        #expect(worker.settle(.reject, 2, events: [1, 2]).errors.isEmpty)
        #expect(worker.session?.account.outstandingEvents == 2)
        // None named are those it brought; and one that is over says nothing.
        #expect(worker.settle(.acknowledge, 2).errors.isEmpty)
        #expect(worker.settle(.acknowledge, 2, events: [0]).errors.isEmpty)
        #expect(worker.settle(.acknowledge, 3).errors.map(\.reason) == [.acknowledgedUnsent])
        _ = publisher
    }

    @Test("of a dead letter of several events one is dropped, one redriven, and the others stay")
    func letterInParts() {
        let (bench, _, worker) = delivered()
        worker.settle(.reject, 1)
        bench.commit()
        func cut(_ place: UInt64) -> [FoundDeadLetter] {
            (bench.store?.disk.deadLetters.values).map(Array.init)?.compactMap { letter in
                letter.only([letter.position + place]).map { FoundDeadLetter($0) }
            } ?? []
        }
        #expect(bench.durable("work")?.durable?.deadCount == 4)
        bench.round(.administered(worker.id, request: 1, .dropped(cut(1))))
        bench.commit()
        #expect(bench.durable("work")?.durable?.deadCount == 3)
        let done = bench.round(.administered(worker.id, request: 2, .redriven(cut(2)))) + bench.commit()
        #expect(done.deliveries.sequences == [3])
        #expect(bench.store?.disk.deadLetters.values.map(\.selection) == [[0b1001]])
        #expect(bench.durable("work")?.durable?.deadCount == 2)
        #expect(cut(1).isEmpty && cut(3).count == 1)
    }

    @Test("what is retried comes again after its pause, with its attempt, and alone")
    func retried() {
        let (bench, _, worker) = delivered()
        #expect(worker.settle(.retry, 1, events: [2], because: "busy").deliveries.isEmpty)
        #expect(bench.pass(milliseconds: 79).deliveries.isEmpty)
        let again = bench.pass(milliseconds: 42).deliveries
        #expect(again.sequences == [3])
        #expect(again.map(\.attempt) == [2])
    }

    @Test("a pause as long as may be said is a day at most, and overflows nothing")
    func hugeDelay() {
        let (bench, _, worker) = delivered()
        worker.settle(.retry, 1, delay: .max)
        #expect(bench.pass(milliseconds: 86_300_000).deliveries.isEmpty)
        #expect(bench.pass(milliseconds: 200_000).deliveries.sequences == [1, 2, 3, 4])
    }

    @Test("what isn't acknowledged in time comes again; who says that it goes on has more time")
    func timeout() {
        let (bench, _, worker) = delivered(settings: [Setting(.acknowledgeWait, 1_000_000)])
        bench.pass(milliseconds: 900)
        worker.settle(.extend, 1)
        #expect(bench.pass(milliseconds: 900).deliveries.isEmpty)
        var got: [Deliver] = []
        for _ in 0..<10 where got.isEmpty { got = bench.pass(milliseconds: 100).deliveries }
        #expect(got.sequences == [1, 2, 3, 4])
        #expect(got.first?.attempt == 2)
    }

    @Test("who holds all that it may goes on when a delivery is taken back from another")
    func takenBack() {
        let settings = [Setting(.acknowledgeWait, 1_000_000), Setting(.outstandingCountMax, 4)]
        let (bench, publisher, _) = delivered(1, mode: .shared, settings: settings)
        let other = bench.open(3)
        other.attend("work", mode: .shared)
        let seal = publisher.seal("d.a")
        publisher.publish(seal, events: 4)
        #expect(bench.commit().deliveries.isEmpty)
        var got: [Deliver] = []
        for _ in 0..<20 where got.isEmpty { got = bench.pass(milliseconds: 100).deliveries }
        #expect(got.sequences.contains(5))
    }

    @Test("after its last attempt, or when it is rejected, an event is a dead letter with its reason")
    func dead() {
        let (bench, _, worker) = delivered(settings: [Setting(.attemptCountMax, 2)])
        let rejected = worker.settle(.reject, 1, events: [0], because: "bad data").deadLetters
        #expect(rejected.map(\.reason) == [.rejected])
        #expect(rejected.first?.message == "bad data")
        worker.settle(.retry, 1, events: [1])
        bench.pass(milliseconds: 130)
        let given = worker.settle(.retry, 2, because: "still").deadLetters
        #expect(given.map(\.reason) == [.attemptsExhausted])
        #expect(given.first?.attempts == 2)
        bench.commit()
        #expect(bench.durable("work")?.durable?.deadCount == 2)
        #expect(bench.cursor("work")?.pending.map(\.first) == [3])
    }

    @Test("what ends its only consumer each time is given up on, too")
    func poison() {
        let (bench, _, worker) = delivered(settings: [Setting(.attemptCountMax, 3)])
        var letters = worker.leave().deadLetters
        for id in UInt64(10)...12 {
            let next = bench.open(id)
            #expect(next.attend("work").deliveries.count + bench.round().deliveries.count <= 1)
            letters += next.leave().deadLetters
        }
        #expect(letters.map(\.reason) == [.attemptsExhausted])
        #expect(letters.first?.attempts == 3)
    }

    @Test("what a member held that is gone goes to the others at once")
    func passedOn() {
        let (bench, _, worker) = delivered(1, mode: .shared)
        let other = bench.open(3)
        other.attend("work", mode: .shared)
        let got = worker.leave()
        #expect(got.deliveries.sequences == [1, 2, 3, 4])
        #expect(got.deliveries.first?.attempt == 2)
    }

    @Test("word of what was never delivered is an error; word that comes late is not")
    func wrong() {
        let (_, _, worker) = delivered()
        #expect(worker.settle(.acknowledge, 0).errors.map(\.reason) == [.acknowledgedUnsent])
        #expect(worker.settle(.acknowledge, 2).errors.map(\.reason) == [.acknowledgedUnsent])
        #expect(worker.settle(.acknowledge, .max).errors.map(\.reason) == [.acknowledgedUnsent])
        #expect(worker.settle(.acknowledge, 1, events: [4]).errors.map(\.reason) == [.acknowledgedUnsent])
        #expect(worker.settle(.acknowledge, 1, of: 7).errors.map(\.reason) == [.unknownSubscription])
        var odd = Settle(.acknowledge, subscription: 1, delivery: 1)
        odd.settlement = 200
        #expect(worker.send(.settle(odd)).errors.map(\.reason) == [.notSupported])
        #expect(worker.settle(.acknowledge, 1).errors.isEmpty)
        #expect(worker.settle(.reject, 1).errors.isEmpty)
    }

    @Test("only durable subscriptions settle")
    func live() {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a")
        #expect(peer.settle(.acknowledge, 1).errors.map(\.reason) == [.notSupported])
    }

    @Test("who retries everything is handed more only when some of it is due: memory is bounded")
    func bounded() {
        let bench = Bench.durable()
        let (publisher, worker) = (bench.open(1), bench.open(2))
        worker.attend("work", "d.a", credit: 1 << 40, settings: [Setting(.attemptCountMax, 1000)])
        let seal = publisher.seal("d.a")
        bench.commit()
        var settled: UInt64 = 0
        for _ in 0..<60 {
            for _ in 0..<4 { publisher.publish(seal, payload: 200_000) }
            bench.commit()
            worker.drained()
            while settled < worker.session?.consumers[1]?.lastDelivery ?? 0 {
                settled += 1
                worker.settle(.retry, settled, delay: 80_000_000)
                worker.drained()
            }
        }
        #expect(settled < 240)
        #expect(bench.durable("work")?.durable?.delayedLength ?? 0 < 32 << 20)
        #expect(bench.account()?.windowLength ?? 0 < 64 << 20)
    }
}
