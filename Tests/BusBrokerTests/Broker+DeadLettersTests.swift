// What is told of dead letters: what it says, when, to whom, and what it costs where nobody listens.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("Telling of dead letters")
struct BrokerDeadLettersTests {
    /// A publisher, a worker of `work` that was delivered so many batches of four events, and a listener.
    private func delivered(
        _ batches: Int = 1, settings: [Setting] = [], listening filter: String? = "$dead.>", ids: [BusUUID] = []
    ) -> (bench: Bench, publisher: Peer, worker: Peer, listener: Peer) {
        let bench = Bench.durable()
        let (publisher, worker, listener) = (bench.open(1), bench.open(2), bench.open(3))
        worker.attend("work", "d.a", settings: settings)
        if let filter { listener.subscribe(1, filter) }
        let seal = publisher.seal("d.a")
        bench.commit()
        var columns = BatchColumns()
        if !ids.isEmpty { columns.id = .each(ids) }
        for _ in 0..<batches {
            publisher.send(publisher.batch(seal, events: 4, columns: columns) { $0.firstID = ids.first ?? $0.firstID })
        }
        bench.commit()
        return (bench, publisher, worker, listener)
    }

    private func words(_ bench: Bench) -> [[DeadLetterWord]] {
        bench.advised.map { batch in
            batch.compactMap { if case .deadLetter(let word) = $0 { word } else { nil } }
        }
    }

    @Test("a letter is told of when it is on disk, and not before: which events, why, and how many there are now")
    func word() throws {
        let (bench, _, worker, listener) = delivered()
        #expect(worker.settle(.reject, 1, events: [1, 3], because: "bad data").kinds == ["store"])
        #expect(words(bench).isEmpty)
        let effects = bench.commit()
        #expect(effects.to(listener).deliveries.count == 1)
        #expect(effects.to(listener).grants.map(\.description) == ["$dead.work"])
        #expect(effects.to(listener).announcements.map(\.publisher) == ["busd"])
        #expect(effects.to(worker).deliveries.isEmpty)
        let word = try #require(words(bench).first?.first)
        let stored = try #require(bench.store?.disk.batches.first)
        #expect(words(bench).map(\.count) == [1])
        #expect(word.id == stored.firstID.advanced(by: 1) && word.topic.description == "d.a")
        #expect(word.sequences == 2...4 && word.eventCount == 2 && word.attempts == 1)
        #expect(word.subscription.description == "work" && word.reason == .rejected && word.message == "bad data")
        #expect(word.deadCount == 2)
    }

    @Test("an event with an id of its own is told by that")
    func explicitID() {
        let (bench, _, worker, _) = delivered(ids: [id(4), id(3), id(9), id(1)])
        worker.settle(.reject, 1, events: [2])
        bench.commit()
        #expect(words(bench).first?.map(\.id) == [id(9)])
    }

    @Test("where nobody listens nothing is sealed or made, and what died before isn't told later")
    func unheard() {
        for filter in [nil, "$dead.other", "$bus.>", ">"] {
            let (bench, _, worker, listener) = delivered(listening: filter)
            worker.settle(.reject, 1, events: [0])
            let effects = bench.commit()
            #expect(!effects.kinds.contains("openOwnSeal") && bench.topic("$dead.work") == nil)
            listener.subscribe(2, "$dead.>")
            worker.settle(.reject, 1, events: [1])
            bench.commit()
            #expect(words(bench).map { $0.map(\.sequences) } == [[2...2]])
        }
    }

    @Test("a durable subscription is no listener: what is told isn't stored")
    func durableListener() {
        let (bench, _, worker, listener) = delivered(listening: nil)
        listener.attend("told", "$dead.>", as: 5)
        worker.settle(.reject, 1)
        #expect(bench.commit().kinds.contains("openOwnSeal") == false)
        #expect(bench.advised.isEmpty)
    }

    @Test("each subscription has a topic of its own")
    func topics() {
        let (bench, publisher, worker, listener) = delivered(listening: "$dead.other")
        worker.attend("other", "d.a", as: 2)
        publisher.publish(publisher.seal("d.a"))
        bench.commit()
        worker.settle(.reject, 1)
        bench.commit()
        #expect(words(bench).isEmpty)
        worker.settle(.reject, 1, of: 2)
        #expect(bench.commit().to(listener).deliveries.count == 1)
        #expect(words(bench).first?.map(\.subscription.description) == ["other"])
    }

