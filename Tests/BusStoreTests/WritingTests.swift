import BusWire
import Testing

@testable import BusStore

@Suite struct WritingTests {
    @Test func `Everything but batches is read back after reopening`() async throws {
        let world = try StoreWorld()
        let declaration = StoredDeclaration(filter: Array("orders.>".utf8), options: [1, 2, 3])
        let subscription = StoredSubscription(
            id: 4, name: Array("billing".utf8), options: [9],
            cursor: StoredCursor(next: 17, pending: [PendingRange(first: 3, count: 2, attempts: 1)]))
        let seal = StoredSeal(
            number: 12, topic: StoreWorld.topic, epoch: 1, uid: 1000, gid: 100, salt: Array(repeating: 1, count: 32),
            keyCheck: Array(repeating: 2, count: 16), publisher: "shop", unit: Array("shop.service".utf8))
        let secret = StoredSecret(namespace: Array("orders".utf8), epoch: 2, wrapped: Array(repeating: 3, count: 60))
        let letter = StoredDeadLetter(
            id: 1, subscription: 4, position: 3, selection: [1], reason: 7, reasonText: "no such customer",
            attempts: 10, firstAttempt: 100, lastAttempt: 200, died: 201)
        let entry = LedgerEntry(
            subscription: 4, first: 3, count: 2, outcome: 1, session: 77, attempt: 1, sent: 140, time: 150, reason: 0)
        try world.write([
            StoreWorld.newTopic(), .declaration(declaration), .subscription(subscription), .seal(seal),
            .secret(secret), .deadLetter(letter), .ledger(entry),
        ])
        for _ in 0..<2 {
            let store = try world.opened
            #expect(try store.declarations() == [declaration])
            #expect(try store.subscriptions() == [subscription])
            #expect(try world.seals == [seal])
            #expect(try store.secrets() == [secret])
            #expect(try store.topics().map(\.name) == [Array("orders.new".utf8)])
            let letters = try await waitFor { store.deadLetters(of: nil, after: 0, countMax: 10, completion: $0) }
            #expect(letters == [letter])
            let entries = try await waitFor { store.ledger(in: 4..<5, countMax: 10, completion: $0) }
            #expect(entries == [entry], "an entry that begins before reaches into the range")
            #expect(store.report.damage == [])
            _ = try world.reopen()
        }
    }

    @Test func `A second write replaces the first, a removal leaves nothing`() async throws {
        let world = try StoreWorld()
        let filter = Array("a.>".utf8)
        var subscription = StoredSubscription(id: 1, name: [65], options: [1], cursor: StoredCursor(next: 1))
        try world.write([
            .declaration(StoredDeclaration(filter: filter, options: [1])),
            .declaration(StoredDeclaration(filter: filter, options: [2])),
            .subscription(subscription), .cursor(subscription: 1, StoredCursor(next: 9)),
        ])
        subscription.cursor.next = 9
        #expect(try world.opened.declarations().map(\.options) == [[2]])
        #expect(try world.opened.subscriptions() == [subscription])
        try world.write([
            .declarationRemoved(filter), .subscriptionRemoved(1), .declarationRemoved([66]), .subscriptionRemoved(5),
        ])
        let store = try world.reopen()
        #expect(try store.declarations() == [])
        #expect(try store.subscriptions() == [])
        #expect(store.report.damage == [])
    }

    @Test func `Writes take effect in the order in which they were submitted`() async throws {
        let world = try StoreWorld()
        let publisher = StoreWorld.batch(1).publisher
        let asked = [EventIDs(first: StoreWorld.id(1), count: 4)]
        let committed = try world.write([
            .append(StoreWorld.batch(1), ids: []), StoreWorld.newTopic(),
            .known(publisher, asked, on: StoreWorld.topic),
            .append(StoreWorld.batch(2), ids: []), .known(publisher, asked, on: StoreWorld.topic),
        ])
        #expect(committed.refused.map(\.ticket) == [1])
        #expect(committed.refused.map(\.reason) == [.unknownTopic])
        #expect(committed.known.map(\.ticket) == [3, 5])
        #expect(committed.known[0].ids.isEmpty)
        #expect(committed.known[1].ids.map(\.firstSequence) == [2])
    }

    @Test func `What would give a position or a sequence twice is refused`() throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), .append(StoreWorld.batch(10, count: 3), ids: [])])
        let committed = try world.write([
            .append(StoreWorld.batch(12, sequence: 20), ids: []), .append(StoreWorld.batch(13, sequence: 12), ids: []),
            .append(StoreWorld.batch(13, sequence: 13), ids: []),
        ])
        #expect(committed.refused.map(\.reason) == [.outOfOrder, .outOfOrder])
        #expect(committed.nextPosition == 14)
    }

    @Test func `Tickets count writes and every one is told once`() throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic()])
        let store = try world.opened
        for position in UInt64(1)...300 { store.submit([.append(StoreWorld.batch(position), ids: [])]) }
        try world.write([.ledgerTrim(before: 1)])
        let through = world.commits.map(\.through)
        #expect(through == through.sorted())
        #expect(through.last == 302)
        #expect(
            world.commits.map(\.commit) == Array(1...UInt64(through.count)).map { $0 + world.commits[0].commit - 1 })
    }

    @Test func `Positions by time and by sequence are found`() async throws {
        let world = try StoreWorld()
        try world.write([StoreWorld.newTopic(), StoreWorld.newTopic(StoreWorld.other, "b")])
        // Two topics in turn, three events each: positions 1, 4, 7 …
        try world.write(
            (UInt64(0)..<40).map { n in
                let topic = n % 2 == 0 ? StoreWorld.topic : StoreWorld.other
                return .append(
                    StoreWorld.batch(1 + n * 3, topic: topic, sequence: 1 + (n / 2) * 3, count: 3), ids: [])
            })
        let store = try world.opened
        func position(since time: Int64) async throws -> UInt64? {
            try await waitFor { store.position(in: StoreWorld.other, since: time, completion: $0) }
        }
        func position(of sequence: UInt64) async throws -> UInt64? {
            try await waitFor { store.position(in: StoreWorld.other, sequence: sequence, completion: $0) }
        }
        #expect(try await position(since: 0) == 4)
        #expect(try await position(since: 4000) == 4)
        #expect(try await position(since: 4001) == 10)
        #expect(try await position(since: 118_000) == 118)
        #expect(try await position(since: 118_001) == nil)
        #expect(try await position(of: 1) == 4)
        #expect(try await position(of: 3) == 6)
        #expect(try await position(of: 4) == 10)
        #expect(try await position(of: 60) == 120)
        #expect(try await position(of: 61) == nil)
        #expect(try await world.batches(0..<200, of: [StoreWorld.other]).count == 20)
        let both = [StoreWorld.topic, StoreWorld.other]
        #expect(try await world.batches(0..<200, of: both, countMax: 7).map(\.position) == (0..<40).map { 1 + $0 * 3 })
    }
}
