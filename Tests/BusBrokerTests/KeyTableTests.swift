// Who has which key, and what waits for it: without a broker.

import BusSimulation
import BusWire
import Testing

@testable import BusBroker

@Suite struct KeyTableTests {
    private let portions = Portions()
    private let table = KeyTable(eventCountMax: 100, lengthMax: 1 << 20)
    private let holdings: [Holding]
    private let group: Group

    init() throws {
        let group = Group(try GroupName("g"))
        group.keys = table
        self.group = group
        holdings = [Holding(of: group), Holding(of: group)]
    }

    /// Events of these keys from a sequence on, in one batch.
    private func batch(_ keys: [UInt64], at first: UInt64 = 1) throws -> Portion {
        var sample = SampleBatch(seal: 1, counter: 0, eventCount: UInt32(keys.count))
        sample.columns.orderingKey = .each(keys)
        let batch = AcceptedBatch(
            seal: try portions.seal("a"), bytes: sample.bytes, firstSequence: first, eventCount: UInt32(keys.count),
            time: 0)
        batch.keys = OrderingKeyColumn(try SealedBatch(sample.bytes))
        return Portion(batch)
    }

    private func key(_ hash: UInt64) throws -> OrderedKey {
        OrderedKey(topic: try portions.seal("a").topic.number, hash: hash)
    }

