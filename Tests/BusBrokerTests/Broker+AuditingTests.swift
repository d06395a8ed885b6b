// The audit must see what is wrong, or it proves nothing.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerAuditingTests {
    private let bench = Bench()

    private func busy() -> Peer {
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 0, queue: 10)
        peer.publish(peer.seal("a"), payload: 100)
        return peer
    }

    @Test func nothingIsWrongWithABusyBroker() {
        _ = busy()
        #expect(bench.broker.audit() == [])
        #expect(!bench.broker.isIdle)
    }

    @Test func aChargeThatIsOffIsFound() {
        _ = busy()
        bench.isAudited = false
        bench.account()?.queued.giveBack(1, from: 1000)
        #expect(bench.broker.audit().first?.hasPrefix("uid 1000: charged") == true)
    }

    @Test func aSubscriptionThatCouldGoOnAndIsNotListedIsFound() {
        busy().session?.consumers[1]?.creditEvents = 10
        bench.isAudited = false
        #expect(bench.broker.audit().first?.contains("isn't listed") == true)
    }

    @Test func aTotalThatIsOffIsFound() {
        _ = busy()
        bench.isAudited = false
        bench.broker.totals.eventsQueued += 1
        #expect(bench.broker.audit() == ["2 events counted as queued, 1 are"])
    }

    @Test func progressIsKnownWhileASessionIsThere() {
        let peer = busy()
        #expect(bench.broker.progress(of: peer.id) == 1)
        peer.leave()
        #expect(bench.broker.progress(of: peer.id) == nil)
    }
}
