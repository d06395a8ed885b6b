import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite("What a store is asked")
struct StorageTests {
    @Test("tickets count up by one, whatever is written")
    func tickets() {
        let bench = Bench.durable()
        let peer = bench.open(1)
        var tickets: [UInt64] = []
        func note(_ effects: [Effect]) {
            tickets += effects.compactMap { if case .store(let ticket, _) = $0 { ticket } else { nil } }
        }
        note(peer.attend("work", "d.a"))
        let opened = peer.openSeal("d.a")
        note(opened)
        note(peer.publish(opened.orders.first?.seal ?? 0))
        note(peer.administer(.createTopic, filter: "x"))
        note(bench.commit())
        #expect(tickets == Array(1...UInt64(tickets.count)))
        #expect(tickets.count >= 4)
    }

    @Test("nothing changes in the store of a daemon that does nothing")
    func quiet() {
        let bench = Bench.durable()
        bench.open(1).attend("work", "d.a")
        bench.pass(milliseconds: 200)
        bench.commit()
        for _ in 0..<100 { #expect(bench.pass(milliseconds: 100).writes.filter { !$0.isTrimming }.isEmpty) }
    }
}

extension StoreWrite {
    fileprivate var isTrimming: Bool {
        switch self {
        case .trimIDs, .trimLedger: true
        default: false
        }
    }
}