    @Test("a batch that is given up as a whole is one word; letters of one commit share a batch, as many as surely fit")
    func flood() {
        let (bench, _, worker, listener) = delivered(20)
        worker.settle(.reject, 1)
        for delivery in 2...UInt64(20) { for event in 0..<4 { worker.settle(.reject, delivery, events: [event]) } }
        let effects = bench.commit()
        #expect(words(bench).map(\.count) == [64, 13])
        #expect(words(bench).joined().reduce(0) { $0 + $1.eventCount } == 80)
        #expect(words(bench).joined().allSatisfy { $0.deadCount == 80 })
        #expect(effects.to(listener).deliveries.map(\.sequences) == [Array(1...64), Array(65...77)])
    }

    @Test("of what the subscriber said as much is told as has 256 bytes, and no half of a character")
    func longMessage() {
        let (bench, _, worker, _) = delivered()
        worker.settle(.reject, 1, events: [0], because: String(repeating: "€", count: 100))
        worker.settle(.reject, 1, events: [1], because: String(repeating: "x", count: 256))
        // One character of many parts is cut, too.
        worker.settle(.reject, 1, events: [2], because: "a" + String(repeating: "\u{301}", count: 3000))
        bench.commit()
        let said = words(bench).joined().map(\.message)
        #expect(said.map(\.utf8.count) == [255, 256, 255])
        #expect(said.first == String(repeating: "€", count: 85))
    }

    @Test("what is given up and not kept is no dead letter, and isn't told as one")
    func notKept() {
        let (bench, _, worker, _) = delivered(settings: [Setting(.deadLetters, 0)])
        worker.settle(.reject, 1)
        bench.commit()
        #expect(words(bench).isEmpty)
    }

    @Test(
        "with its subscription its topic goes, and its key; one of the same name begins anew", arguments: [false, true])
    func deleted(isMadeAgain: Bool) {
        let (bench, _, worker, listener) = delivered()
        worker.settle(.reject, 1, events: [0])
        bench.commit()
        worker.settle(.reject, 1, events: [1])
        let gone = worker.administer(.deleteSubscription, "work")
        #expect(gone.kinds.contains("closeOwnSeal"))
        if isMadeAgain { worker.attend("work", "d.a", as: 3, start: .new) }
        bench.commit()
        #expect(words(bench).joined().count == 1, "of one that is gone nothing is told")
        guard !isMadeAgain else { return }
        bench.pass(milliseconds: 600_000)
        #expect(bench.topic("$dead.work") == nil)
        worker.attend("work", "d.a", as: 2, start: .all)
        bench.commit()
        worker.settle(.reject, 1, of: 2)
        #expect(bench.commit().to(listener).announcements.count == 1)
        #expect(words(bench).joined().count == 2)
    }

    @Test("what can't be sealed now is told with the next one")
    func withoutKey() {
        let (bench, _, worker, _) = delivered()
        bench.hasOwnSeals = false
        worker.settle(.reject, 1, events: [0])
        bench.commit()
        #expect(words(bench).isEmpty)
        bench.hasOwnSeals = true
        worker.settle(.reject, 1, events: [1])
        bench.commit()
        #expect(words(bench).map { $0.map(\.sequences.lowerBound) } == [[1, 2]])
    }

    @Test("nobody else may publish there")
    func reserved() {
        #expect(Bench.durable().open(1).openSeal("$dead.work").errors.map(\.reason) == [.badTopic])
    }

    @Test("a daemon that goes down tells nobody any more")
    func goingDown() {
        let (bench, _, worker, _) = delivered(settings: [Setting(.attemptCountMax, 1)])
        _ = worker
        bench.round(.shutdown)
        bench.pass(milliseconds: 60_000)
        #expect(bench.commit().kinds.contains("advise") == false)
        #expect(bench.durable("work")?.durable?.deadCount == 4)
        #expect(words(bench).isEmpty)
    }
}
