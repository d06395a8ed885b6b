// A page in the making, and the chain of each topic in it.

import BusWire

/// Takes rows in ascending order, leaves out what isn't asked for, and notices what is missing.
struct PageWalk {
    private struct Chain {
        /// Batches before this are removed.
        var floor: UInt64
        var lastPosition: UInt64
        /// The batch taken last.
        var seen: UInt64?
    }

    let range: Range<UInt64>
    var next: UInt64
    private(set) var batches: [StoredBatch] = []
    private(set) var bytes = 0
    private let core: ReaderCore
    private let wanted: Set<TopicID>?
    /// Topics met so far; nil for one that is deleted or can't be read, which has nothing to show.
    private var chains: [TopicID: Chain?] = [:]
    /// What was put aside before and is missing in this page: told again to whoever reads here, and reported no more.
    private var knownDamage: [StoreDamage] = []
    /// Before this, rows may be missing without a further word: they lay where nothing can be read.
    private var reliableFrom: UInt64

    init(_ core: ReaderCore, range: Range<UInt64>, topics: [TopicID]?) {
        self.core = core
        self.range = range
        next = range.lowerBound
        reliableFrom = range.lowerBound
        wanted = topics.map(Set.init)
    }

    /// Whether a topic has anything in the range.
    mutating func mayHave(_ topic: TopicID) throws(StoreError) -> Bool {
        guard let chain = try chain(topic) else { return false }
        return chain.lastPosition >= max(chain.floor, range.lowerBound) && chain.floor < range.upperBound
    }

    /// Takes the current row; false if a row before it is missing.
    mutating func take(_ row: SQLStatement) throws(StoreError) -> Bool { try take(row, noting: false) }

    /// Takes the current row and notes what is missing before it.
    mutating func takeNoting(_ row: SQLStatement) throws(StoreError) { _ = try take(row, noting: true) }

    private mutating func take(_ row: SQLStatement, noting: Bool) throws(StoreError) -> Bool {
        let position = row.uint64(0)
        // Not what was asked for: the key itself is damaged, and nothing goes on from there.
        guard range.contains(position) else {
            core.note(.row(table: "batches", key: position))
            return true
        }
        next = max(next, position + 1)
        // A row whose topic is damaged is looked at as well: it may be one that was asked for.
        guard let id = row.topicID(1) else { return try core.batchRow(row) != nil }
        guard var chain = try chain(id) else {
            // A topic that isn't there can only be a flipped bit in this row.
            if try core.topic(id) == nil { _ = try core.batchRow(row) }
            return true
        }
        if let wanted, !wanted.contains(id) { return true }
        guard row.uint64(0) >= chain.floor else { return true }
        guard let batch = try core.batchRow(row) else { return true }
        if try isMissing(batch.previous, chain) {
            let missing = StoreDamage.batchMissing(position: batch.previous, topic: id)
            if try core.isKnownDamage(batch.previous) {
                tellAgain(missing, batch.previous, id)
            } else {
                guard noting else { return false }
                core.note(missing, .batch(batch.previous))
            }
        }
        chain.seen = batch.batch.position
        chains[id] = .some(chain)
        batches.append(batch.batch)
        bytes += batch.batch.body.count
        next = batch.batch.position + UInt64(batch.batch.count)
        return true
    }

    /// Whether the batch before the one in hand should have been met, or be there, and isn't.
    private func isMissing(_ previous: UInt64, _ chain: Chain) throws(StoreError) -> Bool {
        guard previous != 0, previous >= chain.floor else { return false }
        if previous == chain.seen { return false }
        guard previous < reliableFrom else { return true }
        // Before the range, or before what could not be read, it need not have been met.
        guard chain.seen == nil, try !core.exists(previous) else { return false }
        return try !core.isKnownDamage(previous)
    }

    /// Whether every topic asked for was seen up to its last batch, as far as the range goes, but for what was put aside.
    mutating func endIsWhole() throws(StoreError) -> Bool { try noteEnd(noting: false) }

    /// Notes what is missing at the range's end.
    mutating func noteEnd() throws(StoreError) { _ = try noteEnd(noting: true) }

    private mutating func noteEnd(noting: Bool) throws(StoreError) -> Bool {
        for (topic, position) in try missingAtEnd() {
            let missing = StoreDamage.batchMissing(position: position, topic: topic)
            if try core.isKnownDamage(position) {
                tellAgain(missing, position, topic)
            } else {
                guard noting else { return false }
                core.note(missing, .batch(position))
            }
        }
        return true
    }

    /// What was put aside is told on this page, once: the row itself may have been met on it, and named its topic.
    private mutating func tellAgain(_ missing: StoreDamage, _ position: UInt64, _ topic: TopicID) {
        let isTold = core.damage.contains {
            switch $0 {
            case .batch(position, topic, _), .batchMissing(position, topic): true
            default: false
            }
        }
        if !isTold { knownDamage.append(missing) }
    }

    private func missingAtEnd() throws(StoreError) -> [(TopicID, UInt64)] {
        var missing: [(TopicID, UInt64)] = []
        for case (let topic, let chain?) in chains where wanted?.contains(topic) ?? true {
            guard chain.lastPosition >= max(chain.floor, reliableFrom), chain.lastPosition < range.upperBound,
                chain.lastPosition != chain.seen
            else { continue }
            missing.append((topic, chain.lastPosition))
        }
        return missing
    }

    /// What lay before `position` could not be read, and that was noted.
    mutating func skipped(to position: UInt64) {
        reliableFrom = position
        next = max(next, position)
        for (topic, chain) in chains {
            guard var chain else { continue }
            chain.seen = nil
            chain.floor = max(chain.floor, position)
            chains[topic] = .some(chain)
        }
    }

    /// The page as it is, to go on behind it.
    func page() -> BatchPage {
        BatchPage(batches: batches, next: next, isComplete: false, damage: core.damage + knownDamage)
    }

    /// The page that reaches the range's end.
    func completePage() -> BatchPage {
        BatchPage(
            batches: batches, next: max(next, range.upperBound), isComplete: true, damage: core.damage + knownDamage)
    }

    private mutating func chain(_ id: TopicID) throws(StoreError) -> Chain? {
        if let known = chains[id] { return known }
        let topic = try core.topic(id)
        let chain: Chain? =
            if let topic, !topic.isDeleted {
                Chain(
                    floor: max(topic.floor, reliableFrom > range.lowerBound ? reliableFrom : 0),
                    lastPosition: topic.lastPosition)
            } else { nil }
        chains[id] = .some(chain)
        return chain
    }
}

extension ReaderCore {
    /// Whether a batch begins at `position`, damaged or not.
    func exists(_ position: UInt64) throws(StoreError) -> Bool {
        let select = try statements("SELECT 1 FROM batches WHERE position = ?")
        select.bind(1, position)
        defer { select.reset() }
        return try step(tolerantly: select)
    }

    /// Takes what can't be read for what isn't there; it is missed where it is read itself.
    func step(tolerantly statement: SQLStatement) throws(StoreError) -> Bool {
        do throws(StoreError) { return try statement.step() } catch {
            guard error.isCorruption else { throw error }
            return false
        }
    }

    /// Whether the batch that began at `position` was reported before.
    func isKnownDamage(_ position: UInt64) throws(StoreError) -> Bool {
        if toPutAside.contains(where: { if case .batch(position) = $0 { true } else { false } }) { return true }
        let select = try statements("SELECT 1 FROM quarantine WHERE tbl = 'batches' AND key = ?")
        select.bind(1, position)
        defer { select.reset() }
        return try select.step()
    }
}
