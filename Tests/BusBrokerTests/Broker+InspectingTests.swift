// What a broker tells about itself.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerInspectingTests {
    private func status(_ peer: Peer) -> [String: InspectedValue.Value] {
        let effects = peer.send(.inspect(Inspect(request: 5, kind: .status)))
        guard case .inspected(let inspected)? = effects.frames(to: peer).first else { return [:] }
        #expect(inspected.request == 5)
        #expect(inspected.rows.count == 1)
        return Dictionary(uniqueKeysWithValues: inspected.rows.joined().map { ($0.name, $0.value) })
    }

    @Test func statusCountsWhatHappenedAndWhatIsHeld() {
        let bench = Bench()
        let (publisher, subscriber) = (bench.open(1), bench.open(2, uid: 1001))
        subscriber.subscribe(1, "a", credit: 3, queue: 2)
        subscriber.subscribe(2, "b", credit: 0, queue: 1, stall: 1000)
        let (a, b) = (publisher.seal("a"), publisher.seal("b"))
        for _ in 0..<4 { publisher.publish(a, events: 2) }
        for _ in 0..<2 { publisher.publish(b) }
        publisher.send(.closeSeal(seal: 99))
        let status = status(subscriber)
        func number(_ name: String) -> UInt64? {
            if case .number(let number)? = status[name] { number } else { nil }
        }
        #expect(status["incarnation"] == .text("00000000-0000-0001-0000-000000000002"))
        #expect(number("sessions") == 2)
        #expect(number("subscriptions") == 2)
        #expect(number("topics") == 2)
        #expect(number("batches_published") == 5)
        #expect(number("events_published") == 9)
        #expect(number("batches_delivered") == 2)
        #expect(number("events_delivered") == 4)
        #expect(number("events_missed") == 2)
        #expect(number("events_queued") == 3)
        #expect(number("publishes_stalled") == 1)
        #expect(number("stalling_subscriptions") == 1)
        #expect(number("requests_refused") == 1)
        #expect(number("sessions_opened") == 2)
        #expect(number("bytes_queued") == bench.broker.totals.bytesQueued)
        #expect(number("bytes_parked").map(Int.init) == bench.account()?.parkedLength)
    }

    @Test func aQuestionThisDaemonDoesNotKnowIsRefused() {
        let peer = Bench().open(1)
        let effects = peer.send(.inspect(Inspect(request: 7, kind: InspectionKind(rawValue: 999))))
        #expect(effects.errors.first?.reason == .notSupported && effects.errors.first?.request == 7)
    }

    // MARK: Pages

    private func ask(_ peer: Peer, _ kind: InspectionKind, after: UInt64 = 0, key: String = "") -> [Effect] {
        peer.send(.inspect(Inspect(request: 1, kind: kind, key: key, after: after)))
    }

    private func topics(_ page: Inspected?) -> [String] {
        page?.rows.compactMap { if case .text(let name)? = $0.first?.value { name } else { nil } } ?? []
    }

    @Test func aListingShowsWhatWasThereOnceHoweverMuchComesAndGoes() {
        let bench = Bench { $0.pageRowCountMax = 3 }
        let (peer, publisher) = (bench.open(1), bench.open(2))
        for name in ["c", "a", "e", "g", "b", "f", "d"] { _ = publisher.seal(name) }
        let first = ask(peer, .topics).pages.first
        #expect(topics(first) == ["a", "b", "c"] && first?.after == 3)
        _ = publisher.seal("aa")
        publisher.leave()
        bench.pass(milliseconds: 600_000)
        let other = bench.open(3)
        _ = other.seal("e")
        let second = ask(peer, .topics, after: 3).pages.first
        #expect(topics(second) == ["e"] && second?.after == 6, "what is gone isn't shown, nor what came since")
        let last = ask(peer, .topics, after: 6).pages.first
        #expect(topics(last).isEmpty && last?.after == 0)
        #expect(peer.session?.snapshot == nil, "nothing is kept for who has read all of it")
    }

    @Test func aPageOfNoSnapshotIsUnknown() {
        let bench = Bench { $0.pageRowCountMax = 1 }
        let peer = bench.open(1)
        _ = bench.open(2)
        #expect(ask(peer, .sessions, after: 1).errors.map(\.reason) == [.unknownName], "there was no first page")
        #expect(ask(peer, .sessions).pages.first?.after == 1)
        #expect(ask(peer, .users, after: 1).errors.map(\.reason) == [.unknownName], "that was another listing")
        #expect(ask(peer, .sessions, after: .max).errors.map(\.reason) == [.unknownName])
        peer.drained()
        #expect(ask(peer, .sessions, after: 1).pages.first?.rows.count == 1)
    }

    @Test(arguments: [
        (InspectionKind.sessions, ["", "x", "77", "-1", "18446744073709551616"]), (.topics, ["a..b", "gone"]),
        (.subscriptions, ["1", "1/", "/1", "1/9", "9/1", "1/1/1", "1/4294967296"]), (.users, ["x", "7", "4294967296"]),
    ])
    func whatIsNotThereIsUnknownByName(kind: InspectionKind, keys: [String]) {
        let bench = Bench()
        let peer = bench.open(1)
        peer.subscribe(1, "a")
        for key in keys where !key.isEmpty {
            let errors = ask(peer, kind, key: key).errors
            #expect(errors.map(\.reason) == [.unknownName] && errors.first?.message.contains(key) == true)
        }
    }

    @Test func whoHasNotSaidHelloIsNotShown() {
        let bench = Bench()
        let peer = bench.open(1)
        bench.round(.connected(SessionID(2), PeerIdentity(uid: 1000, gid: 1000)))
        #expect(ask(peer, .sessions).pages.first?.rows.count == 1)
        #expect(ask(peer, .sessions, key: "2").errors.map(\.reason) == [.unknownName])
    }

    @Test func whoAsksForMoreThanItReadsHasToReadFirst() {
        let peer = Bench().open(1)
        var answers = 0
        while answers < 100, ask(peer, .users).errors.isEmpty { answers += 1 }
        #expect(answers > 0 && answers < 100)
        #expect(ask(peer, .users).errors.map(\.reason) == [.quotaExceeded])
        peer.drained()
        #expect(ask(peer, .users).errors.isEmpty)
    }
}
