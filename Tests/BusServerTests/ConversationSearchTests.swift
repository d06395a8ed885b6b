import BusWire
import Testing

@testable import BusServer
@testable import BusStore

/// What is looked for in the store, and how far.
@Suite struct ConversationSearchTests {
    private static let topic = TopicID(rawValue: 3)

    /// An id of version 7 made this many milliseconds after 1970.
    private func id(_ counter: UInt64, at milliseconds: UInt64 = 1_000_000) -> BusUUID {
        BusUUID(milliseconds: milliseconds, counterHigh: 0, counterLow: counter)
    }

    /// A stored batch whose events belong to these conversations, zero for their own.
    private func batch(
        _ position: UInt64, of conversations: [BusUUID], accepted: Int64 = 0, bodyLength: Int = 0
    ) -> StoredBatch {
        let count = UInt32(conversations.count)
        var columns = BatchColumns()
        columns.correlation = .shortest(conversations, absent: .zero)
        let header = BatchHeader(
            eventCount: count, seal: 1, counter: 0, firstID: id(position * 100), columnsLength: 0, bodyLength: 0)
        var scratch: [UInt8] = []
        let records = [UInt8](repeating: 0, count: EventRecord.lengthMin * conversations.count + bodyLength)
        let bytes = SealedBatch.assemble(header, columns, body: records, scratch: &scratch) { _, plain, output in
            output.copyBytes(from: plain)
        }
        return StoredBatch(
            position: position, topic: Self.topic, firstSequence: position + 1000, count: count, accepted: accepted,
            seal: 1, publisher: StoredPublisher(uid: 7), firstID: id(position * 100), body: bytes)
    }

    private func page(_ batches: [StoredBatch]) -> BatchPage {
        var page = BatchPage(next: 0)
        page.batches = batches
        return page
    }

    @Test func `events that name the conversation are found, each under its id and in its place`() {
        let (mine, other) = (id(1), id(2))
        var search = ConversationSearch(of: [mine], known: [])
        search.look(through: page([batch(10, of: [other, mine, .zero, mine]), batch(20, of: [.zero])]))
        #expect(search.found.map(\.0) == [id(1001), id(1003)])
        #expect(search.found.map(\.1.position) == [11, 13] && search.found.map(\.1.sequence) == [1011, 1013])
        #expect(search.found.allSatisfy { $0.1.topic == Self.topic && $0.1.publisher.uid == 7 && $0.1.isStored })
        #expect(!search.isOver)
    }

    @Test func `what was told already isn't told again`() {
        let mine = id(1)
        let known = EventPlace(
            position: 10, topic: Self.topic, sequence: 1, accepted: 0, publisher: StoredPublisher(uid: 7),
            isStored: true)
        var search = ConversationSearch(of: [mine], known: [known])
        search.look(through: page([batch(10, of: [mine, mine])]))
        #expect(search.found.map(\.1.position) == [11])
    }

    @Test func `it begins a minute before the oldest id says, and nowhere where no id says when`() {
        let search = ConversationSearch(of: [id(1, at: 100_000), id(2, at: 90_000)], known: [])
        #expect(search.began == 30_000_000)
        #expect(ConversationSearch(of: [BusUUID(high: 0x4000, low: 1)], known: []).began == nil)
        let mixed = ConversationSearch(of: [BusUUID(high: 0x4000, low: 1), id(1, at: 100_000)], known: [])
        #expect(mixed.began == 40_000_000)
    }

    @Test func `it ends after so many batches, bytes or finds, and says how far it came`() {
        let mine = id(1)
        var search = ConversationSearch(of: [mine], known: [])
        let many = (0..<UInt64(ConversationSearch.batchesMax) + 5).map { batch($0, of: [.zero], accepted: Int64($0)) }
        search.look(through: page(many))
        #expect(search.isOver && search.batchesLeft == 0)
        #expect(search.reached == Int64(ConversationSearch.batchesMax) - 1)
        search = ConversationSearch(of: [mine], known: [])
        let long = batch(1, of: [.zero], accepted: 5, bodyLength: ConversationSearch.bytesMax)
        search.look(through: page([long, batch(2, of: [mine], accepted: 6)]))
        #expect(search.isOver && search.found.isEmpty && search.reached == 5)
        search = ConversationSearch(of: [mine], known: [])
        let all = [BusUUID](repeating: mine, count: ConversationSearch.eventsMax + 3)
        search.look(through: page([batch(1, of: all), batch(1000, of: [mine])]))
        #expect(search.isOver && search.found.count == ConversationSearch.eventsMax)
    }

    @Test func `what is no batch, or none that its row says, is passed over`() {
        let mine = id(1)
        var search = ConversationSearch(of: [mine], known: [])
        var strange = batch(1, of: [mine, mine, mine])
        strange.body = SharedBytes([1, 2, 3])
        var longer = batch(10, of: [mine])
        longer.count = 3
        search.look(through: page([strange, longer, batch(20, of: [mine])]))
        #expect(search.found.map(\.1.position) == [20])
    }
}
