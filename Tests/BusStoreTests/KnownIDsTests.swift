import BusWire
import Testing

@testable import BusStore

@Suite struct KnownIDsTests {
    private let publisher = StoredPublisher(uid: 1000, unit: Array("a.service".utf8))

    private func ask(
        _ world: StoreWorld, _ first: UInt64, _ count: UInt32, of publisher: StoredPublisher? = nil,
        on topic: TopicID = StoreWorld.topic
    ) throws -> [KnownIDs] {
        let asked = EventIDs(first: StoreWorld.id(first), count: count)
        return try world.write([.known(publisher ?? self.publisher, [asked], on: topic)]).known.flatMap(\.ids)
    }

    private func known(
        _ first: UInt64, _ count: UInt32, at sequence: UInt64, on topic: TopicID = StoreWorld.topic
    ) -> KnownIDs {
        KnownIDs(
            ids: EventIDs(first: StoreWorld.id(first), count: count), topic: topic, firstSequence: sequence,
            accepted: 100)
    }

    /// A batch with the ids of another one.
    private func again(_ batch: StoredBatch, ids number: UInt64) -> StoredBatch {
        var batch = batch
        batch.firstID = StoreWorld.id(number)
        return batch
    }

    @Test func `Of long batches that are known the first are told, and those behind them when they are asked for`()
        throws
    {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()])
        for number in 1...6 as ClosedRange<UInt64> {
            try world.write([.append(StoreWorld.batch(number, accepted: 100, length: 1 << 20), ids: [])])
        }
        let first = try ask(world, 1, 6)
        #expect(first == (1...4).map { known($0, 1, at: $0) })
        #expect(try ask(world, 5, 2) == (5...6).map { known($0, 1, at: $0) })
    }

    @Test func `An id that was used on several topics is known on each, there and removed, and on no other`() throws {
        let world = try StoreWorld()
        let topics = (1...3).map { TopicID(rawValue: 20 + $0) }
        let (one, other, none) = (topics[0], topics[1], topics[2])
        try world.write(
            topics.map { StoreWorld.newTopic($0, "t.\($0.rawValue)") } + [
                .append(StoreWorld.batch(100, topic: one, sequence: 1, count: 4, accepted: 100), ids: []),
                .append(
                    again(StoreWorld.batch(110, topic: other, sequence: 1, count: 2, accepted: 100), ids: 102), ids: []),
                .append(
                    again(StoreWorld.batch(120, topic: other, sequence: 3, count: 2, accepted: 100), ids: 100), ids: []),
                .append(
                    StoreWorld.batch(130, topic: one, sequence: 5, accepted: 100), ids: [StoreWorld.id(7)]),
                .append(
                    StoreWorld.batch(140, topic: other, sequence: 5, accepted: 100), ids: [StoreWorld.id(7)]),
            ])
        for round in 0..<3 {
            #expect(try ask(world, 90, 30, on: one) == [known(100, 4, at: 1, on: one)])
            #expect(
                try ask(world, 90, 30, on: other) == [
                    known(100, 2, at: 3, on: other), known(102, 2, at: 1, on: other),
                ])
            #expect(try ask(world, 90, 30, on: none) == [])
            #expect(try ask(world, 7, 1, on: one) == [known(7, 1, at: 5, on: one)])
            #expect(try ask(world, 7, 1, on: other) == [known(7, 1, at: 5, on: other)])
            #expect(try ask(world, 7, 1, on: none) == [])
            guard round < 2 else { break }
            try world.write([.trim(topics[round], before: .max, receiptsSince: 50)])
            _ = try world.settled()
        }
    }

    @Test func `Ids are known by publisher, in runs, with their first receipt, across restarts and removal`() throws {
        let world = try StoreWorld()
        try world.write([
            StoreWorld.newTopic(), .append(StoreWorld.batch(10, count: 4, accepted: 100), ids: []),
            .append(StoreWorld.batch(20, count: 2, accepted: 100), ids: []),
        ])
        for round in 0..<3 {
            #expect(try ask(world, 10, 4) == [known(10, 4, at: 10)])
            #expect(try ask(world, 12, 1) == [known(12, 1, at: 12)])
            #expect(try ask(world, 5, 4) == [])
            #expect(try ask(world, 8, 20) == [known(10, 4, at: 10), known(20, 2, at: 20)])
            #expect(try ask(world, 10, 4, of: StoredPublisher(uid: 1000)) == [])
            #expect(try ask(world, 10, 4, of: StoredPublisher(uid: 1001, unit: publisher.unit)) == [])
            if round == 0 { _ = try world.reopen() }
            if round == 1 {
                try world.write([.trim(StoreWorld.topic, before: .max, receiptsSince: 50)])
                _ = try world.settled()
            }
        }
        try world.write([.receiptsTrim(before: 101)])
        #expect(try ask(world, 8, 20) == [])
    }

    @Test func `Ids of batches accepted before the window go with them`() throws {
        let world = try StoreWorld()
        try world.write([
            StoreWorld.newTopic(), .append(StoreWorld.batch(1, accepted: 10), ids: []),
            .append(StoreWorld.batch(2, accepted: 100), ids: []),
            .trim(StoreWorld.topic, before: .max, receiptsSince: 50),
        ])
        _ = try world.settled()
        #expect(try ask(world, 1, 2) == [known(2, 1, at: 2)])
    }

    @Test func `Ids of their own are known one by one`() async throws {
        let world = try StoreWorld()
        let ids = [50, 40, 60].map { StoreWorld.id($0) }
        try world.write([
            StoreWorld.newTopic(), .append(StoreWorld.batch(1, count: 3, accepted: 100), ids: ids),
        ])
        let store = try world.opened
        let places = try await waitFor { store.places(of: StoreWorld.id(60), completion: $0) }
        #expect(places.map(\.position) == [3])
        for round in 0..<2 {
            #expect(try ask(world, 38, 30) == [known(40, 1, at: 2), known(50, 1, at: 1), known(60, 1, at: 3)])
            #expect(try ask(world, 1, 3) == [], "the first id says nothing of a batch with ids of its own")
            guard round == 0 else { break }
            try world.write([.trim(StoreWorld.topic, before: .max, receiptsSince: 50)])
            _ = try world.settled()
        }
        try world.write([.receiptsTrim(before: 101)])
        #expect(try ask(world, 38, 30) == [])
    }

    @Test func `Looking an id up walks over no batches with ids of their own, in a store of before neither`() throws {
        let world = try StoreWorld()
        let plan = { () throws -> [String] in
            try world.close()
            let connection = try Connection(writing: world.directory + "/store.db")
            defer { try? connection.closeWhole() }
            return try connection.use { () throws(StoreError) in
                var plan: [String] = []
                for direction in [
                    ">= ? AND first_id <= ? AND topic = ? AND flags < 4294967296 ORDER BY first_id DESC",
                    "> ? AND first_id <= ? AND topic = ? AND flags < 4294967296 ORDER BY first_id",
                ] {
                    let explain = try SQLStatement(
                        connection.handle,
                        "EXPLAIN QUERY PLAN SELECT position FROM batches WHERE publisher = ? AND first_id \(direction) LIMIT 1"
                    )
                    while try explain.step() { plan.append(String(decoding: explain.bytes(3), as: UTF8.self)) }
                }
                let select = try SQLStatement(
                    connection.handle, "SELECT sql FROM sqlite_schema WHERE name = 'batches_by_id'")
                while try select.step() { plan.append(String(decoding: select.bytes(0), as: UTF8.self)) }
                return plan
            }
        }
        var schema = Schema.current
        schema.steps.removeSubrange(3...)
        world.schema = schema
        try world.write([StoreWorld.newTopic(), .append(StoreWorld.batch(10, accepted: 100), ids: [StoreWorld.id(4)])])
        #expect(try plan().last?.contains("WHERE") == false)
        world.schema = .current
        try world.open()
        #expect(try ask(world, 4, 1) == [known(4, 1, at: 10)], "an id of its own is known as before")
        let found = try plan()
        #expect(found.count == 3)
        #expect(
            found.prefix(2).allSatisfy {
                $0.contains("SEARCH batches USING INDEX batches_by_id (publisher=? AND first_id")
            })
        #expect(found.last?.hasSuffix("WHERE flags < 4294967296") == true)
    }

    @Test func `Ids are forgotten in slices`() throws {
        let world = try StoreWorld()
        world.options.removalSlice = 1
        try world.write(
            [StoreWorld.newTopic()] + (1...50).map { .append(StoreWorld.batch($0, accepted: 100), ids: []) }
                + [.trim(StoreWorld.topic, before: .max, receiptsSince: 50)])
        _ = try world.settled()
        let before = world.commits.count
        try world.write([.receiptsTrim(before: 101)])
        while try !ask(world, 1, 50).isEmpty {}
        #expect(world.commits.count > before + 3)
    }

    @Test func `An event is found by its id, whoever published it`() async throws {
        let world = try StoreWorld()
        let other = StoredPublisher(uid: 1)
        try world.write([
            StoreWorld.newTopic(), .append(StoreWorld.batch(10, sequence: 5, count: 4), ids: []),
            .append(StoreWorld.batch(20, sequence: 9, count: 4, publisher: other), ids: []),
        ])
        let store = try world.opened
        let places = try await waitFor { store.places(of: StoreWorld.id(22), completion: $0) }
        #expect(places.map(\.position) == [22])
        #expect(places.map(\.sequence) == [11])
        #expect(places.map(\.publisher) == [other])
        #expect(places.map(\.isStored) == [true])
        #expect(try await waitFor { store.places(of: StoreWorld.id(14), completion: $0) } == [])
    }
}
