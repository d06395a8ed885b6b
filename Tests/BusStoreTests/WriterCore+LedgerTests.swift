import BusWire
import Testing

@testable import BusStore

/// What the ledger says goes with the events it is of, and not before.
@Suite struct WriterCoreLedgerTests {
    private func line(_ first: UInt64, _ count: UInt32 = 1) -> StoreWrite {
        .ledger(
            LedgerEntry(
                subscription: 1, first: first, count: count, outcome: 2, session: 1, attempt: 1, sent: 0, time: 0,
                reason: 0))
    }

    private func letter(_ id: UInt64, _ position: UInt64, _ selection: [UInt8] = []) -> StoredDeadLetter {
        StoredDeadLetter(
            id: id, subscription: 1, position: position, selection: selection, reason: 1, reasonText: "", attempts: 1,
            firstAttempt: 0, lastAttempt: 0, died: 0)
    }

    /// Ten batches of ten events each, the odd ones on one topic and the even ones on another.
    private func world(_ lines: [StoreWrite]) throws -> StoreWorld {
        let world = try StoreWorld()
        let batches = (0..<10 as Range<UInt64>).map { number in
            StoreWrite.append(
                StoreWorld.batch(
                    1 + 10 * number, topic: number % 2 == 0 ? StoreWorld.topic : StoreWorld.other,
                    sequence: 1 + 10 * (number / 2), count: 10), ids: [])
        }
        try world.write([StoreWorld.newTopic(), StoreWorld.newTopic(StoreWorld.other, "b")] + batches + lines)
        return world
    }

    private func lines(_ world: StoreWorld) async throws -> [[UInt64]] {
        let store = try world.opened
        return try await waitFor { store.ledger(in: 0..<1000, countMax: 100, completion: $0) }
            .map { [$0.first, UInt64($0.count)] }
    }

    private func trim(_ world: StoreWorld, _ topic: TopicID, before position: UInt64) throws {
        try world.write([.trim(topic, before: position, receiptsSince: .max)])
        _ = try world.settled()
    }

    @Test func `a line may name an answer, and goes with its event like any other`() async throws {
        let answer = BusUUID(high: 5, low: 6)
        let named = LedgerEntry(
            subscription: 0, first: 12, count: 1, outcome: 7, session: 3, attempt: 0, sent: 10, time: 20,
            answer: answer)
        let world = try world([.ledger(named), line(13)])
        let store = try world.opened
        let entries = try await waitFor { store.ledger(in: 0..<1000, countMax: 100, completion: $0) }
        #expect(entries.first == named && entries.map(\.answer) == [answer, .zero])
        #expect(entries.map { $0.record.count } == [entries[1].record.count + 16, entries[1].record.count])
        try trim(world, StoreWorld.other, before: 20)
        #expect(try await lines(world) == [])
    }

    @Test func `what is said of a batch goes with it, whatever older ones stay`() async throws {
        let world = try world([line(1, 10), line(11, 10), line(13), line(21, 10), line(35)])
        try trim(world, StoreWorld.other, before: 30)
        #expect(try await lines(world) == [[1, 10], [21, 10], [35, 1]])
    }

    @Test func `a line over several batches is kept as far as they are there`() async throws {
        let world = try world([line(1, 100), line(15, 30), line(11, 10), line(11, 5)])
        try trim(world, StoreWorld.other, before: 20)
        #expect(try await lines(world) == [[1, 100], [21, 24]])
        try trim(world, StoreWorld.topic, before: 30)
        #expect(try await lines(world) == [[31, 70], [31, 14]])
        try trim(world, StoreWorld.other, before: .max)
        #expect(try await lines(world) == [[41, 60], [41, 4]])
        try trim(world, StoreWorld.topic, before: .max)
        #expect(try await lines(world) == [])
    }

    @Test func `of what is kept it stays until that goes, and what is trimmed by position leaves it`() async throws {
        let world = try world([line(1, 3), line(11, 10), line(21, 10)])
        try world.write([.retain(StoreWorld.topic, 21), .deadLetter(letter(1, 11))])
        try trim(world, StoreWorld.topic, before: .max)
        try trim(world, StoreWorld.other, before: .max)
        // Written when its batch had gone already.
        try world.write([line(5)])
        #expect(try await lines(world) == [[11, 10], [21, 10], [5, 1]])
        try world.write([.ledgerTrim(before: 101)])
        #expect(try await lines(world) == [[11, 10], [21, 10]])
        try world.write([.deadLetterRemoved(1)])
        #expect(try await lines(world) == [[21, 10]])
        try world.write([.retain(StoreWorld.topic, nil)])
        #expect(try await lines(world) == [])
    }

    @Test func `events are cut out of a dead letter, and with the last it goes`() async throws {
        let world = try world([.deadLetter(letter(1, 11, [0b111, 0b10])), line(11, 10)])
        try trim(world, StoreWorld.other, before: .max)
        let store = try world.opened
        func selections() async throws -> [[UInt8]] {
            try await waitFor { store.deadLetters(of: nil, after: 0, countMax: 10, completion: $0) }.map(\.selection)
        }
        try world.write([.deadLetterRemoved(1, events: [0b010])])
        #expect(try await selections() == [[0b101, 0b10]])
        // The same once more, and one that it isn't of.
        try world.write([.deadLetterRemoved(1, events: [0b1010]), .deadLetterRemoved(1, events: [0, 0b10, 1])])
        #expect(try await selections() == [[0b101, 0]])
        #expect(try await waitFor { store.batches(at: [11], completion: $0) }.count == 1)
        try world.write([.deadLetterRemoved(1, events: [0b101])])
        #expect(try await selections() == [])
        #expect(try await waitFor { store.batches(at: [11], completion: $0) }.isEmpty)
        #expect(try await lines(world) == [])
    }

    @Test func `Trimming goes on in slices, and a trace counts only the lines that reach into it`() async throws {
        let world = try StoreWorld()
        world.options.removalSlice = 1
        func line(_ first: UInt64, _ count: UInt32 = 1) -> StoreWrite {
            .ledger(
                LedgerEntry(
                    subscription: 1, first: first, count: count, outcome: 2, session: 1, attempt: 1, sent: 0, time: 0,
                    reason: 0))
        }
        try world.write([StoreWorld.newTopic()] + (1...100).map { line($0) } + [line(101, 50)])
        let store = try world.opened
        let found = try await waitFor { store.ledger(in: 120..<121, countMax: 1, completion: $0) }
        #expect(found.map(\.first) == [101])
        let before = world.commits.count
        try world.write([.ledgerTrim(before: 101)])
        // Closing carries out nothing that isn't asked for, so it is waited for.
        var left = 101
        while left > 1 { left = try await waitFor { store.ledger(in: 0..<500, countMax: 500, completion: $0) }.count }
        #expect(world.commits.count >= before + 6)
    }
}
