import BusWire
import Testing

@testable import BusStore

@Suite(.timeLimit(.minutes(1))) struct ScheduledTests {
    private static func event(
        _ number: UInt64, due: Int64, topic: TopicID = StoreWorld.topic, seal: UInt64 = 1, uid: UInt32 = 1000
    ) -> StoredScheduled {
        StoredScheduled(
            number: number, topic: topic, due: due, taken: 5, seal: seal, uid: uid, id: StoreWorld.id(number), flags: 3,
            body: SharedBytes([UInt8](repeating: UInt8(truncatingIfNeeded: number), count: 200)))
    }

    private static func seal(_ number: UInt64 = 1) -> StoreWrite {
        .seal(
            StoredSeal(
                number: number, topic: StoreWorld.topic, epoch: 1, uid: 1000, gid: 1000,
                salt: [UInt8](repeating: 1, count: 32), keyCheck: [UInt8](repeating: 2, count: 16), publisher: "p"))
    }

    private func due(
        _ world: StoreWorld, by time: Int64, after place: DuePlace? = nil, countMax: Int = 100, bytesMax: Int = 1 << 20
    ) async throws -> ScheduledPage {
        let store = try world.opened
        return try await waitFor {
            store.scheduled(dueBy: time, after: place, countMax: countMax, bytesMax: bytesMax, completion: $0)
        }
    }

    @Test func `What is due is read by due time, in pages, with its seal, and when the next one is due`() async throws {
        let world = try StoreWorld()
        let events = [Self.event(1, due: 30), Self.event(2, due: 10), Self.event(3, due: 20), Self.event(4, due: 20)]
        try world.write([StoreWorld.newTopic(), Self.seal()] + events.map { .schedule($0) })
        let page = try await due(world, by: 25)
        #expect(page.events == [events[1], events[2], events[3]] && page.next == 30)
        #expect(page.seals[1]?.publisher == "p")
        #expect(try await due(world, by: 25, countMax: 2).events.map(\.number) == [2, 3])
        #expect(try await due(world, by: 25, countMax: 2).next == 20)
        #expect(try await due(world, by: 99, bytesMax: 1).events.map(\.number) == [2])
        #expect(try await due(world, by: 9).events.isEmpty)
        let store = try world.reopen()
        let summary = try store.scheduled()
        #expect(summary.next == 10 && summary.lastNumber == 4)
        #expect(summary.counts.map(\.count) == [4] && summary.counts.first?.uid == 1000)
        #expect(summary.counts.map(\.length) == [800])
        #expect(
            try await waitFor { store.scheduled(id: StoreWorld.id(3), countMax: 9, bytesMax: 9, completion: $0) }
                == [events[2]])
        #expect(
            try await waitFor { store.scheduled(after: 2, countMax: 1, bytesMax: 1 << 20, completion: $0) }
                == [events[2]])
    }

    @Test func `What is due is read on behind a place, each once, also of those due at the same time`() async throws {
        let world = try StoreWorld()
        let dues: [Int64] = [20, 10, 20, 30, 20, 10, 20, 40]
        let events = dues.enumerated().map { Self.event(UInt64($0.offset + 1), due: $0.element) }
        try world.write([StoreWorld.newTopic(), Self.seal()] + events.map { .schedule($0) })
        for countMax in 1...9 {
            var (found, place, next) = ([UInt64](), DuePlace?.none, Int64?(0))
            while let first = next, first <= 30 {
                let page = try await due(world, by: 30, after: place, countMax: countMax)
                #expect(page.events.count <= countMax)
                found += page.events.map(\.number)
                (place, next) = (page.end, page.next)
            }
            #expect(found == [2, 6, 1, 3, 5, 7, 4] && next == 40, "\(countMax) a page")
        }
        let last = try await due(world, by: 99, after: DuePlace(due: 40, number: 8))
        #expect(last.events.isEmpty && last.end == nil && last.next == nil)
    }

    @Test func `A page of rows that are damaged ends, too, and is read on behind`() async throws {
        let world = try StoreWorld()
        try world.write(
            [StoreWorld.newTopic(), Self.seal()] + (1...9).map { .schedule(Self.event($0, due: Int64($0))) })
        try world.close()
        let connection = try Connection(writing: world.options.databasePath)
        try connection.use { () throws(StoreError) in
            try connection.execute("UPDATE scheduled SET record = zeroblob(80) WHERE id < 9")
        }
        try connection.close()
        try world.open()
        let page = try await due(world, by: 99, countMax: 5)
        #expect(page.events.isEmpty && page.end == DuePlace(due: 5, number: 5) && page.next == 6)
        #expect(try await due(world, by: 99, after: page.end, countMax: 5).events.map(\.number) == [9])
        #expect(world.waitForDamage(8).count == 8)
    }

    @Test func `Publishing one moves it: its batch is there and it waits no more, or neither`() async throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), Self.seal(), .schedule(Self.event(1, due: 10))])
        // A position that was given already.
        try world.write([.append(StoreWorld.batch(5), ids: [])])
        let refused = try world.write([.publishScheduled(1, StoreWorld.batch(5), ids: [])])
        #expect(refused.refused.map(\.reason) == [.outOfOrder])
        #expect(try await due(world, by: 10).events.count == 1)
        try world.write([.publishScheduled(1, StoreWorld.batch(6), ids: [])])
        let crashed = try world.crashed()
        for world in [world, crashed] {
            #expect(try await due(world, by: 10).events.isEmpty)
            #expect(try await world.batches(0..<10) == [StoreWorld.batch(5), StoreWorld.batch(6)])
        }
        #expect(try crashed.opened.report.damage == [])
    }

    @Test func `A seal stays as long as something waits under it, and then as long as its batch`() async throws {
        let world = try StoreWorld()
        try world.write([
            StoreWorld.newTopic(), Self.seal(), .append(StoreWorld.batch(1), ids: []),
            .schedule(Self.event(1, due: 10)), .schedule(Self.event(2, due: 20)), .sealClosed(1),
            .append(StoreWorld.batch(2, seal: 2), ids: []),
            .trim(StoreWorld.topic, before: 2, receiptsSince: .max),
        ])
        _ = try world.settled()
        #expect(try world.seals.map(\.number) == [1])
        // Published under a seal that was closed long ago, in a later process.
        _ = try world.reopen()
        try world.write([.publishScheduled(1, StoreWorld.batch(3), ids: [])])
        try world.write([.unschedule(2), .trim(StoreWorld.topic, before: 3, receiptsSince: .max)])
        _ = try world.settled()
        #expect(try world.seals.map(\.number) == [1])
        #expect(try await world.batches(0..<10) == [StoreWorld.batch(3)])
        try world.write([.trim(StoreWorld.topic, before: 4, receiptsSince: .max)])
        _ = try world.settled()
        #expect(try world.seals == [])
    }

    @Test func `Taking the last one back lets go of its seal`() throws {
        let world = try StoreWorld()
        try world.write([
            StoreWorld.newTopic(), Self.seal(), .schedule(Self.event(1, due: 10)), .sealClosed(1),
            .append(StoreWorld.batch(1, seal: 2), ids: []), .append(StoreWorld.batch(2, seal: 2), ids: []),
            .trim(StoreWorld.topic, before: 2, receiptsSince: .max),
        ])
        _ = try world.settled()
        #expect(try world.seals.count == 1)
        try world.write([.unschedule(1), .unschedule(1), .unschedule(7)])
        #expect(try world.seals == [])
        #expect(try world.reopen().report.damage == [])
    }

    @Test func `What waits is known by its id, of its publisher and of no other`() throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), Self.seal(), .schedule(Self.event(4, due: 10))])
        func known(
            _ uid: UInt32, _ first: UInt64, _ count: UInt32, on topic: TopicID? = StoreWorld.topic
        ) throws -> [KnownIDs] {
            let ids = EventIDs(first: StoreWorld.id(first), count: count)
            let publisher = StoredPublisher(uid: uid)
            let asked = StoreWrite.known(
                publisher, [ids], on: topic ?? StoreWorld.topic, includesWaiting: topic != nil)
            return try world.write([asked]).known.flatMap(\.ids)
        }
        #expect(try known(1000, 2, 5).map(\.ids.first) == [StoreWorld.id(4)])
        #expect(try known(1000, 2, 5).map(\.firstSequence) == [0])
        #expect(try known(1000, 5, 5).isEmpty)
        #expect(try known(1001, 2, 5).isEmpty)
        #expect(try known(1000, 2, 5, on: StoreWorld.other).isEmpty && known(1000, 2, 5, on: nil).isEmpty)
    }

    /// Events under ids of the caller's, with bodies of a length.
    private static func events(_ ids: [UInt64], uid: UInt32 = 1000, length: Int = 10, from: UInt64 = 1) -> [StoreWrite]
    {
        ids.enumerated().map { place, id in
            var event = event(from + UInt64(place), due: 10, uid: uid)
            event.id = StoreWorld.id(id)
            event.body = SharedBytes([UInt8](repeating: 1, count: length))
            return .schedule(event)
        }
    }

    @Test func `What waits under one id is read in pages, of one user or of all`() async throws {
        let world = try StoreWorld()
        let ids = [UInt64](repeating: 7, count: 10)
        try world.write(
            [StoreWorld.newTopic(), Self.seal()] + Self.events(ids) + Self.events(ids, uid: 1001, from: 11)
                + Self.events([6, 8], uid: 1001, from: 21))
        let store = try world.opened
        func numbers(_ uid: UInt32?, after: UInt64, _ countMax: Int, bytes: Int = 1000) async throws -> [UInt64] {
            try await waitFor {
                store.scheduled(
                    id: StoreWorld.id(7), of: uid, after: after, countMax: countMax, bytesMax: bytes, completion: $0)
            }.map(\.number)
        }
        #expect(try await numbers(nil, after: 0, 12) == Array(1...12))
        #expect(try await numbers(nil, after: 12, 12) == Array(13...20))
        #expect(try await numbers(nil, after: 0, 12, bytes: 25) == [1, 2, 3])
        #expect(try await numbers(1001, after: 0, 3) == [11, 12, 13])
        #expect(try await numbers(1001, after: 18, 3) == [19, 20])
        #expect(try await numbers(1002, after: 0, 3).isEmpty)
    }

    @Test func `An id that waits many times is known once, and of very long events the first are`() throws {
        let world = try StoreWorld()
        try world.write(
            [StoreWorld.newTopic(), Self.seal()] + Self.events([1, 2, 2, 2, 2, 3]) + Self.events([2], uid: 1, from: 7)
                + Self.events(Array(10...19), length: 1 << 20, from: 10))
        func known(_ ids: [EventIDs]) throws -> [UInt64] {
            let answer = try world.write([
                .known(StoredPublisher(uid: 1000), ids, on: StoreWorld.topic, includesWaiting: true)
            ])
            return answer.known.flatMap(\.ids).map { $0.ids.first.low & 0xffff }
        }
        let first = StoreWorld.id(1).low & 0xffff - 1
        #expect(try known([EventIDs(first: StoreWorld.id(1), count: 5)]) == [1, 2, 3].map { $0 + first })
        let one = try known([EventIDs(first: StoreWorld.id(14), count: 1)])
        #expect(one == [14 + first])
        let run = try known([EventIDs(first: StoreWorld.id(10), count: 10)])
        #expect(run == [10, 11, 12, 13].map { $0 + first })
        let single = try known((10...19).map { EventIDs(first: StoreWorld.id($0), count: 1) })
        #expect(single == run)
    }

    @Test func `A topic that is deleted takes what waits for it along, one that is purged doesn't`() async throws {
        let world = try StoreWorld()
        try world.write([
            StoreWorld.newTopic(), StoreWorld.newTopic(StoreWorld.other, "b"), Self.seal(),
            .schedule(Self.event(1, due: 10)), .schedule(Self.event(2, due: 10, topic: StoreWorld.other)),
            .append(StoreWorld.batch(1), ids: []),
        ])
        try world.write([.trim(StoreWorld.topic, before: 2, receiptsSince: .max)])
        #expect(try await due(world, by: 10).events.count == 2)
        try world.write([.topicDeleted(StoreWorld.topic)])
        #expect(try await due(world, by: 10).events.map(\.number) == [2])
        let refused = try world.write([.schedule(Self.event(3, due: 10))]).refused
        #expect(refused.map(\.reason) == [.unknownTopic])
        #expect(try world.reopen().report.damage == [])
    }

    @Test func `One that isn't what was written is put aside, and the others are read`() async throws {
        let world = try StoreWorld()
        try world.write(
            [StoreWorld.newTopic(), Self.seal()] + (1...3).map { .schedule(Self.event($0, due: Int64($0) * 10)) })
        try world.close()
        let connection = try Connection(writing: world.options.databasePath)
        try connection.use { () throws(StoreError) in
            try connection.execute("UPDATE scheduled SET due = 1 WHERE id = 2")
            try connection.execute("UPDATE scheduled SET record = zeroblob(80) WHERE id = 3")
        }
        try connection.close()
        let store = try world.open()
        var (damage, place) = ([StoreDamage](), UInt64?(UInt64(Int64.max)))
        while let from = place {
            let scrub = try await waitFor { store.scrub(from: from, completion: $0) }
            damage += scrub.damage
            place = scrub.next
        }
        #expect(damage == [.row(table: "scheduled", key: 2), .row(table: "scheduled", key: 3)])
        #expect(try await due(world, by: 99).events == [Self.event(1, due: 10)])
        #expect(try world.reopen().report.damage == [])
    }

    @Test func `One that nothing can be made of is put aside when that is said, told, and counted no more`()
        async throws
    {
        let world = try StoreWorld()
        try world.write(
            [StoreWorld.newTopic(), Self.seal()] + (1...3).map { .schedule(Self.event($0, due: Int64($0) * 10)) })
        let commit = try world.write([.setAsideScheduled(2), .setAsideScheduled(2), .setAsideScheduled(9)])
        #expect(commit.setAside == [SetAsideScheduled(number: 2, topic: StoreWorld.topic, uid: 1000, length: 200)])
        #expect(world.damage == [.row(table: "scheduled", key: 2)])
        #expect(try await due(world, by: 99).events.map(\.number) == [1, 3])
        #expect(try world.reopen().report.damage == [])
        let connection = try Connection(writing: world.options.databasePath)
        try connection.use { () throws(StoreError) in
            let found = try connection.integer(
                "SELECT length(record) FROM quarantine WHERE tbl = 'scheduled' AND key = 2")
            #expect(found > 200)
        }
        try connection.close()
    }

    @Test func `Whose a damaged row was is told when it is put aside`() async throws {
        let world = try StoreWorld()
        try world.write(
            [StoreWorld.newTopic(), Self.seal()] + (1...3).map { .schedule(Self.event($0, due: Int64($0) * 10)) })
        try world.close()
        let connection = try Connection(writing: world.options.databasePath)
        try connection.use { () throws(StoreError) in
            // As long as it was, as what a bit flips in is.
            try connection.execute("UPDATE scheduled SET record = zeroblob(length(record)) WHERE id = 1")
            // Nobody's.
            try connection.execute("UPDATE scheduled SET publisher = -1, record = zeroblob(80) WHERE id = 3")
        }
        try connection.close()
        try world.open()
        #expect(try await due(world, by: 99).events.map(\.number) == [2])
        #expect(try await due(world, by: 99).events.map(\.number) == [2])
        try world.write([.unschedule(7)])
        #expect(
            world.commits.flatMap(\.setAside) == [
                SetAsideScheduled(number: 1, topic: StoreWorld.topic, uid: 1000, length: 200)
            ])
    }

    @Test func `A scrub looks at them in slices, by rows and by bytes, and at each once`() async throws {
        for (count, length, slices) in [(600, 10, 3), (5, 600 << 10, 3), (256, 10, 2), (1, 10, 1)] {
            let world = try StoreWorld()
            let ids = (1...UInt64(count)).map { $0 }
            try world.write([StoreWorld.newTopic(), Self.seal()] + Self.events(ids, length: length))
            try world.close()
            let connection = try Connection(writing: world.options.databasePath)
            try connection.use { () throws(StoreError) in
                try connection.execute("UPDATE scheduled SET due = 1 WHERE id = \(count)")
            }
            try connection.close()
            let store = try world.open()
            // Where the last table begins.
            var (place, found, damage) = (UInt64?(1 << 63 + 12 << 58), [UInt64](), [StoreDamage]())
            while let from = place {
                let report = try await waitFor { store.scrub(from: from, completion: $0) }
                found.append(report.records)
                damage += report.damage
                place = report.next
            }
            #expect(found.count == slices && found.reduce(0, +) == UInt64(count - 1), "\(found)")
            #expect(damage == [.row(table: "scheduled", key: UInt64(count))])
        }
    }

    @Test func `A row that vanished is noticed at the next start`() throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), Self.seal(), .schedule(Self.event(1, due: 10))])
        try world.close()
        let connection = try Connection(writing: world.options.databasePath)
        try connection.use { () throws(StoreError) in try connection.execute("DELETE FROM scheduled") }
        try connection.close()
        #expect(try world.open().report.damage == [.rowsMissing(table: "scheduled", found: 0, written: 1)])
    }

    @Test func `A store of version 1 becomes one of this version, with a copy of before and nothing lost`() async throws
    {
        let world = try StoreWorld()
        world.schema = Schema(steps: [Schema.current.steps[0]])
        // What a program of version 1 wrote: its account ends before the table it doesn't know.
        let connection = try Self.versionOne(world)
        try connection.close()
        world.schema = .current
        let store = try world.open()
        #expect(store.report.damage == [])
        #expect(world.exists("store.before-v2") && world.exists("store.before-v3"))
        try world.write([.append(StoreWorld.batch(2), ids: []), Self.seal(), .schedule(Self.event(1, due: 10))])
        #expect(try world.reopen().report.damage == [])
        #expect(try await due(world, by: 10).events.count == 1)
        #expect(try await world.batches(0..<10) == [StoreWorld.batch(1), StoreWorld.batch(2)])
        try world.close()
        #expect(try Store.rollback(world.options, to: 1).lostEvents == 1)
    }

    /// Makes a store as version 1 left it, and gives the connection that did.
    private static func versionOne(_ world: StoreWorld) throws -> Connection {
        let made = Schema.current
        world.schema = made
        try world.write([StoreWorld.newTopic(), .append(StoreWorld.batch(1), ids: [])])
        try world.close()
        let connection = try Connection(writing: world.options.databasePath)
        try connection.use { () throws(StoreError) in
            let select = try SQLStatement(connection.handle, "SELECT record FROM meta")
            guard try select.step() else { throw .damaged("no account") }
            // Without the last table's count, and its checksum made anew.
            var writer = RecordWriter(.meta)
            for byte in select.bytes(0).dropFirst().dropLast(16) { writer.put(byte) }
            select.reset()
            let update = try SQLStatement(connection.handle, "UPDATE meta SET record = ?")
            update.bind(1, writer.finish())
            try update.run()
            try connection.execute("DROP TABLE scheduled")
            try connection.execute("DROP TABLE usage")
            try connection.execute("PRAGMA user_version = 1")
        }
        return connection
    }
}
