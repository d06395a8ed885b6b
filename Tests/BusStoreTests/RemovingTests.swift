import BusWire
import Testing

@testable import BusStore

@Suite struct RemovingTests {
    /// A world with `count` single events on the usual topic.
    private func world(_ count: UInt64, slice: Int = 7) throws -> StoreWorld {
        let world = try StoreWorld()
        world.options.removalSlice = slice
        try world.write([StoreWorld.newTopic()] + (1...count).map { .append(StoreWorld.batch($0), ids: []) })
        return world
    }

    @Test func `A trim takes effect at once and is carried out in slices`() async throws {
        let world = try world(100)
        try world.write([.trim(StoreWorld.topic, before: 61, receiptsSince: .max)])
        #expect(try await world.batches(0..<1000).map(\.position) == Array(61...100))
        let topic = try #require(try world.settled())
        #expect(topic.batchCount == 40)
        #expect(topic.eventCount == 40)
        #expect(topic.byteCount == 40 * 128)
        #expect(topic.firstSequence == 61)
        #expect(world.commits.filter { !$0.removedFrom.isEmpty }.count == 9)
        #expect(try world.reopen().report.damage == [])
        #expect(try await world.batches(0..<1000, of: [StoreWorld.topic]).map(\.position) == Array(61...100))
    }

    @Test func `Removing goes on after a crash`() async throws {
        let world = try world(200, slice: 1)
        try world.write([.trim(StoreWorld.topic, before: 150, receiptsSince: .max)])
        let after = try world.crashed()
        try after.open()
        #expect(try await after.batches(0..<1000).map(\.position) == Array(150...200))
        #expect(try after.settled()?.batchCount == 51)
    }

    @Test func `The highest numbers stay known when what had them is gone`() throws {
        let world = try world(3)
        let numbers = { try world.reopen().lastNumbers() }
        func subscription(_ id: UInt64) -> StoreWrite {
            .subscription(StoredSubscription(id: id, name: [UInt8(id)], options: [], cursor: StoredCursor(next: 1)))
        }
        try world.write([
            StoreWorld.newTopic(StoreWorld.other, "b"), subscription(4), subscription(6), .subscriptionRemoved(6),
            .topicDeleted(StoreWorld.other),
        ])
        _ = try world.settled()
        var last = try numbers()
        #expect(last.topic == 8 && last.subscription == 6)
        #expect(try world.opened.topics().map(\.id) == [StoreWorld.topic])
        #expect(try world.opened.subscriptions().map(\.id) == [4])
        try world.write([StoreWorld.newTopic(TopicID(rawValue: 9), "c"), subscription(7), .subscriptionRemoved(4)])
        last = try numbers()
        #expect(last.topic == 9 && last.subscription == 7)
        #expect(try world.opened.report.damage == [])
        try world.close()
        let connection = try Connection(writing: world.directory + "/store.db")
        let left = try connection.use { () throws(StoreError) in
            (
                try connection.integer("SELECT count(*) FROM topics"),
                try connection.integer("SELECT count(*) FROM cursors")
            )
        }
        try connection.closeWhole()
        #expect(left == (2, 1), "a mark goes when there is a higher number")
    }

    @Test func `Sequences go on behind a purge`() async throws {
        let world = try world(10)
        try world.write([.trim(StoreWorld.topic, before: .max, receiptsSince: .max)])
        let topic = try #require(try world.settled())
        #expect(topic.batchCount == 0)
        #expect(topic.firstSequence == 11)
        try world.write([.append(StoreWorld.batch(20, sequence: 15), ids: [])])
        let store = try world.reopen()
        #expect(store.report.damage == [])
        #expect(try store.topics().first?.firstSequence == 15)
        #expect(try await world.batches(0..<1000).map(\.position) == [20])
    }

    @Test func `A trim that removes nothing is answered, too`() throws {
        let world = try world(10)
        try world.write([.trim(StoreWorld.topic, before: .max, receiptsSince: .max)])
        _ = try world.settled()
        for position in [1, 11, .max] as [UInt64] {
            let committed = try world.write([.trim(StoreWorld.topic, before: position, receiptsSince: .max)])
            #expect(committed.removedFrom.map(\.firstSequence) == [11])
            #expect(committed.removedFrom.map(\.isRemoving) == [false])
        }
    }

