// A consumer's readiness, what a member holds, and the last values somebody begins with.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct ConsumerTests {
    private let bench = Bench()

    private func consumer() throws -> Consumer {
        let peer = bench.open(1)
        peer.subscribe(1, "a", credit: 2, bytes: 10)
        return try #require(peer.session?.consumers[1])
    }

    @Test func itIsReadyWhileBothCreditsLast() throws {
        let consumer = try consumer()
        #expect(consumer.hasCredit)
        consumer.sentEvents = 1
        consumer.sentBytes = 9
        #expect(consumer.hasCredit)
        consumer.sentBytes = 10
        #expect(!consumer.hasCredit)
        (consumer.sentEvents, consumer.sentBytes) = (2, 0)
        #expect(!consumer.hasCredit)
    }

    @Test func onlyMembersOfGroupsHoldAnything() throws {
        let consumer = try consumer()
        #expect(consumer.holding == nil && consumer.outstanding == 0)
        let peer = bench.open(2)
        peer.subscribe(1, "a", group: "g")
        let member = try #require(peer.session?.consumers[1])
        bench.isAudited = false
        member.holding?.append(Held(delivery: 1, portion: try Portions().make("a", at: 1, events: 3)))
        #expect(member.outstanding == 3)
    }
}

@Suite struct BacklogTests {
    @Test func itCountsDownBytes() throws {
        let portions = Portions()
        let values = [try portions.make("a", at: 1), try portions.make("b", at: 7, events: 2)]
        let backlog = Backlog(values)
        #expect(backlog.length == Int(values[0].length + values[1].length))
        #expect(backlog.popFirst()?.sequences == 1...1)
        #expect(backlog.length == Int(values[1].length))
        #expect(backlog.popFirst()?.sequences == 7...8)
        #expect(backlog.popFirst() == nil && backlog.length == 0)
    }
}
