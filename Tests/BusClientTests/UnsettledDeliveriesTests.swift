import BusTransport
import BusWire
import Testing

@testable import BusClient

@Suite struct UnsettledDeliveriesTests {
    private typealias Freed = UnsettledDeliveries.Freed
    private func at(_ seconds: Int64) -> MonotonicInstant { MonotonicInstant(nanoseconds: seconds * 1_000_000_000) }
    private func places(_ places: Int..., of count: Int) throws -> Selection {
        try #require(Selection(of: count) { places.contains($0) })
    }

    /// Deliveries 1, 2, 3 … of batches of four events each, ten bytes each, all meant.
    private func held(_ count: UInt64) -> UnsettledDeliveries {
        var unsettled = UnsettledDeliveries()
        for number in 1...count { unsettled.began(number, of: 4, .all, bytes: 10, at: at(Int64(number))) }
        return unsettled
    }

    @Test func `what is settled in order is one word, however much it was`() {
        var unsettled = held(3)
        #expect(unsettled.takeWords() == [])
        for number: UInt64 in 1...2 {
            #expect(unsettled.settle(number, nil, acknowledged: true) == Freed(events: 4, bytes: 10))
        }
        #expect(unsettled.takeWords() == [.through(2)])
        #expect(unsettled.takeWords() == [])
        #expect(unsettled.openCount == 1)
    }

    @Test func `everything up to a delivery is one word, and free at once`() {
        var unsettled = held(5)
        #expect(unsettled.acknowledge(through: 4) == Freed(events: 16, bytes: 40))
        #expect(unsettled.acknowledge(through: 4) == Freed())
        #expect(unsettled.takeWords() == [.through(4)])
    }

    @Test func `single events are words of their own while one before them is open`() throws {
        var unsettled = held(3)
        #expect(unsettled.settle(1, 2..<3, acknowledged: true) == Freed(events: 1))
        #expect(unsettled.settle(3, nil, acknowledged: true) == Freed(events: 4, bytes: 10))
        #expect(try unsettled.takeWords() == [.events(places(2, of: 4), of: 1), .events(.all, of: 3)])
        #expect(unsettled.settle(1, 0..<2, acknowledged: true) == Freed(events: 2))
        #expect(unsettled.settle(1, nil, acknowledged: true) == Freed(events: 1, bytes: 10))
        #expect(unsettled.takeWords() == [.through(1)])
        // The third was told already; the second brings both into one number.
        _ = unsettled.settle(2, nil, acknowledged: true)
        #expect(unsettled.takeWords() == [.through(3)])
    }

    @Test func `what is not acknowledged is in no word of its own, and lets the number pass`() throws {
        var unsettled = held(2)
        #expect(unsettled.settle(1, 1..<2, acknowledged: false) == Freed(events: 1))
        #expect(unsettled.takeWords() == [])
        #expect(try unsettled.openEvents(1, nil) == places(0, 2, 3, of: 4))
        _ = unsettled.settle(1, nil, acknowledged: true)
        #expect(unsettled.takeWords() == [.through(1)])
        _ = unsettled.settle(2, 0..<1, acknowledged: true)
        _ = unsettled.settle(2, nil, acknowledged: false)
        #expect(unsettled.takeWords() == [.through(2)])
    }

    @Test func `only what a delivery brought is its own`() throws {
        var unsettled = UnsettledDeliveries()
        unsettled.began(1, of: 4, try places(1, 3, of: 4), bytes: 10, at: at(0))
        unsettled.began(2, of: 4, try places(2, of: 4), bytes: 5, at: at(0))
        #expect(unsettled.settle(1, 0..<1, acknowledged: true) == Freed())
        #expect(unsettled.settle(1, 7..<9, acknowledged: true) == Freed())
        #expect(unsettled.openEvents(1, nil) == .all)
        #expect(unsettled.openEvents(1, 0..<1) == nil)
        #expect(try unsettled.openEvents(1, 3..<4) == places(3, of: 4))
        #expect(unsettled.openEvents(2, 2..<3) == .all)
        #expect(unsettled.settle(2, 2..<3, acknowledged: true) == Freed(events: 1, bytes: 5))
        #expect(unsettled.takeWords() == [.events(.all, of: 2)])
        #expect(unsettled.settle(1, nil, acknowledged: true) == Freed(events: 2, bytes: 10))
        #expect(unsettled.takeWords() == [.through(2)])
    }

