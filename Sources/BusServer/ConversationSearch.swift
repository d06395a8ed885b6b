// The stored events of a conversation. Nothing is kept by correlation, since that would cost every event an entry for a
// question that is asked now and then. So what was stored from the conversation's beginning on is looked through, a page
// at a time and within a bound: an id of version 7 says when it was made, and what it began comes soon after it.
//
// What answers a request isn't among them: answers go to a session, live. Of a stored request the ledger knows them.

import BusStore
import BusWire

/// A search that goes through the store, and what it has found.
struct ConversationSearch: Sendable {
    /// Batches looked at: some tens of milliseconds of the reader's time, in pages between which others have their turn.
    /// Not tuned.
    static let batchesMax = 16_384
    /// Bytes of them. Not tuned.
    static let bytesMax = 64 << 20
    /// Events found. Not tuned.
    static let eventsMax = 256
    /// How much earlier than its id says the daemon may have taken a conversation's first event, in microseconds: clocks
    /// are set. Not tuned.
    private static let slack: Int64 = 60_000_000

    /// Whose events are looked for.
    private let conversations: Set<BusUUID>
    /// Where the events lie that were told already.
    private let known: Set<UInt64>
    private(set) var batchesLeft = batchesMax
    private(set) var bytesLeft = bytesMax
    private(set) var found: [(BusUUID, EventPlace)] = []
    /// When the last batch that was looked at had been accepted.
    private(set) var reached: Int64 = 0

    init(of conversations: Set<BusUUID>, known places: [EventPlace]) {
        self.conversations = conversations
        known = Set(places.map(\.position))
    }

    /// When the conversation began, at the earliest, microseconds since 1970; nil for an id that doesn't tell.
    var began: Int64? {
        conversations.compactMap { id in
            guard id.high >> 12 & 0xf == 7 else { return nil }
            return Int64(id.high >> 16) * 1000 - ConversationSearch.slack
        }.min()
    }

    var isOver: Bool { batchesLeft <= 0 || bytesLeft <= 0 || found.count >= ConversationSearch.eventsMax }

    /// Looks through a page.
    mutating func look(through page: BatchPage) {
        for batch in page.batches where !isOver {
            batchesLeft -= 1
            bytesLeft -= batch.body.count
            reached = batch.accepted
            look(into: batch)
        }
    }

    private mutating func look(into batch: StoredBatch) {
        guard let sealed = try? SealedBatch(batch.body), sealed.header.eventCount == batch.count,
            let columns = try? BatchColumns(sealed.columns, eventCount: Int(sealed.header.eventCount))
        else { return }
        // Its first event has none, and is known by its id.
        guard columns.correlation != .none else { return }
        let ids = batch.ids
        for index in 0..<Int(batch.count) where ids.indices.contains(index) {
            let position = batch.position + UInt64(index)
            guard let conversation = columns.correlation[index], conversations.contains(conversation),
                !known.contains(position), found.count < ConversationSearch.eventsMax
            else { continue }
            let place = EventPlace(
                position: position, topic: batch.topic, sequence: batch.firstSequence + UInt64(index),
                accepted: batch.accepted, publisher: batch.publisher, isStored: true)
            found.append((ids[index], place))
        }
    }
}

extension DurableStore {
    /// Adds the other events of a conversation to the rows of what was asked for: the one it began with, and those that
    /// name it.
    func converse(
        _ id: BusUUID, _ places: [EventPlace], _ rows: [[InspectedValue]],
        _ done: @escaping @Sendable ([[InspectedValue]]) -> Void
    ) {
        let named = rows.compactMap { row -> BusUUID? in
            guard case .text(let text) = row.first(where: { $0.name == "correlation" })?.value else { return nil }
            return BusUUID(text)
        }
        guard let first = named.first, first != id else {
            return search(ConversationSearch(of: [id], known: places), rows, done)
        }
        store.places(of: first) { [mailbox] result in
            let begun = (try? result.get()) ?? []
            let search = ConversationSearch(of: [id, first], known: places + begun)
            mailbox.put(
                .work { own in
                    own.describe(begun.map { (first, $0) }[...], []) { more in
                        mailbox.put(.work { $0.search(search, more + rows, done) })
                    }
                })
        }
    }

    private func search(
        _ search: ConversationSearch, _ rows: [[InspectedValue]],
        _ done: @escaping @Sendable ([[InspectedValue]]) -> Void
    ) {
        guard let began = search.began else { return done(rows) }
        firstPosition(since: began, in: 0..<UInt64.max >> 1) { [mailbox] position in
            mailbox.put(.work { $0.search(search, from: position, rows, done) })
        }
    }

    /// Where what was accepted at that time or later begins, by halving: over all topics, times go up with positions but
    /// for what the clock was set back, which the search's slack allows for.
    private func firstPosition(
        since time: Int64, in range: Range<UInt64>, _ done: @escaping @Sendable (UInt64) -> Void
    ) {
        guard !range.isEmpty else { return done(range.lowerBound) }
        let middle = range.lowerBound + (range.upperBound - range.lowerBound) / 2
        store.batches(in: middle..<UInt64.max >> 1, of: nil, countMax: 1, bytesMax: 1) { [mailbox] result in
            let batch = (try? result.get())?.batches.first
            let isFar = batch.map { $0.accepted >= time } ?? true
            let behind = max(middle, batch?.position ?? 0) + 1
            let rest = isFar ? range.lowerBound..<middle : min(behind, range.upperBound)..<range.upperBound
            mailbox.put(.work { $0.firstPosition(since: time, in: rest, done) })
        }
    }

    private func search(
        _ search: ConversationSearch, from position: UInt64, _ rows: [[InspectedValue]],
        _ done: @escaping @Sendable ([[InspectedValue]]) -> Void
    ) {
        store.batches(in: position..<UInt64.max >> 1, of: nil, countMax: 1024, bytesMax: 4 << 20) { [mailbox] result in
            guard let page = try? result.get() else { return done(rows) }
            var search = search
            search.look(through: page)
            let (now, isComplete) = (search, page.isComplete)
            guard isComplete || search.isOver else {
                return mailbox.put(.work { $0.search(now, from: page.next, rows, done) })
            }
            mailbox.put(
                .work { own in
                    own.describe(now.found[...], rows) { all in
                        // Later ones may be there: whoever reads the tree is to know.
                        done(isComplete ? all : all + [ConversationSearch.limit(now.reached)])
                    }
                })
        }
    }
}

extension ConversationSearch {
    fileprivate static func limit(_ reached: Int64) -> [InspectedValue] {
        [InspectedValue("what", "limit"), InspectedValue("time", UInt64(clamping: reached))]
    }
}
