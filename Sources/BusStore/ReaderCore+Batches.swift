// Pages of batches. A few topics are read through their index, many or all by walking the table.
//
// Every batch names the one before it on its topic. A page checks that chain as it goes, so that a row that vanished
// in a damaged page is noticed where it is missed; if it was the index that was damaged, the table still has the row.

import BusWire

/// What a page may hold.
struct PageLimit: Sendable {
    var count: Int
    var bytes: Int
    /// Rows looked at, so that a walk that finds nothing ends too.
    var examined = 16384
}

extension ReaderCore {
    /// How many topics are read through their index; with more, walking is cheaper than merging. Not tuned.
    private static let indexedTopicsMax = 32

    /// Batches in `range` of positions, of `topics` or of all.
    func page(_ range: Range<UInt64>, topics: [TopicID]?, limit: PageLimit) throws(StoreError) -> BatchPage {
        let range = min(range.lowerBound, UInt64(Int64.max))..<min(range.upperBound, UInt64(Int64.max))
        let start = try beginning(of: range)
        if let topics, topics.count <= ReaderCore.indexedTopicsMax {
            do throws(StoreError) {
                var walk = PageWalk(self, range: start..<range.upperBound, topics: topics)
                if let page = try indexed(&walk, topics: topics, limit: limit) { return page }
            } catch {
                guard error.isCorruption else { throw error }
            }
            // The index can't be read or lacks something; the table may have it.
            _ = takeDamage()
        }
        var walk = PageWalk(self, range: start..<range.upperBound, topics: topics)
        return try walked(&walk, limit: limit)
    }

    /// Where the batch begins that the range begins within.
    private func beginning(of range: Range<UInt64>) throws(StoreError) -> UInt64 {
        let select = try statements(
            "SELECT position, count FROM batches WHERE position < ? ORDER BY position DESC LIMIT 1")
        select.bind(1, range.lowerBound)
        defer { select.reset() }
        guard try step(tolerantly: select) else { return range.lowerBound }
        // Columns that no checksum was compared for. A key below 0 is nobody's.
        let (position, count) = (select.uint64(0), select.uint64(1))
        guard position < range.lowerBound, count < 1 << 32, position + count > range.lowerBound else {
            return range.lowerBound
        }
        return position
    }

    // MARK: Through the index

    /// nil when the index lacks something.
    private func indexed(_ walk: inout PageWalk, topics: [TopicID], limit: PageLimit) throws(StoreError) -> BatchPage? {
        let countMax = min(limit.count, 1024)
        var positions: [UInt64] = []
        for topic in topics where try walk.mayHave(topic) {
            let select = try statements(
                """
                SELECT position FROM batches INDEXED BY batches_by_topic
                WHERE topic = ? AND position >= ? AND position < ? ORDER BY position LIMIT ?
                """)
            select.bind(1, topic.rawValue)
            select.bind(2, walk.range.lowerBound)
            select.bind(3, walk.range.upperBound)
            select.bind(4, Int64(countMax))
            while try select.step() { positions.append(select.uint64(0)) }
        }
        if topics.count > 1 { positions.sort() }
        let select = try statements("SELECT \(Schema.batchColumns) FROM batches WHERE position = ?")
        for position in positions.prefix(countMax) {
            guard walk.bytes < limit.bytes else { return walk.page() }
            select.bind(1, position)
            guard try select.step() else { return nil }
            defer { select.reset() }
            guard try walk.take(select) else { return nil }
        }
        guard positions.count < countMax else { return walk.page() }
        return try walk.endIsWhole() ? walk.completePage() : nil
    }

    // MARK: By walking

    private func walked(_ walk: inout PageWalk, limit: PageLimit) throws(StoreError) -> BatchPage {
        let select = try statements(
            """
            SELECT \(Schema.batchColumns) FROM batches WHERE position >= ? AND position < ? ORDER BY position
            """)
        var from = walk.range.lowerBound
        var examined = 0
        while true {
            select.bind(1, from)
            select.bind(2, walk.range.upperBound)
            do throws(StoreError) {
                while try select.step() {
                    guard walk.bytes < limit.bytes, walk.batches.count < limit.count, examined < limit.examined else {
                        select.reset()
                        return walk.page()
                    }
                    examined += 1
                    try walk.takeNoting(select)
                    from = max(from, walk.next)
                }
                try walk.noteEnd()
                return walk.completePage()
            } catch {
                guard error.isCorruption else { throw error }
                // A page of the table can't be read. What is behind it can.
                let resumed = try firstReadable(from: from, to: walk.range.upperBound)
                note(.unreadable(positions: from..<resumed))
                walk.skipped(to: resumed)
                guard resumed < walk.range.upperBound else { return walk.completePage() }
                from = resumed
            }
        }
    }

    /// The first position from which the table can be read again: doubling until it can, then halving back.
    private func firstReadable(from: UInt64, to end: UInt64) throws(StoreError) -> UInt64 {
        let probe = try statements("SELECT position FROM batches WHERE position >= ? ORDER BY position LIMIT 1")
        func reads(_ position: UInt64) throws(StoreError) -> Bool {
            probe.bind(1, position)
            defer { probe.reset() }
            do throws(StoreError) { _ = try probe.step() } catch {
                guard error.isCorruption else { throw error }
                return false
            }
            return true
        }
        var (bad, step): (UInt64, UInt64) = (from, 1)
        while bad + step < end, try !reads(bad + step) {
            bad += step
            step *= 2
        }
        var good = min(bad + step, end)
        while good - bad > 1 {
            let middle = bad + (good - bad) / 2
            if try reads(middle) { good = middle } else { bad = middle }
        }
        return good
    }
}
