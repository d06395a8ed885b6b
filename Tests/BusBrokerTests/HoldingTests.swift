// What a member holds: in order, and let go of one by one, up to a delivery, or whole.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct HoldingTests {
    private let portions = Portions()
    private let holding: Holding

    init() throws { holding = Holding(of: Group(try GroupName("g"))) }

    private func fill() throws {
        holding.append(Held(delivery: 1, portion: try portions.make("a", at: 1, events: 3)))
        holding.append(Held(delivery: 2, portion: try portions.make("a", at: 4, events: 4)))
        holding.append(Held(delivery: 5, portion: try portions.make("a", at: 8, events: 5)))
    }

    @Test func anAcknowledgementCoversEverythingUpToIt() throws {
        try fill()
        #expect(holding.eventCount == 12)
        #expect(holding.release(through: 0) == (0, 0))
        #expect(holding.release(through: 2).events == 7)
        #expect(holding.eventCount == 5 && holding.portions.count == 1)
        #expect(holding.release(through: 4) == (0, 0), "what lies between was never held")
        #expect(holding.release(through: .max).events == 5)
        #expect(holding.eventCount == 0 && holding.length == 0 && holding.portions.isEmpty)
    }

    @Test func whatIsLeftIsGivenBackInOrder() throws {
        try fill()
        let length = holding.length
        #expect(holding.release(through: 1).length == Int(try portions.make("a", at: 1, events: 3).length))
        #expect(holding.length < length)
        #expect(holding.releaseAll().map(\.portion.sequences) == [4...7, 8...12])
        #expect(holding.eventCount == 0 && holding.portions.isEmpty)
    }

    @Test func `what is late is found, a little late and never early`() throws {
        for (delivery, deadline) in [(1, 100), (2, 50), (3, 120), (4, 300)] as [(UInt64, UInt64)] {
            holding.append(
                Held(delivery: delivery, portion: try portions.make("a", at: delivery), deadline: deadline))
        }
        #expect(holding.lateFrom == 50)
        #expect(holding.late(at: 49, pause: 60).isEmpty)
        #expect(holding.late(at: 55, pause: 60).map(\.delivery) == [2])
        _ = holding.remove(.all, of: 2)
        #expect(holding.lateFrom == 115, "not for each")
        #expect(holding.late(at: 114, pause: 60).isEmpty)
        holding.extend(1, to: 400)
        #expect(holding.late(at: 121, pause: 60).map(\.delivery) == [3])
        _ = holding.removeFirst()
        #expect(holding.find(1) == nil && holding.find(4)?.deadline == 300)
        _ = holding.releaseAll()
        #expect(holding.late(at: 500, pause: 60).isEmpty && holding.lateFrom == .max)
    }

    @Test func `what is taken out of the middle leaves the rest in order`() throws {
        for delivery in UInt64(1)...100 {
            holding.append(Held(delivery: delivery, portion: try portions.make("a", at: delivery)))
        }
        for delivery in UInt64(1)...100 where delivery % 5 != 0 { _ = holding.remove(.all, of: delivery) }
        #expect(holding.portions.map(\.delivery) == (1...20).map { $0 * 5 })
        #expect(holding.eventCount == 20 && holding.first?.delivery == 5)
        #expect(holding.release(through: 52).events == 10)
    }
}