    @Test func `word that comes too late, twice, or of what never came changes nothing`() {
        var unsettled = held(2)
        _ = unsettled.settle(1, nil, acknowledged: true)
        for number: UInt64 in [0, 1, 9] {
            #expect(unsettled.settle(number, nil, acknowledged: true) == Freed())
            #expect(unsettled.settle(number, 0..<1, acknowledged: false) == Freed())
            #expect(unsettled.openEvents(number, nil) == nil)
        }
        // Numbers that don't count up are the daemon's mistake, and nobody's trap.
        unsettled.began(2, of: 1, .all, bytes: 1, at: at(0))
        unsettled.began(1, of: 1, .all, bytes: 1, at: at(0))
        #expect(unsettled.openCount == 1)
    }

    @Test func `what has been held for long is told once, and is new then`() throws {
        var unsettled = held(4)
        _ = unsettled.settle(2, 0..<1, acknowledged: true)
        #expect(unsettled.oldest(behind: 0) == at(1))
        let stale = unsettled.takeStale(since: at(3), behind: 0, at: at(20))
        #expect(stale.map(\.delivery) == [1, 2, 3])
        #expect(try stale.map(\.events) == [.all, places(1, 2, 3, of: 4), .all])
        #expect(unsettled.takeStale(since: at(3), behind: 0, at: at(21)).isEmpty)
        #expect(unsettled.oldest(behind: 0) == at(4))
        #expect(unsettled.oldest(behind: 4) == nil)
        #expect(unsettled.takeStale(since: at(30), behind: 3, at: at(31)).map(\.delivery) == [4])
        _ = unsettled.acknowledge(through: 4)
        #expect(unsettled.oldest(behind: 0) == nil)
    }

    @Test func `what one delivery that stays open holds up is let go of, and can still be told apart`() {
        var unsettled = held(1)
        for number: UInt64 in 2...10_000 {
            unsettled.began(number, of: 1, .all, bytes: 1, at: at(0))
            if number % 1000 == 0 { continue }
            #expect(unsettled.settle(number, nil, acknowledged: true).events == 1)
            #expect(unsettled.takeWords() == [.events(.all, of: number)])
        }
        #expect(unsettled.openCount == 11)
        #expect(unsettled.entryCount < 200)
        #expect(unsettled.settle(5000, nil, acknowledged: true).events == 1)
        #expect(unsettled.settle(5001, nil, acknowledged: true).events == 0)
        #expect(unsettled.takeWords() == [.events(.all, of: 5000)])
        #expect(unsettled.acknowledge(through: 10_000).events == 13)
        #expect(unsettled.takeWords() == [.through(10_000)])
        #expect(unsettled.entryCount == 0)
    }

    @Test func `any order of settling tells each event once, and nothing that wasn't said`() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var unsettled = UnsettledDeliveries()
            var open: [(UInt64, Int)] = []
            var acknowledged: Set<[UInt64]> = []
            var told: Set<[UInt64]> = []
            var others: Set<[UInt64]> = []
            var brought: [UInt64: [Int]] = [:]
            for number: UInt64 in 1...12 {
                let count = Int.random(in: 1...9, using: &generator)
                let selection = Selection(of: count) { _ in Bool.random(using: &generator) } ?? .all
                unsettled.began(number, of: count, selection, bytes: 1, at: at(0))
                brought[number] = (0..<count).filter { selection.contains($0) }
                open += brought[number, default: []].map { (number, $0) }
            }
            open.shuffle(using: &generator)
            for (number, place) in open {
                let isAcknowledged = Int.random(in: 0..<4, using: &generator) > 0
                #expect(unsettled.settle(number, place..<place + 1, acknowledged: isAcknowledged).events == 1)
                if isAcknowledged {
                    acknowledged.insert([number, UInt64(place)])
                } else {
                    others.insert([number, UInt64(place)])
                }
                guard Int.random(in: 0..<3, using: &generator) == 0 else { continue }
                for word in unsettled.takeWords() { note(word) }
            }
            for word in unsettled.takeWords() { note(word) }
            #expect(told.union(others).count == open.count)
            #expect(told.subtracting(others) == acknowledged)

            func note(_ word: UnsettledDeliveries.Word) {
                switch word {
                case .through(let last):
                    for (number, places) in brought where number <= last {
                        for place in places { told.insert([number, UInt64(place)]) }
                    }
                case .events(let events, let number):
                    for place in brought[number, default: []] where events.contains(place) {
                        #expect(acknowledged.contains([number, UInt64(place)]))
                        #expect(told.insert([number, UInt64(place)]).inserted)
                    }
                }
            }
        }
    }
}