    private func event(_ portion: Portion, _ index: Int, due: UInt64? = nil) throws -> KeyedEvent {
        KeyedEvent(batch: portion.batch, index: index, key: try #require(portion.batch.key(at: index)), due: due)
    }

    private var ripe: [[UInt64]] { ripe(of: nil) }

    /// What of each key can go, to a member, or to anybody.
    private func ripe(of holder: Holding?, most: Int = .max, keys: Int = .max) -> [[UInt64]] {
        var found: [[UInt64]] = []
        table.forEachRipe(of: holder, most: most) { events in
            found.append(events.map(\.sequence))
            return found.count < keys
        }
        return found
    }

    @Test func `a key is had as long as its member has any event of it`() throws {
        let portion = try batch([7, 7, 0, 8])
        holdings[0].append(Held(delivery: 1, portion: portion))
        let seven = try key(7)
        #expect(table.holder(of: seven) === holdings[0])
        #expect(table.heldCount(of: seven) == 2 && table.heldKeyCount == 2)
        let first = Selection(0..<1, of: 4)
        _ = holdings[0].remove(first, of: 1)
        #expect(table.holder(of: seven) === holdings[0])
        #expect(table.faults(holdings) == [])
        _ = holdings[0].release(through: 1)
        #expect(table.holder(of: seven) == nil && table.count == 0, "nothing is kept of a key nobody has")
    }

    @Test func `what waits is in the order of its key, whenever it came`() throws {
        let portion = try batch([7, 7, 8, 7])
        for index in [3, 0, 2, 1] { _ = table.wait(try event(portion, index)) }
        #expect(ripe == [[1, 2, 4], [3]])
        #expect(table.waitingCount == 4 && table.length == portion.length, "a batch counts once")
        #expect(table.freeCount == 2)
        let (seven, eight) = (try key(7), try key(8))
        #expect(!table.removeFirst(seven))
        #expect(!table.removeFirst(eight))
        #expect(!table.removeFirst(seven))
        #expect(table.removeFirst(seven), "with the last one its batch goes")
        #expect(table.isEmpty && table.length == 0 && table.count == 0 && ripe.isEmpty)
        #expect(table.faults(holdings) == [])
    }

    @Test func `what isn't due keeps what lies behind it`() throws {
        let portion = try batch([7, 7, 7])
        for index in 0..<3 { _ = table.wait(try event(portion, index, due: index == 1 ? 50 : nil)) }
        #expect(ripe == [[1]])
        _ = table.removeFirst(try key(7))
        #expect(ripe.isEmpty && table.freeCount == 0 && table.delayedCount == 1)
        #expect(table.ripen(at: 49) == 50)
        #expect(ripe.isEmpty)
        #expect(table.ripen(at: 50) == nil)
        #expect(ripe == [[2, 3]] && table.freeCount == 1)
    }

    @Test func `a key that is had is its member's to go on with, and free when that lets go`() throws {
        let portion = try batch([7, 7])
        holdings[1].append(Held(delivery: 1, portion: portion.of(Selection(0..<1, of: 2))))
        _ = table.wait(try event(portion, 1))
        #expect(ripe(of: holdings[1]) == [[2]] && ripe(of: holdings[0]).isEmpty && table.freeCount == 0)
        #expect(!table.allows(portion, for: holdings[0]) && !table.allows(portion, for: holdings[1]))
        _ = holdings[1].releaseAll()
        #expect(ripe(of: holdings[1]).isEmpty && ripe == [[2]] && table.freeCount == 1)
        #expect(table.faults(holdings) == [])
    }

    @Test func `one looks ahead as far as half of the queue, and no further than the bound`() throws {
        #expect(table.lookAheadCount == 50)
        #expect(KeyTable(eventCountMax: .max, lengthMax: .max).lookAheadCount == KeyTable.lookAheadCountMax)
        let portion = try batch([UInt64](repeating: 7, count: 64))
        for index in 0..<49 { _ = table.wait(try event(portion, index)) }
        #expect(table.looksAhead)
        _ = table.wait(try event(portion, 49))
        #expect(!table.looksAhead && !table.isOverfull)
    }

    @Test func `it is known in which deliveries a key's events are`() throws {
        for (delivery, keys) in [(2, [7, 8]), (3, [8]), (5, [7, 7]), (9, [7])] as [(UInt64, [UInt64])] {
            holdings[0].append(Held(delivery: delivery, portion: try batch(keys, at: delivery * 10)))
        }
        let seven = try key(7)
        #expect(table.deliveries(of: seven, from: 1) == [2, 5, 9])
        #expect(table.deliveries(of: seven, from: 3) == [5, 9])
        _ = holdings[0].remove(Selection(0..<1, of: 2), of: 5)
        #expect(table.deliveries(of: seven, from: 3) == [5, 9], "one of two is left")
        _ = holdings[0].remove(.all, of: 5)
        #expect(table.deliveries(of: seven, from: 1) == [2, 9] && table.heldCount(of: seven) == 2)
        #expect(table.faults(holdings) == [])
        _ = holdings[0].release(through: 9)
        #expect(table.deliveries(of: seven, from: 0).isEmpty && table.count == 0)
    }

    @Test func `what is ripe is told as far as it is wanted, and first what was ripe first`() throws {
        let portion = try batch([7, 8, 7, 9, 7])
        for index in [1, 0, 2, 3, 4] { _ = table.wait(try event(portion, index)) }
        #expect(ripe == [[2], [1, 3, 5], [4]])
        #expect(ripe(of: nil, most: 2, keys: 2) == [[2], [1, 3]])
        _ = table.removeFirst(try key(8))
        _ = table.wait(try event(portion, 1))
        #expect(ripe == [[1, 3, 5], [4], [2]])
        #expect(table.faults(holdings) == [])
    }

    @Test func `the oldest is the first of its key and of all, whatever went before`() throws {
        let portion = try batch((0..<200).map { $0 % 50 + 1 })
        for index in (0..<200).reversed() { _ = table.wait(try event(portion, index)) }
        for sequence in UInt64(1)...150 {
            let oldest = try #require(table.oldest())
            #expect(oldest.sequence == sequence)
            _ = table.removeFirst(oldest.key)
        }
        _ = table.wait(try event(portion, 3))
        #expect(table.oldest()?.sequence == 4, "what came back lies before")
        _ = table.removeFirst(try key(4))
        _ = table.removeFirst(try key(1))
        #expect(table.oldest()?.sequence == 152)
        #expect(table.faults(holdings) == [])
    }

    @Test func `everything that waits can be forgotten, what is had stays`() throws {
        let portion = try batch([7, 7, 8])
        holdings[0].append(Held(delivery: 1, portion: portion.of(Selection(0..<1, of: 3))))
        for index in 1...2 { _ = table.wait(try event(portion, index)) }
        #expect(table.oldest()?.sequence == 2)
        #expect(table.portions.map(\.sequences) == [2...3])
        table.removeAllWaiting()
        #expect(table.isEmpty && table.count == 1 && table.oldest() == nil && table.waitingBatches.isEmpty)
        #expect(table.faults(holdings) == [])
    }

    @Test func `a table that is wrong is found`() throws {
        let portion = try batch([7, 7])
        for holding in holdings { holding.append(Held(delivery: 1, portion: portion)) }
        #expect(table.faults(holdings).contains("two members have events of one key"))
        #expect(!table.faults([]).isEmpty)
    }
}
