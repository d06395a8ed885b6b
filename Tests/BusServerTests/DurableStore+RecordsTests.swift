import BusWire
import Testing

@testable import BusBroker
@testable import BusServer
@testable import BusStore

// The macros can't take names of modules apart.
private typealias BrokerSubscription = BusBroker.StoredSubscription
private typealias BrokerSeal = BusBroker.StoredSeal
private typealias BrokerTopic = BusBroker.StoredTopic
private typealias BrokerCursor = BusBroker.StoredCursor
private typealias BrokerLetter = BusBroker.StoredDeadLetter
private typealias KeptSubscription = BusStore.StoredSubscription
private typealias KeptSeal = BusStore.StoredSeal
private typealias KeptCursor = BusStore.StoredCursor
private typealias KeptLetter = BusStore.StoredDeadLetter

/// The broker's records and the store's: there and back nothing changes, and what can't be read is nil.
@Suite struct DurableStoreRecordsTests {
    private let id = BusUUID.random()

    @Test func `why the store can't be opened names it, also where SQLite names a statement`() {
        let malformed = StoreError.sqlite(code: 11, message: "malformed", doing: "SELECT count(*) FROM declarations")
        #expect(
            ServerError.store(malformed).description
                == "the store can't be read: SELECT count(*) FROM declarations: malformed (SQLite error 11)")
        #expect(ServerError.store(.damaged("gone")).description == "the store is damaged: gone")
    }

    @Test func `a batch comes back with all that the store keeps of it`() {
        for expiry in [nil, Int64(99)] {
            let batch = BusBroker.StoredBatch(
                position: 7, topic: 3, firstSequence: 5, eventCount: 2, time: -4, expiry: expiry, seal: 11, uid: .max,
                firstID: id, bytes: SharedBytes([1, 2, 3]))
            let stored = BusStore.StoredBatch(batch)
            #expect(stored.positions == 7..<9 && stored.publisher.uid == .max)
            let back = BusBroker.StoredBatch(stored)
            #expect(back.position == 7 && back.topic == 3 && back.firstSequence == 5 && back.eventCount == 2)
            #expect(back.time == -4 && back.expiry == expiry && back.seal == 11 && back.uid == .max)
            #expect(back.firstID == id && back.bytes == batch.bytes)
        }
    }

    @Test func `a seal comes back as it was`() {
        let seal = BrokerSeal(
            number: 9, topic: 3, epoch: 2, publisher: PeerIdentity(uid: 1000, gid: 100), name: "shop",
            salt: [UInt8](repeating: 5, count: 16), keyCheck: [UInt8](repeating: 6, count: 8))
        #expect(BrokerSeal(KeptSeal(seal)) == seal)
    }

    @Test func `a place comes back as it was, also where much is to be read again`() {
        let range = BusBroker.PendingRange(first: 4, count: 3, attempts: 2)
        let cursor = BrokerCursor(next: 50, pending: [range])
        #expect(BrokerCursor(KeptCursor(cursor)) == cursor)
        // More than one row of the store can count: as several, none of them left out.
        let much = BusBroker.PendingRange(first: 10, count: 1 << 33, attempts: 1)
        let back = BrokerCursor(KeptCursor(BrokerCursor(next: .max, pending: [much]))).pending
        #expect(back.reduce(0) { $0 + $1.count } == much.count)
        #expect(back.first?.first == 10 && back.last?.end == much.end && back.allSatisfy { $0.attempts == 1 })
        for (one, next) in zip(back, back.dropFirst()) { #expect(one.end == next.first) }
    }

    private func subscription() throws -> BrokerSubscription {
        BrokerSubscription(
            number: 4, name: try GroupName("workers"), filter: try TopicFilter("jobs.>"), mode: [.shared],
            settings: [Setting(.attemptCountMax, 3)], uid: 1000, created: 1, attended: 2,
            cursor: .init(next: 9, pending: []))
    }

    @Test func `a subscription comes back as it was`() throws {
        let subscription = try subscription()
        let back = try #require(BrokerSubscription(KeptSubscription(subscription)))
        #expect(back.number == 4 && back.name == subscription.name && back.filter == subscription.filter)
        #expect(back.mode == [.shared] && back.settings == subscription.settings && back.uid == 1000)
        #expect(back.created == 1 && back.attended == 2 && back.cursor == subscription.cursor)
    }

    @Test func `a subscription whose bytes aren't whole, or whose names aren't names, is nil`() throws {
        let stored = KeptSubscription(try subscription())
        for length in 0..<stored.options.count {
            var cut = stored
            cut.options = Array(stored.options[..<length])
            #expect(BrokerSubscription(cut) == nil, "\(length) bytes")
        }
        var nameless = stored
        nameless.name = Array("a.b".utf8)
        #expect(BrokerSubscription(nameless) == nil)
        var filterless = stored
        filterless.options =
            SubscriptionOptions(
                filter: Array("a..b".utf8), mode: 0, settings: [], uid: 0, created: 0, attended: 0
            ).encoded
        #expect(BrokerSubscription(filterless) == nil)
    }

    @Test func `a dead letter comes back as it was`() {
        let letter = BrokerLetter(
            number: 8, subscription: 4, position: 100, selection: [5], reason: .rejected, message: "no such job",
            attempts: 3, died: 20, accepted: 10)
        let back = BrokerLetter(KeptLetter(letter))
        #expect(back.number == 8 && back.subscription == 4 && back.position == 100 && back.selection == [5])
        #expect(back.reason == .rejected && back.message == "no such job" && back.attempts == 3)
        #expect(back.died == 20 && back.accepted == 10)
    }

    @Test func `a letter holds the events whose bits are set, whatever its bytes are`() {
        func letter(_ selection: [UInt8]) -> BrokerLetter {
            BrokerLetter(
                number: 1, subscription: 1, position: 100, selection: selection, reason: .rejected, message: "",
                attempts: 1, died: 0, accepted: 0)
        }
        #expect((98..<112).filter { letter([]).holds($0) } == [])
        #expect((98..<112).filter { letter([0b101]).holds($0) } == [100, 102])
        #expect((98..<112).filter { letter([0, 0xff]).holds($0) } == [108, 109, 110, 111])
        #expect(!letter([]).holds(.max))
    }

    @Test func `each refusal and each damage has a name and a sentence`() {
        let refusals: [StoreRefusal] = [.storeFull, .diskFull, .unknownTopic, .outOfOrder]
        #expect(refusals.map(\.reason) == [.storeFull, .storeFull, .storeUnavailable, .storeUnavailable])
        #expect(Set(refusals.map(\.message)).count == 4)
        let damage: [StoreDamage] = [
            .behindHead(commit: 1, headCommit: 3, lostPositions: 5..<9, copies: "/copies"), .headUnreadable,
            .batch(position: 17, topic: nil, count: nil), .batchMissing(position: 18, topic: TopicID(rawValue: 2)),
            .unreadable(positions: 20..<31), .row(table: "seals", key: 6),
            .rowsMissing(table: "topics", found: 1, written: 2),
        ]
        let words = ["/copies", "head file", "17", "18", "31", "seals", "topics"]
        for (damage, word) in zip(damage, words) {
            #expect(damage.description.contains(word))
        }
    }

    @Test func `a deleted topic, and one whose name isn't one, is nil`() {
        let topic = BusStore.StoredTopic(id: TopicID(rawValue: 3), name: Array("jobs.a".utf8), incarnation: 3)
        #expect(BrokerTopic(topic)?.name.description == "jobs.a")
        var deleted = topic
        deleted.isDeleted = true
        #expect(BrokerTopic(deleted) == nil)
        let nameless = BusStore.StoredTopic(id: TopicID(rawValue: 3), name: [0xff], incarnation: 3)
        #expect(BrokerTopic(nameless) == nil)
    }
}

@Suite struct StoredPageTests {
    @Test func `every kind of damage that a reader misses events by is on the page`() {
        let page = BatchPage(
            batches: [], next: 30, isComplete: true,
            damage: [
                .batch(position: 3, topic: TopicID(rawValue: 2), count: 1), .batch(position: 4, topic: nil, count: nil),
                .batchMissing(position: 5, topic: TopicID(rawValue: 2)), .unreadable(positions: 8..<20),
                .row(table: "seals", key: 1),
            ])
        let order = StoreRead(number: 9, from: 1, before: 30, topics: nil, lengthMax: 1, eventCountMax: 1)
        let damaged = StoredPage(page, order).damaged
        #expect(damaged.map(\.topic) == [2, 0, 2, 0])
        #expect(damaged.map(\.position) == [3, 4, 5, 8])
    }
}
