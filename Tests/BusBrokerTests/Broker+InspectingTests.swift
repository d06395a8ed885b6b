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
}