    @Test func `However many seals a topic has, those that nothing needs go, some each time`() throws {
        let world = try world(1)
        let numbers = (1...2500) as ClosedRange<UInt64>
        for number in numbers {
            let seal = StoredSeal(
                number: number, topic: StoreWorld.topic, epoch: 1, uid: 1, gid: 1, salt: [], keyCheck: [], publisher: ""
            )
            _ = try world.opened.submit([.seal(seal), .sealClosed(number)])
        }
        // One under a seal that is open, so that there is always something to trim, and it is used to the end.
        try world.write([])
        for position in 10...13 as ClosedRange<UInt64> {
            try world.write([
                .append(StoreWorld.batch(position, sequence: position, seal: 1200), ids: []),
                .trim(StoreWorld.topic, before: position, receiptsSince: .max),
            ])
            _ = try world.settled()
        }
        #expect(try world.seals.map(\.number) == [1200])
        #expect(try world.reopen().report.damage == [])
    }

    @Test func `A deleted topic goes with all it had, and its name can come back`() async throws {
        let world = try world(30)
        let seal = StoredSeal(
            number: 1, topic: StoreWorld.topic, epoch: 1, uid: 1, gid: 1, salt: [], keyCheck: [], publisher: "")
        try world.write([
            .seal(seal), .sealClosed(1), .topicDeleted(StoreWorld.topic), StoreWorld.newTopic(.init(rawValue: 9)),
        ])
        _ = try world.settled()
        #expect(try await world.batches(0..<1000) == [])
        let store = try world.reopen()
        #expect(try store.topics().map(\.id) == [TopicID(rawValue: 9)])
        #expect(try world.seals == [])
        #expect(store.report.damage == [])
    }

