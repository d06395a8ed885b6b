// Rows by name and value: what docs/PROTOCOL.md promises to who reads them.

import BusWire
import Testing

@testable import BusBroker

@Suite struct BrokerRowsTests {
    private let bench = Bench()

    /// The one row that a key names, its values by name.
    private func row(_ kind: InspectionKind, _ key: String) -> [String: InspectedValue.Value] {
        let asker = bench.broker.sessions[SessionID(99)].map { Peer(bench, $0.id) } ?? bench.open(99, uid: 1002)
        let page = asker.send(.inspect(Inspect(request: 1, kind: kind, key: key))).pages.first
        #expect(page?.rows.count == 1 && page?.after == 0)
        let values = page?.rows.first ?? []
        #expect(Set(values.map(\.name)).count == values.count, "no name twice")
        return Dictionary(values.map { ($0.name, $0.value) }) { first, _ in first }
    }

    @Test func aSessionsRowSaysWhatItDidAndWhatItHolds() {
        let (peer, other) = (bench.open(7, uid: 1001), bench.open(8))
        let seal = peer.seal("a")
        peer.subscribe(1, "a", credit: 1)
        other.subscribe(1, "a", mode: .responds)
        peer.publish(seal, events: 2)
        peer.publish(seal, payload: 100)
        peer.send(peer.request(seal, id(1)))
        peer.setWill(peer.seal("will"))
        peer.send(
            .circuit(Circuit(.open, topic: Array("c.b".utf8))), .circuit(Circuit(.open, topic: Array("c.a".utf8))))
        peer.blocked()
        let row = row(.sessions, "7")
        let expected: [String: InspectedValue.Value] = [
            "session": .number(7), "uid": .number(1001), "gid": .number(1001), "pid": .number(0), "name": .text("p7"),
            "subscriptions": .number(1), "seals": .number(2), "events_published": .number(4),
            "events_delivered": .number(2), "events_queued": .number(2), "events_missed": .number(0),
            "outstanding": .number(0), "blocked": .number(1), "has_will": .number(1), "requests_open": .number(1),
            "answers_owed": .number(0), "circuits_open": .text("c.a, c.b"), "will_topic": .text("will"),
            "bytes_parked": .number(0), "connected_at": .number(1_700_000_000_000_000),
        ]
        for (name, value) in expected { #expect(row[name] == value, "\(name)") }
        #expect(self.row(.sessions, "8")["answers_owed"] == .number(1))
    }

    @Test func aTopicsRowSaysWhoseItIsAndHowLongNobodyUsesIt() {
        let peer = bench.open(1, uid: 1001)
        let seal = peer.seal("a")
        peer.subscribe(1, "*")
        peer.retain(seal, events: 3, payload: 50)
        var row = row(.topics, "a")
        let expected: [String: InspectedValue.Value] = [
            "topic": .text("a"), "sequence": .number(3), "events": .number(3), "subscriptions": .number(1),
            "publishers": .number(1), "retained": .number(1), "uid": .number(1001), "idle_ms": .number(0),
        ]
        for (name, value) in expected { #expect(row[name] == value, "\(name)") }
        #expect(row["retained_bytes"] == row["bytes"])
        peer.retain(seal, clears: true)
        peer.send(.closeSeal(seal: seal))
        bench.pass(milliseconds: 1234)
        row = self.row(.topics, "a")
        #expect(row["idle_ms"] == .number(1234) && row["retained"] == .number(0) && row["publishers"] == .number(0))
    }

    @Test func aSubscriptionsRowSaysWhatItsPartIsInAGroup() {
        let (peer, publisher) = (bench.open(1), bench.open(2))
        for number in 1...2 as ClosedRange<UInt32> {
            peer.subscribe(number, "a", credit: 5, .latest, group: "g", mode: .exclusive)
        }
        peer.subscribe(3, "a", group: "s", mode: .responds)
        peer.subscribe(4, "a", credit: 0, queue: 1, .dropNewest)
        let seal = publisher.seal("a")
        publisher.publish(seal, events: 2)
        publisher.publish(seal)
        #expect(
            (1...4).map { row(.subscriptions, "1/\($0)")["mode"] } == [
                .text("exclusive"), .text("standby"), .text("shared"), .text(""),
            ])
        let first = row(.subscriptions, "1/1")
        let expected: [String: InspectedValue.Value] = [
            "subscription": .text("1/1"), "filter": .text("a"), "session": .number(1), "name": .text("p1"),
            "group": .text("g"), "overflow": .text("latest"), "responds": .number(0), "credit_events": .number(3),
        ]
        for (name, value) in expected { #expect(first[name] == value, "\(name)") }
        #expect(first["events_missed"] == .number(1) && first["outstanding"] == .number(2))
        #expect(row(.subscriptions, "1/3")["responds"] == .number(1))
        let last = row(.subscriptions, "1/4")
        #expect(last["events_queued"] == .number(2) && last["events_missed"] == .number(1))
        #expect(last["overflow"] == .text("drop-newest") && last["credit_events"] == .number(0))
    }

    @Test func aUsersRowHasUsedAndLimitOfEachQuota() {
        let peer = bench.open(1, uid: 1001)
        peer.subscribe(1, "a", credit: 0)
        peer.retain(peer.seal("a"), payload: 100)
        let (row, quotas) = (row(.users, "1001"), Quotas())
        let limits = [
            "connections": quotas.connections, "subscriptions": quotas.subscriptions, "topics": quotas.topics,
            "seals": quotas.seals,
            "queued_bytes": quotas.queuedLength, "kernel_bytes": quotas.kernelLength,
            "retained_bytes": quotas.retainedLength, "parked_bytes": quotas.parkedLength,
            "stored_bytes": quotas.storedLength, "scheduled": quotas.scheduled,
            "outstanding_events": quotas.outstandingEvents, "outstanding_bytes": quotas.outstandingLength,
            "requests": quotas.requests, "publish_rate": quotas.publishRate,
        ]
        for (name, limit) in limits {
            #expect(row["\(name)_limit"] == .number(UInt64(limit)))
            #expect(row["\(name)_used"] != nil)
        }
        #expect(row["uid"] == .number(1001) && row.count == 1 + 2 * limits.count)
        #expect(["connections", "subscriptions", "topics"].allSatisfy { row["\($0)_used"] == .number(1) })
        #expect(row["queued_bytes_used"] == row["retained_bytes_used"] && row["queued_bytes_used"] != .number(0))
    }
}
