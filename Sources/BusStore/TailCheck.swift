// What is looked at at every start: the tables that are read whole anyway, and the batches since the last checkpoint.
// Older batches are looked at when they are read, and by a scrub.

/// The check of a store about to be served.
struct TailCheck {
    /// Batches compared.
    private(set) var checked: UInt64 = 0
    /// Topics with batches still to be removed.
    private(set) var removals: [TopicID] = []

    /// Gives what is damaged.
    mutating func run(
        _ core: ReaderCore, _ meta: StoreMeta
    ) throws(StoreError) -> (damage: [StoreDamage], rows: [DamagedRow]) {
        try checkCounts(core, meta)
        var topics: [StoredTopic] = []
        try core.records(TopicRow.self) { topics.append($0.topic) }
        for topic in topics {
            if topic.isRemoving { removals.append(topic.id) }
            guard !topic.isDeleted, topic.lastPosition != 0, topic.lastPosition >= topic.floor else { continue }
            if try !core.exists(topic.lastPosition), try !core.isKnownDamage(topic.lastPosition) {
                core.note(.batchMissing(position: topic.lastPosition, topic: topic.id), .batch(topic.lastPosition))
            }
        }
        var next = meta.checkpointed
        while next < meta.nextPosition {
            let page = try core.page(
                next..<meta.nextPosition, topics: nil, limit: PageLimit(count: 256, bytes: 1 << 20))
            checked += UInt64(page.batches.count)
            next = page.next
        }
        return core.takeDamage()
    }

    /// A table that was written whole is read whole.
    private func checkCounts(_ core: ReaderCore, _ meta: StoreMeta) throws(StoreError) {
        for (table, written) in zip(StoreMeta.counted, meta.rowCounts) {
            let found = UInt64(try core.connection.integer("SELECT count(*) FROM \(table.name)"))
            if found != written {
                core.note(.rowsMissing(table: table.name, found: found, written: written))
            }
        }
    }
}