    @Test func `A retained batch and a dead letter's outlive a trim`() async throws {
        let world = try world(20)
        let letter = StoredDeadLetter(
            id: 1, subscription: 1, position: 5, reason: 1, reasonText: "", attempts: 1, firstAttempt: 0,
            lastAttempt: 0, died: 0)
        try world.write([
            .retain(StoreWorld.topic, 20), .deadLetter(letter),
            .trim(StoreWorld.topic, before: .max, receiptsSince: .max),
        ])
        _ = try world.settled()
        #expect(try await world.batches(0..<100) == [])
        let store = try world.reopen()
        #expect(try store.topics().first?.retained == 20)
        #expect(
            try await waitFor { store.batches(at: [5, 6, 20], completion: $0) } == [5, 20].map { StoreWorld.batch($0) })
        try world.write([.deadLetterRemoved(1), .retain(StoreWorld.topic, nil)])
        #expect(try await waitFor { store.batches(at: [5, 6, 20], completion: $0) } == [])
    }

    @Test func `A seal that an earlier process left open goes with its topic's last batch too`() throws {
        let world = try StoreWorld()
        let seal = StoredSeal(
            number: 1, topic: StoreWorld.topic, epoch: 1, uid: 1, gid: 1, salt: [], keyCheck: [], publisher: "")
        try world.write([StoreWorld.newTopic(), .seal(seal), .append(StoreWorld.batch(1), ids: [])])
        _ = try world.reopen()
        #expect(try world.seals == [seal])
        try world.write([.trim(StoreWorld.topic, before: .max, receiptsSince: .max)])
        _ = try world.settled()
        #expect(try world.seals == [])
    }

    @Test func `A seal goes with the last batch that needs it, and not before it is closed`() async throws {
        let world = try StoreWorld()
        let seals = (1...2).map {
            StoredSeal(
                number: $0, topic: StoreWorld.topic, epoch: 1, uid: 1, gid: 1, salt: [], keyCheck: [], publisher: "")
        }
        try world.write([StoreWorld.newTopic()] + seals.map { .seal($0) })
        try world.write((1...10).map { .append(StoreWorld.batch($0, seal: $0 % 2 + 1), ids: []) })
        try world.write([.sealClosed(1), .trim(StoreWorld.topic, before: 10, receiptsSince: .max)])
        _ = try world.settled()
        #expect(try world.seals.map(\.number) == [1, 2], "batch 10 needs the one, the other is open")
        try world.write([.trim(StoreWorld.topic, before: 11, receiptsSince: .max)])
        #expect(try world.seals.map(\.number) == [2])
        try world.write([.sealClosed(2)])
        #expect(try world.seals == [])
        #expect(try world.reopen().report.damage == [])
    }

    /// - Parameter count: so many that for some the estimate says that there is no room, and for others SQLite.
    @Test(arguments: [200, 300, 400, 500, 600, 700] as [UInt64])
    func `A seal that is closed while the store is full stays as long as its batches do`(count: UInt64) throws {
        let world = try StoreWorld()
        world.options.bytesMax = 1 << 20
        world.options.headroom = 0
        let seals = (1...UInt64(100)).map {
            StoredSeal(
                number: $0, topic: StoreWorld.topic, epoch: 1, uid: 1, gid: 1, salt: [], keyCheck: [], publisher: "")
        }
        try world.write([StoreWorld.newTopic()] + seals.map { .seal($0) })
        try world.write(seals.map { .append(StoreWorld.batch($0.number, seal: $0.number), ids: []) })
        // Ids of their own take more than is foreseen, so that it is SQLite that has no room, in the middle of it.
        for seal in seals {
            let position = seal.number * 1000
            let ids = (0..<count).map { BusUUID(high: (position + $0) &* 0x9e37_79b9_7f4a_7c15, low: $0) }
            let batch = StoreWorld.batch(position, count: UInt32(count), seal: 9999)
            guard try world.write([.sealClosed(seal.number), .append(batch, ids: ids)]).refused.isEmpty else { break }
            #expect(seal.number < 100, "there is room for some of them only")
        }
        world.options.headroom = 8 << 20
        _ = try world.reopen()
        try world.write([.trim(StoreWorld.topic, before: 2, receiptsSince: .max)])
        _ = try world.settled()
        #expect(try world.seals.map(\.number) == Array(2...100))
    }

    @Test func `A seal that is closed when its topic is gone goes, too`() throws {
        let world = try StoreWorld()
        let seal = StoredSeal(
            number: 1, topic: StoreWorld.topic, epoch: 1, uid: 1, gid: 1, salt: [], keyCheck: [], publisher: "")
        try world.write([StoreWorld.newTopic(), .seal(seal), .append(StoreWorld.batch(1), ids: [])])
        try world.write([.topicDeleted(StoreWorld.topic)])
        // Each of them is a transaction with a slice of what is to be removed.
        for _ in 0..<3 { try world.write([.ledgerTrim(before: 1)]) }
        try world.write([.sealClosed(1)])
        #expect(try world.seals == [])
        #expect(try world.reopen().report.damage == [])
    }

    @Test func `A seal goes on with a topic whose name comes back`() throws {
        let world = try StoreWorld()
        var seal = StoredSeal(
            number: 1, topic: StoreWorld.topic, epoch: 1, uid: 1, gid: 1, salt: [], keyCheck: [], publisher: "")
        try world.write([StoreWorld.newTopic(), .seal(seal), .append(StoreWorld.batch(1), ids: [])])
        seal.topic = StoreWorld.other
        try world.write([
            .topicDeleted(StoreWorld.topic), StoreWorld.newTopic(StoreWorld.other), .seal(seal),
            .append(StoreWorld.batch(2, topic: StoreWorld.other), ids: []),
        ])
        for _ in 0..<3 { try world.write([.ledgerTrim(before: 1)]) }
        try world.write([.sealClosed(1)])
        #expect(try world.seals == [seal])
        try world.write([.trim(StoreWorld.other, before: .max, receiptsSince: .max)])
        for _ in 0..<3 { try world.write([.ledgerTrim(before: 1)]) }
        #expect(try world.seals == [])
        #expect(try world.reopen().report.damage == [])
    }

    @Test func `What was to be retained and wasn't stored leaves what is retained as it is`() async throws {
        for tombstone in [false, true] {
            let world = try StoreWorld()
            try world.write([
                StoreWorld.newTopic(), .append(StoreWorld.batch(1), ids: []), .retain(StoreWorld.topic, 1),
                .trim(StoreWorld.topic, before: .max, receiptsSince: .max),
            ])
            _ = try world.settled()
            try world.close()
            world.options.bytesMax = 1
            let refused = try world.write([
                .append(StoreWorld.batch(2), ids: []), .retain(StoreWorld.topic, tombstone ? nil : 2),
            ])
            #expect(refused.refused.map(\.reason) == [.storeFull])
            let store = try world.reopen()
            #expect(try store.topics().first?.retained == 1)
            #expect(try await waitFor { store.batches(at: [1], completion: $0) } == [StoreWorld.batch(1)])
        }
    }
}
